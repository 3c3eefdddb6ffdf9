/**
 * The store thread: opens the file, carries out one piece of work at a time, watches that the folder stays
 * its own.
 *
 * Owns the only SQLite connection of this process to the folder. Everything it does is synchronous: libuv's
 * pool is full of other people's work when bodies hash or compress. Killed at any point it leaves a file that
 * opens again.
 */
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { Committer } from "./commit.ts";
import { kindOf } from "./driver.ts";
import { type OpenStore, openStore, Refusal } from "./open.ts";
import type { Done, Failed, FromStore, StoreConfig, ToStore, Work } from "./protocol.ts";
import { Reader } from "./read.ts";
import { Space } from "./space.ts";
import { troubleOf } from "./trouble.ts";

/** Called by `entry.cts`. */
export function start(): void {
  const port = parentPort;
  if (port === null) throw new Error("the store runs in a thread of its own");
  const tell = (message: FromStore) => port.postMessage(message);
  const config = workerData as StoreConfig;
  let store: Store;
  try {
    store = new Store(config, openStore(config), tell);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    tell({ kind: "refused", code: error.code, problem: error.problem });
    return;
  }
  port.on("message", (message: ToStore) => {
    tell(message.kind === "close" ? store.close() : store.work(message));
    if (message.kind === "close") port.close();
  });
}

class Store {
  readonly #config: StoreConfig;
  readonly #open: OpenStore;
  readonly #committer: Committer;
  readonly #space: Space;
  readonly #tell: (message: FromStore) => void;
  readonly #watch: NodeJS.Timeout;
  readonly #inodes: readonly string[];

  constructor(config: StoreConfig, open: OpenStore, tell: (message: FromStore) => void) {
    this.#config = config;
    this.#open = open;
    this.#tell = tell;
    const { folder, tuning } = config;
    this.#space = new Space(folder, tuning, (low, freeBytes) => tell({ kind: "space", low, freeBytes }));
    const reader = new Reader(open.db, open.lanes, tuning);
    this.#committer = new Committer(open, reader, tuning.faults);
    this.#inodes = this.#files();
    this.#watch = setInterval(() => this.#look(), tuning.checkEveryMs);
    // the ballast is written after the answer: 16 MiB must not be in the way of a start
    setImmediate(() => this.#space.look());
    tell({ kind: "opened", ...open.opened, nextDue: this.#committer.nextDue });
  }

  work(work: Work): Done | Failed {
    try {
      const full = work.ids.length + work.plain.length > 0 ? this.#space.refuse() : undefined;
      return this.#committer.commit(work, full);
    } catch (error) {
      return kindOf(error) === "FULL"
        ? this.#withoutInserts(work)
        : { kind: "failed", trouble: troubleOf(error) };
    }
  }

  /** Nothing is to run on a closed store; the file says that it was closed. */
  close(): FromStore {
    clearInterval(this.#watch);
    const { db, journal } = this.#open;
    try {
      db.exec("BEGIN IMMEDIATE");
      journal.moveAll();
      db.exec("UPDATE meta SET value=1 WHERE key='clean'; DELETE FROM run; COMMIT;");
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // then it is opened like after a crash, which loses nothing
    }
    const mine = this.#notMine() === undefined;
    db.close();
    this.#open.commits.close();
    if (mine) rmSync(join(this.#config.folder, "holder.json"), { force: true });
    return { kind: "closed" };
  }

  /** The disk is full: the ballast makes room for everything but enqueues. */
  #withoutInserts(work: Work): Done | Failed {
    try {
      const free = this.#space.giveBack();
      this.#open.db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      return this.#committer.commit(work, free);
    } catch (error) {
      return { kind: "failed", trouble: troubleOf(error) };
    }
  }

  #look(): void {
    const problem = this.#notMine();
    if (problem === undefined) {
      this.#space.look();
      return;
    }
    clearInterval(this.#watch);
    this.#tell({ kind: "taken", problem });
  }

  /**
   * POSIX locks are lost when anything else in the process closes the file, so the lock alone is not trusted.
   */
  #notMine(): string | undefined {
    const { folder, token } = this.#config;
    try {
      const holder = JSON.parse(readFileSync(join(folder, "holder.json"), "utf8")) as { token?: unknown };
      if (holder.token !== token) return "holder.json names another holder";
    } catch {
      return "holder.json is gone or unreadable";
    }
    try {
      const now = this.#files();
      return now.every((file, at) => file === this.#inodes[at]) ? undefined : "its data files were replaced";
    } catch {
      return "its data files are gone";
    }
  }

  #files(): string[] {
    return ["jobs.db", "jobs.db-wal"].map((name) => {
      const { dev, ino } = statSync(join(this.#config.folder, name));
      return `${dev}:${ino}`;
    });
  }
}
