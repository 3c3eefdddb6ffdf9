/**
 * When each body of a run began: a cell a job, in memory that all threads share, by the clock that they share too.
 *
 * Owns that memory, which must exist before any thread starts. A job is told its cell in its args, so two sides that
 * write here send the same bytes.
 */
import { setEnvironmentData } from "node:worker_threads";

/** Most jobs of one run. */
export const MARKS = 65_536;

const cells = new BigInt64Array(new SharedArrayBuffer(MARKS * 8));
setEnvironmentData("spillway-bench-marks", cells.buffer);

const NOT_YET = 0n;

export const clearMark = (cell: number): void => void Atomics.store(cells, cell, NOT_YET);

/** Milliseconds from a moment of `process.hrtime.bigint` until the body of this cell began; `undefined` when it has not. */
export function msUntil(cell: number, from: bigint): number | undefined {
  const began = Atomics.load(cells, cell);
  return began === NOT_YET ? undefined : Number(began - from) / 1e6;
}
