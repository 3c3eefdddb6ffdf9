/**
 * The durable broker: jobs a second against raw Piscina, which keeps nothing; a lone enqueue against one flush of
 * the same disk; and what jobs that have ended leave in the heap.
 *
 * Owns one folder on a real disk, deleted at the end, and below it a store for each part.
 */
import { join } from "node:path";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { FlushProbe } from "../baselines/flush.ts";
import { RawPool, runsOfOurs, runsReach } from "../baselines/raw.ts";
import { CONCURRENCY, DurableNode, type Noop } from "../nodes/durable-node.ts";
import { type Bench, callers, median, type Sample, timed } from "../runner/bench.ts";
import { heapMiB, mainThreadUs, makeFolder, removeFolder } from "../runner/machine.ts";
import { loadJob } from "../runner/package.ts";

export async function embeddedSuite(bench: Bench): Promise<void> {
  const { path, onDisk } = makeFolder(bench.settings.data);
  if (!onDisk)
    bench.say("the folder is in memory, where a flush costs nothing: give --data a folder on a disk");
  try {
    await throughput(bench, join(path, "throughput"));
    await loneEnqueue(bench, path);
    await ended(bench, join(path, "ended"));
  } finally {
    removeFolder(path);
  }
}

const AWAITED = 256;
const GROUP = 100;
const GROUPS = 4;

/** Ends when the last job has run; what is awaited all the time are enqueues, 256 of them or 4 groups. */
async function throughput(bench: Bench, path: string): Promise<void> {
  const node = await DurableNode.start(path);
  const raw = await RawPool.start(bench);
  const jobs = Math.ceil(bench.settings.count(100_000) / GROUP) * GROUP;
  const single = () =>
    measure(bench, node, jobs, () =>
      callers(AWAITED, jobs, async (take) => {
        while (take()) await node.enqueue();
      }),
    );
  const groups = () =>
    measure(bench, node, jobs, () =>
      callers(GROUPS, jobs / GROUP, async (take) => {
        while (take()) await node.enqueueMany(GROUP);
      }),
    );
  try {
    await bench.duel({
      case: `${AWAITED} enqueues awaited`,
      metric: "no-op jobs",
      unit: "jobs/s",
      ours: single,
      baseline: { name: "raw Piscina", run: () => raw.run(jobs, AWAITED) },
      goal: 3,
      mainGoalUs: 8,
    });
    await bench.duel({
      case: `enqueueMany of ${GROUP}, ${GROUPS} at once`,
      metric: "no-op jobs",
      unit: "jobs/s",
      ours: groups,
      baseline: { name: "raw Piscina", run: () => raw.run(jobs, GROUP * GROUPS) },
      goal: 3,
      mainGoalUs: 8,
    });
  } finally {
    await node.stop();
    await raw.close();
  }
}

export async function measure(
  bench: Bench,
  node: DurableNode,
  jobs: number,
  enqueueAll: () => Promise<void>,
): Promise<Sample> {
  const runsBefore = runsOfOurs();
  const measured = await timed(
    jobs,
    async () => {
      await enqueueAll();
      await runsReach(runsBefore + jobs);
    },
    mainThreadUs,
  );
  // Nothing is left, so each has run; as many runs as jobs, so none has run twice.
  await node.consume(CONCURRENCY);
  bench.check("jobs left", 0, await node.left());
  bench.check("runs of jobs", jobs, runsOfOurs() - runsBefore);
  return { ...measured, checked: jobs };
}

/** One at a time, each beside one flush: what the disk does to one it does to the other. */
async function loneEnqueue(bench: Bench, folder: string): Promise<void> {
  bench.say("lone enqueue");
  // Concurrency 0: nothing runs, so no completion's commit stands in the way.
  const node = await DurableNode.start(join(folder, "lone"), { concurrency: 0 });
  const probe = new FlushProbe(join(folder, "flush"));
  const times = bench.settings.count(400);
  const enqueues: number[] = [];
  const flushes: number[] = [];
  try {
    for (let i = 0; i < bench.settings.rounds; i++) {
      const round = { enqueues: [] as number[], flushes: [] as number[] };
      for (let n = 0; n < times / bench.settings.rounds; n++) {
        const before = performance.now();
        await node.enqueue();
        round.enqueues.push(performance.now() - before);
        round.flushes.push(probe.flushMs());
      }
      enqueues.push(median(round.enqueues));
      flushes.push(median(round.flushes));
    }
  } finally {
    probe.close();
    await node.stop();
  }
  const flush = median(flushes);
  bench.atMost({
    case: "lone durable enqueue",
    metric: "p50",
    unit: "ms",
    values: enqueues,
    goal: 2 * flush + 1,
    baseline: { name: "one flush, ms", value: flush },
    checked: 0,
    note: "goal = 2 × flush + 1 ms",
  });
}

/** What is left of jobs that have ended: the ends of the last 10,000, for whoever asks for a result. */
async function ended(bench: Bench, path: string): Promise<void> {
  bench.say("heap after jobs have ended");
  const job =
    await loadJob<JobDefinition<"small", { n: number; text: string }, { n: number; text: string }, void>>(
      "small",
    );
  const node = await DurableNode.start(path, { job: job as Noop });
  const jobs = bench.settings.count(200_000);
  const args = (n: number) => ({ n, text: `${n}`.padEnd(100, "x") });
  const run = (count: number) =>
    measure(bench, node, count, () =>
      callers(AWAITED, count, async (take) => {
        while (take()) await node.enqueue(args(count));
      }),
    );
  try {
    await run(Math.min(2_000, jobs));
    const before = await heapMiB();
    await run(jobs);
    const after = await heapMiB();
    bench.atMost({
      case: `after ${jobs.toLocaleString("en-US")} jobs`,
      metric: "heap + external, more",
      unit: "MiB",
      values: [after - before],
      goal: 16,
      checked: jobs,
    });
  } finally {
    await node.stop();
  }
}
