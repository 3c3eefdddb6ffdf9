/**
 * The no-op that tells when it began, in the cell that its args name, and counts its runs.
 */
import { getEnvironmentData } from "node:worker_threads";
import { defineJob } from "spillway/job";

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(8));
const marks = new BigInt64Array(getEnvironmentData("spillway-bench-marks") ?? new SharedArrayBuffer(8));

export default defineJob({
  name: "marked",
  perform({ n }) {
    Atomics.store(marks, n, process.hrtime.bigint());
    Atomics.add(runs, 0, 1);
  },
});
