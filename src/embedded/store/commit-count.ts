/**
 * How many commits the store has made, in the file and beside it: so that a lost `-wal` is told from one that
 * SQLite put away itself.
 *
 * Owns the file `commits`. When a process exits, or a thread is terminated, SQLite moves all of the log into
 * the main file and deletes it, though nobody closed the store; when somebody deletes the log, the main file
 * is older than what is written here. Not flushed: after a power cut it may be behind, never ahead.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Database } from "./driver.ts";

const NAME = "commits";

export class CommitCount {
  readonly #file: number;
  readonly #write: (count: number) => number;
  #count: number;

  constructor(db: Database, folder: string) {
    this.#count = storedCommits(db);
    this.#write = db.run("UPDATE meta SET value=? WHERE key='commits'");
    this.#file = openSync(join(folder, NAME), "w");
    this.committed();
  }

  /** Within the transaction. */
  add(): void {
    this.#write(this.#count + 1);
  }

  /** It is durable: from here on a file without it is refused. */
  committed(added = 0): void {
    this.#count += added;
    writeSync(this.#file, `${String(this.#count).padStart(16)}\n`, 0);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** The commits that the main file has. */
export function storedCommits(db: Database): number {
  return Number(db.get<{ value: number }>("SELECT value FROM meta WHERE key='commits'")()?.value ?? 0);
}

/** The commits that were made; infinite when nobody knows. */
export function madeCommits(folder: string): number {
  try {
    const text = readFileSync(join(folder, NAME), "utf8").trim();
    return /^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
