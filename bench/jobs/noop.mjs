/**
 * The job that does nothing but count its runs, in memory that all threads share.
 *
 * The raw worker counts in the same way (`raw/noop.cjs`), so that both sides of a row do the same work.
 */
import { getEnvironmentData } from "node:worker_threads";
import { defineJob } from "spillway/job";

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(8));

export default defineJob({
  name: "noop",
  perform() {
    Atomics.add(runs, 0, 1);
  },
});
