/**
 * What the bodies themselves write down: a line when one starts, a line when it ends. Read by who counts.
 *
 * A file that is only appended to, with one `write` a line: it survives SIGKILL, and no process or thread mixes its
 * lines with another's. Whatever a broker or a node believes, a body that ran twice stands here twice.
 */
import { openSync, readFileSync, writeSync } from "node:fs";

const open = new Map();

/** Used inside threads. `what`: `start` or `end`. */
export function write(path, what, { id, attempt }) {
  const file = open.get(path) ?? openSync(path, "a");
  open.set(path, file);
  const line = JSON.stringify({ what, id, attempt, pid: process.pid, at: Date.now() });
  writeSync(file, `${line}\n`);
}

/** Every run of a body, by job: `{ pid, attempt, startedAt, endedAt }` each, in the order of their starts. */
export function runsOf(path) {
  const runs = new Map();
  for (const { what, id, attempt, pid, at } of linesOf(path)) {
    const ofJob = runs.get(id) ?? [];
    runs.set(id, ofJob);
    if (what === "start") ofJob.push({ pid, attempt, startedAt: at, endedAt: undefined });
    else {
      const run = ofJob.find((one) => one.pid === pid && one.endedAt === undefined);
      if (run !== undefined) run.endedAt = at;
    }
  }
  return runs;
}

/** Whole lines: the last one may be on its way. */
function linesOf(path) {
  const text = readFileSync(path, "utf8");
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}
