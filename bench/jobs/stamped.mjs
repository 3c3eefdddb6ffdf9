/**
 * The no-op that also tells when it began, by the clock that all threads of a process share.
 *
 * The raw worker tells it in the same way (`raw/stamped.cjs`).
 */
import { getEnvironmentData } from "node:worker_threads";
import { defineJob } from "spillway/job";

const shared = getEnvironmentData("spillway-bench");
const memory = shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(24);
const runs = new Int32Array(memory);
const starts = new BigInt64Array(memory, 8);

export default defineJob({
  name: "stamped",
  perform() {
    Atomics.store(starts, 0, process.hrtime.bigint());
    Atomics.add(runs, 0, 1);
  },
});
