/**
 * What bodies leave behind: a line a job in `results.jsonl`, a line at each end of a turn in `turns.log`.
 *
 * Used inside threads. A line is one `write` to a file opened for appending: it survives `kill -9`, and threads
 * do not mix theirs. A body that is run again (at least once is the promise) writes a second line of the same id.
 */
import { openSync, writeSync } from "node:fs";
import { join } from "node:path";

const open = new Map();

function append(path, line) {
  let file = open.get(path);
  if (file === undefined) {
    file = openSync(path, "a");
    open.set(path, file);
  }
  writeSync(file, `${line}\n`);
}

export function writeResult(folder, context, result) {
  append(
    join(folder, "results.jsonl"),
    JSON.stringify({ id: context.id, attempt: context.attempt, ...result }),
  );
  return result;
}

export function writeTurn(folder, sign, id) {
  append(join(folder, "turns.log"), `${sign} ${id}`);
}
