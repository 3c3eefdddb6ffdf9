/**
 * The same no-op with args: what a job leaves behind in the heap would be seen by its size.
 */
import { getEnvironmentData } from "node:worker_threads";
import { defineJob } from "spillway/job";

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(8));

export default defineJob({
  name: "small",
  perform() {
    Atomics.add(runs, 0, 1);
  },
});
