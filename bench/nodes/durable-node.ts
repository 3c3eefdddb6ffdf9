/**
 * One runtime on the embedded broker, as the suites use it: jobs in, what is left counted.
 *
 * Owns the runtime until `stop`; its folder belongs to the suite. Listens to no event unless a row is about them:
 * an event that nobody wants costs nothing, and rows are about jobs.
 */
import type { Runtime } from "../../src/index.ts";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import type { QueueInfo } from "../../src/runtime/info.ts";
import { THREADS } from "../baselines/raw.ts";
import { loadJob, loadSpillway } from "../runner/package.ts";

export interface Noop {
  readonly definition: JobDefinition;
  readonly url: URL;
}

export interface Completions {
  /** Resolves at the last one. */
  readonly all: Promise<void>;
  /** How many different jobs completed; counted after the clock has stopped. */
  different(): number;
}

const PARTITION = "bench";
export const CONCURRENCY = 256;

export class DurableNode {
  readonly #runtime: Runtime;
  readonly #job: JobDefinition;

  private constructor(runtime: Runtime, job: JobDefinition) {
    this.#runtime = runtime;
    this.#job = job;
  }

  static async start(path: string, options: { concurrency?: number; job?: Noop } = {}): Promise<DurableNode> {
    const { Runtime, embedded } = await loadSpillway();
    const job = options.job ?? (await loadJob<JobDefinition>("noop"));
    const runtime = await Runtime.start({
      broker: embedded({ path }),
      jobs: job.url,
      partitions: { [PARTITION]: { default: options.concurrency ?? CONCURRENCY } },
      threads: THREADS,
    });
    return new DurableNode(runtime, job.definition);
  }

  async enqueue(args?: unknown): Promise<void> {
    await this.#runtime.enqueue(this.#job, args, { partition: PARTITION });
  }

  async enqueueMany(count: number): Promise<void> {
    await this.#runtime.enqueueMany(this.#job, new Array(count).fill(undefined), { partition: PARTITION });
  }

  /** The next `count` completions; `each` is called at each of them. */
  completions(count: number, each: () => void): Completions {
    const runtime = this.#runtime;
    const ids: string[] = [];
    const all = new Promise<void>((resolve) => {
      const listener = ({ id }: { readonly id: string }) => {
        each();
        if (ids.push(id) < count) return;
        runtime.off("job.completed", listener);
        resolve();
      };
      runtime.on("job.completed", listener);
    });
    return { all, different: () => new Set(ids).size };
  }

  /** Changes what this node consumes; all that was in its hands has run or is on the broker again by then. */
  async consume(concurrency: number): Promise<void> {
    await this.#runtime.partitions.safeStop(PARTITION);
    await this.#runtime.partitions.start(PARTITION, { default: concurrency });
  }

  /** Jobs that wait on the broker. */
  async ready(): Promise<number> {
    return (await this.#queue()).ready;
  }

  /** Jobs that are anywhere: 0 when all have ended well. Call it when nothing is in this node's hands. */
  async left(): Promise<number> {
    const { ready, scheduled = 0, buried, running, waiting } = await this.#queue();
    return ready + scheduled + buried + running + waiting;
  }

  async #queue(): Promise<QueueInfo> {
    const partitions = await this.#runtime.node.partitions();
    const queue = partitions[PARTITION]?.default;
    if (queue === undefined) throw new Error(`partition ${PARTITION} does not run`);
    return queue;
  }

  async stop(): Promise<void> {
    await this.#runtime.stop();
  }
}
