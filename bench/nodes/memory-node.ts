/**
 * One runtime on the memory broker, as the suites use it: each job's result is awaited.
 *
 * Owns the runtime until `stop`. Results and runs are both counted: together they say that each job ran exactly once.
 */
import type { Runtime } from "../../src/index.ts";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { runsOfOurs, THREADS } from "../baselines/raw.ts";
import { type Bench, callers, type Sample, timed } from "../runner/bench.ts";
import { mainThreadUs } from "../runner/machine.ts";
import { loadSpillway } from "../runner/package.ts";
import type { Noop } from "./durable-node.ts";

const PARTITION = "bench";
const CONCURRENCY = 64;

export class MemoryNode {
  readonly #bench: Bench;
  readonly #runtime: Runtime;
  readonly #job: JobDefinition;

  private constructor(bench: Bench, runtime: Runtime, job: JobDefinition) {
    this.#bench = bench;
    this.#runtime = runtime;
    this.#job = job;
  }

  static async start(bench: Bench, job: Noop): Promise<MemoryNode> {
    const { Runtime, memory } = await loadSpillway();
    const runtime = await Runtime.start({
      broker: memory(),
      jobs: job.url,
      partitions: { [PARTITION]: { default: CONCURRENCY } },
      threads: THREADS,
    });
    return new MemoryNode(bench, runtime, job.definition);
  }

  async enqueue(args?: unknown): Promise<void> {
    await this.#runtime.enqueue(this.#job, args, { partition: PARTITION });
  }

  /** Enqueues one and waits for its end. */
  async run(args?: unknown): Promise<void> {
    const handle = await this.#runtime.enqueue(this.#job, args, { partition: PARTITION });
    await handle.result();
  }

  /** `jobs` of them, with so many in flight. */
  async runAll(jobs: number, inFlight: number): Promise<Sample> {
    const before = runsOfOurs();
    let results = 0;
    const work = () =>
      callers(inFlight, jobs, async (take) => {
        while (take()) {
          await this.run();
          results++;
        }
      });
    const measured = await timed(jobs, work, mainThreadUs);
    this.#bench.check("results of jobs", jobs, results);
    this.#bench.check("runs of jobs", jobs, runsOfOurs() - before);
    return { ...measured, checked: jobs };
  }

  async stop(): Promise<void> {
    await this.#runtime.stop();
  }
}
