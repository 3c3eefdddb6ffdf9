/**
 * The job that computes for about a millisecond and counts its runs.
 */
import { getEnvironmentData } from "node:worker_threads";
import { defineJob } from "spillway/job";
import { compute } from "./compute.mjs";

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(8));

export default defineJob({
  name: "computes",
  perform() {
    compute();
    Atomics.add(runs, 0, 1);
  },
});
