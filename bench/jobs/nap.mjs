/**
 * A job of 5 ms that counts its runs: enough of them are still there when a broker has been killed.
 */
import { setTimeout } from "node:timers/promises";
import { getEnvironmentData } from "node:worker_threads";
import { defineJob } from "spillway/job";

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(8));

export default defineJob({
  name: "nap",
  async perform() {
    await setTimeout(5);
    Atomics.add(runs, 0, 1);
  },
});
