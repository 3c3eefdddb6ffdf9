/**
 * A bare `Worker` with nothing of ours in it: how soon one that spins is gone once it is terminated, and how soon one that
 * sleeps runs what it is sent. What no runtime can be faster than, on this machine and under this load.
 *
 * Owns each thread until it has exited; the one that sleeps until `close`.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";

const SPINS = `require("node:worker_threads").parentPort.postMessage("spins"); for (;;);`;
const BEGINS = `require("node:worker_threads").parentPort.on("message", () => {
  require("node:worker_threads").parentPort.postMessage(process.hrtime.bigint());
});`;
/** As long as the bodies run that are killed beside it. */
const RUNS_MS = 20;

export class BareThreads {
  readonly #sleeper = new Worker(BEGINS, { eval: true });

  /** From `terminate` until it is gone, in ms. */
  async killMs(): Promise<number> {
    const thread = new Worker(SPINS, { eval: true });
    await once(thread, "message");
    await new Promise((resolve) => setTimeout(resolve, RUNS_MS));
    const from = performance.now();
    await thread.terminate();
    return performance.now() - from;
  }

  /** From the send until its code runs, in ms. */
  async beginMs(): Promise<number> {
    const from = process.hrtime.bigint();
    this.#sleeper.postMessage("begin");
    const [at] = (await once(this.#sleeper, "message")) as [bigint];
    return Number(at - from) / 1e6;
  }

  async close(): Promise<void> {
    await this.#sleeper.terminate();
  }
}
