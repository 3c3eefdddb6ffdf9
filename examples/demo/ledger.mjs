/**
 * The demo's own book-keeping, apart from the broker's: who was confirmed, who has ended, what was refused.
 *
 * Files that are only appended to, in the demo's folder: `plan.json` (files and broker of this run), `confirmed.log`
 * (an id a line, written after its enqueue resolved), `results.jsonl` and `turns.log` (written by the bodies). An end is
 * known by the body's own line, or by lying buried: a kill between a job's end and any line of ours costs nothing.
 */
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { Usage } from "./options.mjs";

const OURS = ["plan.json", "plan.json.tmp", "confirmed.log", "results.jsonl", "turns.log", "store"];
const START = "= start";
const END = "= end";

export class Ledger {
  constructor(folder) {
    this.folder = folder;
    this.storePath = join(folder, "store");
    this.confirmed = new Set();
    this.refused = 0;
    /** Begins the ids of this run where the broker may still hold those of another one. */
    this.run = "";
    /** The run before this one did not end in order. */
    this.killed = false;
  }

  /** The plan of the run before, if there is one; what was confirmed then is known again. */
  resume() {
    const plan = this.#plan();
    if (plan === undefined) return undefined;
    refuseLive(plan.pid, this.folder);
    this.run = plan.run ?? "";
    this.killed = this.#lines("turns.log").findLast((line) => line.startsWith("=")) !== END;
    for (const line of this.#lines("confirmed.log")) {
      if (line.startsWith("refused ")) this.refused += 1;
      else this.confirmed.add(line);
    }
    return plan;
  }

  /** Wipes a folder of ours, and none of anybody else's. */
  wipe() {
    mkdirSync(this.folder, { recursive: true });
    const strangers = readdirSync(this.folder).filter((name) => !OURS.includes(name));
    if (strangers.length > 0)
      throw new Usage(
        `${this.folder} holds what is not the demo's (${strangers[0]}); give --data an empty or a new folder.`,
      );
    refuseLive(this.#plan()?.pid, this.folder);
    for (const name of OURS) rmSync(join(this.folder, name), { recursive: true, force: true });
  }

  /** Written whole or not at all, before the first job. */
  open(plan) {
    const path = join(this.folder, "plan.json");
    writeFileSync(`${path}.tmp`, JSON.stringify({ ...plan, run: this.run, pid: process.pid }));
    renameSync(`${path}.tmp`, path);
    this.log = openSync(join(this.folder, "confirmed.log"), "a");
    // A turn that a kill cut off is over: what comes behind this line is another process.
    this.#mark(START);
  }

  /** This process has ended in order: nothing of it is under way any more. */
  close() {
    this.#mark(END);
  }

  #mark(line) {
    writeFileSync(join(this.folder, "turns.log"), `${line}\n`, { flag: "a" });
  }

  /** Whether a job is one of this run. */
  owns(id) {
    return id.startsWith(this.run);
  }

  confirm(ids) {
    const fresh = ids.filter((id) => !this.confirmed.has(id));
    for (const id of fresh) this.confirmed.add(id);
    if (fresh.length > 0) writeSync(this.log, fresh.map((id) => `${id}\n`).join(""));
  }

  refuse(id) {
    this.refused += 1;
    writeSync(this.log, `refused ${id}\n`);
  }

  /** What bodies have written: one result an id, and how many were run again. */
  results() {
    const byId = new Map();
    let repeated = 0;
    for (const line of this.#lines("results.jsonl")) {
      const result = JSON.parse(line);
      if (!this.owns(result.id)) continue;
      if (byId.has(result.id)) repeated += 1;
      byId.set(result.id, result);
    }
    return { byId, repeated };
  }

  /** How often a turn began before the one before it was over. */
  overlaps() {
    let running;
    let overlaps = 0;
    for (const line of this.#lines("turns.log")) {
      const [sign, id] = line.split(" ");
      if (sign === "+" && running !== undefined) overlaps += 1;
      running = sign === "+" ? id : undefined;
    }
    return overlaps;
  }

  #plan() {
    const path = join(this.folder, "plan.json");
    return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
  }

  /** Whole lines: the last one may have been cut by a full disk. */
  #lines(name) {
    const path = join(this.folder, name);
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    return text
      .slice(0, text.lastIndexOf("\n") + 1)
      .split("\n")
      .slice(0, -1);
  }
}

function refuseLive(pid, folder) {
  if (pid === undefined || pid === process.pid) return;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code === "ESRCH") return;
  }
  throw new Usage(`${folder} is in use by another run (process ${pid}); stop it, or give another --data.`);
}
