/**
 * A service with two threads: one queue for what does not end, one body at a time, and one for its daily work.
 *
 * Owns the runtime. Every way has its turn while a digest is asked for every ten milliseconds; what is known of each is
 * taken from the events, as a service would.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as wait } from "node:timers/promises";
import { memory, Runtime } from "spillway";

const PARTITION = "service";
const EVERY_MS = 10;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export class Service {
  /** The daily work: when each was asked for and answered; `failed` as it was told. */
  digests = [];
  failed = [];
  #loop = monitorEventLoopDelay({ resolution: 5 });
  #working = true;

  static async start() {
    const service = new Service();
    service.runtime = await Runtime.start({
      broker: memory(),
      jobs: new URL("./jobs/", import.meta.url),
      partitions: { [PARTITION]: { wild: 1, beside: 1 } },
      threads: 2,
      spares: 1,
      logger: quiet,
    });
    await service.#digest();
    service.#loop.enable();
    service.work = service.#work();
    return service;
  }

  /** Runs one way to its end: `{ error, report, startedAt, endedAt }`. */
  async run({ job }) {
    let start;
    let report;
    const started = ({ job: name }) => {
      if (name === job) start = this.#startOf(job);
    };
    const killed = ({ job: name, report: ofIt }) => {
      if (name === job) report = ofIt;
    };
    this.runtime.on("job.started", started).on("job.killed", killed);
    const handle = await this.runtime.enqueue(job, {}, { partition: PARTITION });
    const error = await handle.result().then(
      () => undefined,
      (buried) => buried.cause ?? buried,
    );
    const endedAt = Date.now();
    this.runtime.off("job.started", started).off("job.killed", killed);
    return { error, report, startedAt: await start, endedAt };
  }

  /** Ends the daily work and the runtime; what it could not end, and how late the event loop was at worst. */
  async stop() {
    this.#working = false;
    await this.work;
    this.#loop.disable();
    const { wedged } = await this.runtime.stop();
    return { wedged, loopMs: this.#loop.max / 1e6 };
  }

  /** As the thread has it: the event comes with the next look at its cells. */
  async #startOf(job) {
    const now = Date.now();
    const running = await this.runtime.node.runningJobs(PARTITION);
    return running.find((one) => one.job === job)?.startedAt ?? now;
  }

  async #work() {
    while (this.#working) {
      await this.#digest();
      await wait(EVERY_MS);
    }
  }

  async #digest() {
    const askedAt = Date.now();
    try {
      await this.runtime.execute("digest", { text: "spillway" }, { partition: PARTITION });
      this.digests.push({ askedAt, endedAt: Date.now() });
    } catch (error) {
      this.failed.push(error);
    }
  }
}
