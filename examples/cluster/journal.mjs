/**
 * What the bodies themselves write down: a line when one starts, a line when it ends. Read by who counts.
 *
 * A file for each process that is only appended to, with one `write` a line: it survives SIGKILL, and no thread mixes
 * its lines with another's. Whatever a broker or a node believes, two bodies that ran at once stand here as such.
 */
import { openSync, readdirSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";

const NEWLINE = 10;
const CHUNK_BYTES = 1 << 20;
const open = new Map();

/** In milliseconds, of a clock that all processes of a machine share and that nobody sets. */
export const now = () => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** Used inside threads. `what`: `start` or `end`. */
export function write(folder, what, { id, attempt }, key) {
  const path = join(folder, `${process.pid}.jsonl`);
  const file = open.get(path) ?? openSync(path, "a");
  open.set(path, file);
  writeSync(file, `${JSON.stringify({ what, id, attempt, key, at: now(), parent: process.ppid })}\n`);
}

/** Reads on where it stopped: `runs` has every run of a body, in the order in which they were found. */
export class Journal {
  runs = [];
  started = new Set();
  ended = new Set();
  #folder;
  #files = new Map();

  constructor(folder) {
    this.#folder = folder;
  }

  look() {
    for (const name of readdirSync(this.#folder)) {
      const there = this.#files.get(name) ?? {
        file: openSync(join(this.#folder, name), "r"),
        at: 0,
        open: new Map(),
      };
      this.#files.set(name, there);
      for (const line of newLinesOf(there))
        this.#take(JSON.parse(line), Number.parseInt(name, 10), there.open);
    }
    return this;
  }

  /** Bodies of a process that run now, as far as the last look has seen. */
  openOf(pid) {
    return [...(this.#files.get(`${pid}.jsonl`)?.open.values() ?? [])];
  }

  #take({ what, id, attempt, key, at, parent }, pid, open) {
    if (what === "start") {
      const run = { id, attempt, key, pid, parent, startedAt: at, endedAt: undefined };
      open.set(id, run);
      this.runs.push(run);
      this.started.add(id);
    } else {
      open.get(id).endedAt = at;
      open.delete(id);
      this.ended.add(id);
    }
  }
}

/** Whole lines: the last one may be on its way. */
function newLinesOf(there) {
  let text = "";
  for (;;) {
    const bytes = Buffer.alloc(CHUNK_BYTES);
    const read = bytes.subarray(0, readSync(there.file, bytes, 0, CHUNK_BYTES, there.at));
    const whole = read.subarray(0, read.lastIndexOf(NEWLINE) + 1);
    there.at += whole.length;
    text += whole.toString();
    if (whole.length === 0) return text.split("\n").slice(0, -1);
  }
}
