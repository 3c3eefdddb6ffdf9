/**
 * The bodies that other systems run, in their process or in their threads: what `jobs/noop.mjs`, `computes.mjs` and
 * `marked.mjs` do, as plain functions.
 *
 * Owns nothing but the memory that a process of its own counts in, where none is shared: `bullmq-process.mjs` tells it.
 */
import { getEnvironmentData } from "node:worker_threads";
import { compute } from "../../jobs/compute.mjs";

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(24));
const marks = new BigInt64Array(getEnvironmentData("spillway-bench-marks") ?? new SharedArrayBuffer(8));

const BASELINE = 1;
const ran = () => void Atomics.add(runs, BASELINE, 1);

/** Runs so far in this process. */
export const runsSoFar = () => Atomics.load(runs, BASELINE);

export const noop = ran;

export function computes() {
  compute();
  ran();
}

/** Tells when it began. */
export function marked({ n }) {
  Atomics.store(marks, n, process.hrtime.bigint());
  ran();
}
