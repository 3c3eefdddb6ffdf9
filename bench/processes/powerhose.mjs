/**
 * A worker of Powerhose beside the bench: gives each job's data back as its result, and counts its bodies.
 *
 * It serves one master after the other, each from `work` until `leave`, which tells how many bodies have run for it.
 */
import { PowerhoseWorker } from "spillway/gateways";
import { serve } from "./serve.mjs";

let worker;
let ended;
let ran = 0;

serve({
  work({ endpoint, workpoint }) {
    ran = 0;
    worker = new PowerhoseWorker(endpoint, workpoint, ([, data]) => {
      ran += 1;
      return data;
    });
    ended = worker.run();
    ended.catch(() => {}); // `leave` tells it
  },
  async leave() {
    await worker.stop();
    await ended;
    return ran;
  },
  stop() {},
});
