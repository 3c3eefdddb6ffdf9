/**
 * A job that waits for 50 ms and computes nothing, as one that asks a database: a slot is taken, a core is not.
 *
 * It counts its runs, in memory that all threads share.
 */
import { setTimeout } from "node:timers/promises";
import { getEnvironmentData } from "node:worker_threads";
import { defineJob } from "spillway/job";

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(8));

export default defineJob({
  name: "waits",
  async perform() {
    await setTimeout(50);
    Atomics.add(runs, 0, 1);
  },
});
