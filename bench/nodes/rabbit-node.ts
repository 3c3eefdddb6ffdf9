/**
 * One runtime on the RabbitMQ broker, as the suites use it: its queue is filled first and consumed when told.
 *
 * Owns the runtime until `stop`; what it makes on the broker belongs to the place. Listens to no event unless a row
 * is about them.
 */
import type { Logger, Runtime } from "../../src/index.ts";
import type { AnyJobDefinition } from "../../src/jobs/definition.ts";
import { runsOfOurs, runsReach, THREADS } from "../baselines/raw.ts";
import type { Bench } from "../runner/bench.ts";
import { loadSpillway } from "../runner/package.ts";
import type { Noop } from "./durable-node.ts";
import { PARTITION, QUEUE, type QueueType, type RabbitPlace } from "./rabbit-place.ts";

/** For what is run down outside of the clock. */
const WIDE = 1_000;

/** The bytes that a job of ours has on the broker. */
export async function bodyOf(definition: AnyJobDefinition, args?: unknown): Promise<Buffer> {
  const { createJob, encodeJob } = await loadSpillway();
  return Buffer.from(encodeJob(createJob(definition, args), PARTITION));
}

export interface RabbitNodeOptions {
  readonly bench: Bench;
  readonly place: RabbitPlace;
  readonly type: QueueType;
  readonly job: Noop;
  readonly concurrency?: number;
  readonly logger?: Logger;
  /** This broker will be killed: nothing is relied on in a queue that is too young for that. */
  readonly mortal?: boolean;
}

export class RabbitNode {
  readonly #runtime: Runtime;
  readonly #options: RabbitNodeOptions;

  private constructor(runtime: Runtime, options: RabbitNodeOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  static async start(options: RabbitNodeOptions): Promise<RabbitNode> {
    const { Runtime, rabbitmq } = await loadSpillway();
    const { place, type, job, concurrency = 0, logger, mortal = false } = options;
    const { url, prefix } = place;
    // A grace would hold up the first two seconds of enqueues.
    const grace = mortal ? {} : { newQueueGrace: 0 };
    const runtime = await Runtime.start({
      broker: rabbitmq({ url, prefix, queueType: type, ...grace }),
      jobs: job.url,
      partitions: { [PARTITION]: { [QUEUE]: concurrency } },
      threads: THREADS,
      ...(logger === undefined ? {} : { logger }),
    });
    return new RabbitNode(runtime, options);
  }

  async enqueue(args?: unknown): Promise<void> {
    await this.#runtime.enqueue(this.#options.job.definition, args, { partition: PARTITION });
  }

  async enqueueMany(count: number): Promise<void> {
    const list = new Array(count).fill(undefined);
    await this.#runtime.enqueueMany(this.#options.job.definition, list, { partition: PARTITION });
  }

  /** Enqueues one and waits for its end. */
  async run(args?: unknown): Promise<void> {
    const handle = await this.#runtime.enqueue(this.#options.job.definition, args, {
      partition: PARTITION,
    });
    await handle.result();
  }

  /** Asks the partition's coordinator, which stores nothing for it. */
  async isQueued(queueKey: string): Promise<boolean> {
    return this.#runtime.keys.isQueued(PARTITION, queueKey);
  }

  /** Subscribes, or changes how many are in hand at the most. */
  async consume(concurrency: number): Promise<void> {
    await this.#runtime.partitions.reconfigure(PARTITION, { [QUEUE]: concurrency });
  }

  /** Lets go of the queue; all that was in this node's hands has settled by then. */
  async rest(): Promise<void> {
    await this.#runtime.partitions.safeStop(PARTITION);
    await this.#runtime.partitions.start(PARTITION, { [QUEUE]: 0 });
  }

  /** Calls `each` at each completion until told to stop. */
  onCompletion(each: () => void): () => void {
    this.#runtime.on("job.completed", each);
    return () => this.#runtime.off("job.completed", each);
  }

  /** Runs down what `jobs` enqueues have left on the broker. */
  async runAll(jobs: number): Promise<void> {
    const before = runsOfOurs();
    await this.consume(WIDE);
    await runsReach(before + jobs);
    await this.settled(jobs, before);
  }

  /** Nothing is left, so each has run; as many runs as jobs, so none has run twice. */
  async settled(jobs: number, runsBefore: number): Promise<void> {
    const { bench, place } = this.#options;
    await this.rest();
    bench.check("jobs left", 0, await place.ready(place.queue));
    bench.check("runs of jobs", jobs, runsOfOurs() - runsBefore);
  }

  async stop(): Promise<void> {
    await this.#runtime.stop();
  }
}
