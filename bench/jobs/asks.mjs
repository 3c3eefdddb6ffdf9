/**
 * A job that asks a server on this machine, waits for its answer and counts its runs: it computes next to nothing.
 */
import { Agent, get } from "node:http";
import { getEnvironmentData } from "node:worker_threads";
import { defineJob } from "spillway/job";

const shared = getEnvironmentData("spillway-bench");
const runs = new Int32Array(shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(8));
const agent = new Agent({ keepAlive: true });

export default defineJob({
  name: "asks",
  async perform({ port }) {
    await new Promise((resolve, reject) => {
      get({ port, agent }, (answer) => answer.resume().once("end", resolve)).once("error", reject);
    });
    Atomics.add(runs, 0, 1);
  },
});
