/**
 * One node with one to a thousand partitions: until all of them run, what they hold, and jobs that go through all of them
 * in turn; on the embedded broker and in memory.
 *
 * Owns a node at a time and one of a single partition beside it, and one folder on a real disk, deleted at the end.
 */
import { join } from "node:path";
import type { Runtime } from "../../src/index.ts";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { runsOfOurs, runsReach, THREADS } from "../baselines/raw.ts";
import { type Bench, callers, type Sample, timed } from "../runner/bench.ts";
import { heapMiB, makeFolder, removeFolder } from "../runner/machine.ts";
import { loadJob, loadSpillway } from "../runner/package.ts";

const COUNTS = [1, 10, 100, 1_000];
const BROKERS = ["embedded", "memory"] as const;
type BrokerKind = (typeof BROKERS)[number];

const JOBS = 20_000;
const AWAITED = 256;
/** Of each queue: the node's slots are what all share. */
const CONCURRENCY = 4;
/** Of the most partitions. */
const MOST_START_MS = 15_000;
const MOST_MIB = 100;

export async function partitionsSuite(bench: Bench): Promise<void> {
  const { path } = makeFolder(bench.settings.data);
  try {
    for (const kind of BROKERS) await grows(bench, kind, path);
  } finally {
    removeFolder(path);
  }
}

async function grows(bench: Bench, kind: BrokerKind, folder: string): Promise<void> {
  const one = await Town.start(kind, join(folder, `${kind}-one`), 1);
  try {
    // a small run has fewer jobs than some have partitions
    for (const count of COUNTS.filter((count) => count <= bench.settings.count(JOBS))) {
      bench.say(`${count} partitions, ${kind}`);
      const before = await heapMiB();
      const began = performance.now();
      const town = await Town.start(kind, join(folder, `${kind}-${count}`), count);
      const startMs = performance.now() - began;
      try {
        holds(bench, kind, count, startMs, (await heapMiB()) - before);
        await throughput(bench, kind, town, one);
      } finally {
        await town.stop();
      }
    }
  } finally {
    await one.stop();
  }
}

const curve = (title: string, kind: BrokerKind, count: number) => ({
  curve: { title, axis: "partitions", at: count, line: kind, alone: true },
});
const nameOf = (kind: BrokerKind, count: number) =>
  `${count.toLocaleString("en-US")} partition${count === 1 ? "" : "s"}, ${kind}`;

function holds(bench: Bench, kind: BrokerKind, count: number, startMs: number, moreMiB: number): void {
  const row = { case: nameOf(kind, count), checked: 0 };
  const isMost = count === COUNTS.at(-1);
  bench.atMost({
    ...row,
    metric: "until all run",
    unit: "ms",
    values: [startMs],
    ...(isMost ? { goal: MOST_START_MS } : {}),
    ...curve("Until all run", kind, count),
  });
  bench.atMost({
    ...row,
    metric: "heap + external, more",
    unit: "MiB",
    values: [moreMiB],
    ...(isMost ? { goal: MOST_MIB } : {}),
    ...curve("Heap and external", kind, count),
  });
}

async function throughput(bench: Bench, kind: BrokerKind, town: Town, one: Town): Promise<void> {
  const jobs = bench.settings.count(JOBS);
  await bench.duel({
    case: nameOf(kind, town.count),
    metric: "no-op jobs, through all in turn",
    unit: "jobs/s",
    ours: () => town.run(bench, jobs),
    baseline: { name: "one partition", run: () => one.run(bench, jobs) },
    ...curve("No-op jobs a second, through all in turn", kind, town.count),
  });
}

/** A node with so many partitions of one queue each. */
class Town {
  readonly count: number;
  readonly #runtime: Runtime;
  readonly #job: JobDefinition;

  private constructor(count: number, runtime: Runtime, job: JobDefinition) {
    this.count = count;
    this.#runtime = runtime;
    this.#job = job;
  }

  static async start(kind: BrokerKind, path: string, count: number): Promise<Town> {
    const { Runtime, embedded, memory } = await loadSpillway();
    const { definition, url } = await loadJob<JobDefinition>("noop");
    const queues = { default: CONCURRENCY };
    const runtime = await Runtime.start({
      broker: kind === "embedded" ? embedded({ path }) : memory(),
      jobs: url,
      partitions: Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, queues])),
      threads: THREADS,
    });
    return new Town(count, runtime, definition);
  }

  /** Ends when the last has run; as many runs as jobs. */
  async run(bench: Bench, jobs: number): Promise<Sample> {
    const before = runsOfOurs();
    let next = 0;
    const measured = await timed(jobs, async () => {
      await callers(AWAITED, jobs, async (take) => {
        while (take())
          await this.#runtime.enqueue(this.#job, undefined, { partition: `p${next++ % this.count}` });
      });
      await runsReach(before + jobs);
    });
    bench.check(`runs of jobs of ${this.count} partitions`, jobs, runsOfOurs() - before);
    return { ...measured, checked: jobs };
  }

  stop(): Promise<unknown> {
    return this.#runtime.stop();
  }
}
