/**
 * One runtime on the embedded broker, as the suites use it: no-op jobs in, completions counted.
 *
 * Owns the runtime until `stop`; its folder belongs to the suite. Completions are read from events, since a
 * `result()` for each would be one more thing in flight than the rows speak of.
 */
import type { Runtime } from "../src/index.ts";
import type { JobDefinition } from "../src/jobs/definition.ts";
import { loadJob, loadSpillway } from "./package.ts";
import { THREADS } from "./raw.ts";

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
  completions(count: number, options: { remember?: boolean; each?: () => void } = {}): Completions {
    const { remember = true, each } = options;
    const runtime = this.#runtime;
    const ids: string[] = [];
    let seen = 0;
    const all = new Promise<void>((resolve) => {
      const listener = ({ id }: { readonly id: string }) => {
        if (remember) ids.push(id);
        each?.();
        if (++seen < count) return;
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
    const partitions = await this.#runtime.node.partitions();
    return partitions[PARTITION]?.default?.ready ?? 0;
  }

  async stop(): Promise<void> {
    await this.#runtime.stop();
  }
}
