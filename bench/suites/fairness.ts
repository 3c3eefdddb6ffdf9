/**
 * How slots are shared between partitions that all have more than they can run, and how long a lone job of another one
 * waits: through the whole runtime, on the memory broker, with bodies of 5 ms.
 *
 * Owns a runtime at a time. Delays are counted in jobs that ended meanwhile, over the slots, so a slow machine is no
 * matter; one that leaves the lone job's thread without a CPU is. Every job's own completion is seen once, and the bodies'
 * count is compared with the number of jobs.
 */
import type { JobDefinition } from "../../src/jobs/definition.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { runsOfOurs, THREADS } from "../baselines/raw.ts";
import type { Bench } from "../runner/bench.ts";
import { loadJob, loadSpillway } from "../runner/package.ts";

const COUNTS = [2, 10, 100, 1_000];
const JOBS = 8_000;
const LEAST_EACH = 4;
const BACKLOG = 100_000;
const LONE = "lone";
/** Of a queue in this node's hands; more than it gets slots, so that it always has jobs waiting. */
const CONCURRENCY = 16;

export async function fairnessSuite(bench: Bench): Promise<void> {
  const { definition, url } = await loadJob<JobDefinition<"nap", void, void, void>>("nap");
  const total = bench.settings.count(JOBS);
  for (const count of COUNTS) {
    if (count > total) bench.say(`${count} partitions are left out: there are no more than ${total} jobs`);
    else await new Town(bench, definition, url).shares(count, Math.max(LEAST_EACH, Math.ceil(total / count)));
  }
  await new Town(bench, definition, url).backlog(bench.settings.count(BACKLOG));
}

/** One runtime with so many partitions, and one more for the job that comes alone. */
class Town {
  readonly #bench: Bench;
  readonly #nap: JobDefinition<"nap", void, void, void>;
  readonly #url: URL;
  /** Completions by id, and by partition. */
  readonly #ended = new Map<string, number>();
  readonly #ends = new Map<string, number>();
  #told: () => void = () => {};

  constructor(bench: Bench, nap: JobDefinition<"nap", void, void, void>, url: URL) {
    this.#bench = bench;
    this.#nap = nap;
    this.#url = url;
  }

  async shares(count: number, each: number): Promise<void> {
    const name = `${count} partitions`;
    this.#bench.say(name);
    const partitions = Array.from({ length: count }, (_, i) => `p${i}`);
    const before = runsOfOurs();
    const runtime = await this.#start(partitions);
    try {
      const queues = partitions.map((partition) => [partition, "default"] as const);
      await Promise.all(queues.map((queue) => runtime.queues.pause(...queue)));
      for (const partition of partitions) await this.#fill(runtime, partition, each);
      await Promise.all(queues.map((queue) => runtime.queues.resume(...queue)));
      const total = count * each;
      const delays: number[] = [];
      while (this.#all < total / 2) delays.push(await this.#delay(runtime));
      const ends = partitions.map((partition) => this.#ends.get(partition) ?? 0);
      const mean = ends.reduce((a, b) => a + b, 0) / count;
      await this.#until(() => this.#all === total + delays.length);
      this.#check(total + delays.length, runsOfOurs() - before);
      const row = { case: name, checked: total + delays.length };
      this.#bench.atMost({
        ...row,
        metric: "least share, of an equal one",
        unit: "",
        values: [Math.min(...ends) / mean],
      });
      this.#bench.atMost({
        ...row,
        metric: "largest share, of an equal one",
        unit: "",
        values: [Math.max(...ends) / mean],
      });
      this.#worst(row, delays, count / THREADS + 1);
    } finally {
      await runtime.stop();
    }
  }

  /** Nearly all of it stays with the broker, and is purged at the end. */
  async backlog(size: number): Promise<void> {
    const name = `a backlog of ${size.toLocaleString("en")} in one partition`;
    this.#bench.say(name);
    const before = runsOfOurs();
    const runtime = await this.#start(["busy"]);
    try {
      await this.#fill(runtime, "busy", size);
      const delays: number[] = [];
      for (let i = 0; i < 20 && (this.#ends.get("busy") ?? 0) < size - CONCURRENCY; i++)
        delays.push(await this.#delay(runtime));
      await runtime.queues.pause("busy", "default");
      const purged = await runtime.queues.purge("busy", "default");
      const left = size + delays.length - purged;
      await this.#until(() => this.#all === left);
      this.#check(left, runsOfOurs() - before);
      this.#worst({ case: name, checked: left }, delays, 1 / THREADS + 1);
    } finally {
      await runtime.stop();
    }
  }

  async #start(partitions: readonly string[]): Promise<Runtime> {
    const { Runtime, memory } = await loadSpillway();
    const queues = { default: CONCURRENCY };
    const runtime = await Runtime.start({
      broker: memory(),
      jobs: this.#url,
      threads: THREADS,
      partitions: Object.fromEntries([...partitions, LONE].map((partition) => [partition, queues])),
    });
    runtime.on("job.completed", ({ id, partition }) => {
      this.#ended.set(id, (this.#ended.get(id) ?? 0) + 1);
      this.#ends.set(partition, (this.#ends.get(partition) ?? 0) + 1);
      this.#told();
    });
    return runtime;
  }

  async #fill(runtime: Runtime, partition: string, jobs: number): Promise<void> {
    for (let left = jobs; left > 0; left -= 1_000) {
      const some = Array.from({ length: Math.min(left, 1_000) }, () => undefined);
      await runtime.enqueueMany(this.#nap, some, { partition });
    }
  }

  /** Of one job that comes alone: the jobs of others that ended until it had, in jobs' time, its own left out. */
  async #delay(runtime: Runtime): Promise<number> {
    const lone = this.#ends.get(LONE) ?? 0;
    const from = this.#all - lone;
    await runtime.enqueue(this.#nap, undefined, { partition: LONE });
    await this.#until(() => (this.#ends.get(LONE) ?? 0) > lone);
    return Math.max(0, (this.#all - lone - 1 - from) / THREADS - 1);
  }

  get #all(): number {
    return [...this.#ends.values()].reduce((a, b) => a + b, 0);
  }

  async #until(reached: () => boolean): Promise<void> {
    while (!reached())
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
  }

  #check(jobs: number, runs: number): void {
    this.#bench.check("jobs that ended", jobs, this.#ended.size);
    this.#bench.check(
      "ends of jobs",
      jobs,
      [...this.#ended.values()].reduce((a, b) => a + b, 0),
    );
    this.#bench.check("runs of jobs", jobs, runs);
  }

  #worst(row: { case: string; checked: number }, delays: readonly number[], goal: number): void {
    const worst = { metric: "a lone job of another waits, worst", unit: "job times" };
    this.#bench.atMost({ ...row, ...worst, values: [Math.max(...delays)], goal });
  }
}
