/**
 * A standing backlog, from a thousand jobs to a million: what they cost in heap and on disk, how long a start takes then,
 * and whether jobs run as fast over it as over a thousand.
 *
 * Owns one folder on a real disk, deleted at the end, in it a store for each size, and a node on each while it is measured.
 */
import { join } from "node:path";
import { runsOfOurs } from "../baselines/raw.ts";
import { CONCURRENCY, DurableNode } from "../nodes/durable-node.ts";
import { type Bench, callers, type Sample, timed } from "../runner/bench.ts";
import { folderMiB, heapMiB, makeFolder, removeFolder } from "../runner/machine.ts";

const GROUP = 1_000;
const SMALL = 1_000;
const SIZES = [10_000, 100_000, 1_000_000];
/** Jobs that enter and leave while a backlog stands. */
const WINDOW = 30_000;
const AT_ONCE = 4;
const AXIS = "jobs that wait";

const nameOf = (size: number) => `backlog of ${size.toLocaleString("en-US")}`;

export async function backlogSuite(bench: Bench): Promise<void> {
  const { path, onDisk } = makeFolder(bench.settings.data);
  if (!onDisk)
    bench.say("the folder is in memory, where a flush costs nothing: give --data a folder on a disk");
  try {
    await cost(bench, join(path, "small"), SMALL);
    const small = await DurableNode.start(join(path, "small"), { concurrency: 0 });
    try {
      await throughput(bench, small, SMALL, undefined);
      for (const size of sizes(bench)) await beside(bench, small, join(path, `${size}`), size);
    } finally {
      await small.stop();
    }
  } finally {
    removeFolder(path);
  }
}

/** Whole groups, more than the smallest; small runs have fewer sizes. */
function sizes({ settings }: Bench): number[] {
  const all = SIZES.map((full) => Math.ceil(settings.count(full) / GROUP) * GROUP);
  return [...new Set(all)].filter((size) => size > SMALL);
}

async function beside(bench: Bench, small: DurableNode, path: string, size: number): Promise<void> {
  await cost(bench, path, size);
  const node = await DurableNode.start(path, { concurrency: 0 });
  try {
    await throughput(bench, node, size, small);
  } finally {
    await node.stop();
    removeFolder(path);
  }
}

/** Fills a store, and starts a node on it again. */
async function cost(bench: Bench, path: string, size: number): Promise<void> {
  const name = nameOf(size);
  bench.say(name);
  const row = { case: name, checked: 0 };
  const curve = (title: string) => ({ title, axis: AXIS, at: size });
  const node = await DurableNode.start(path, { concurrency: 0 });
  try {
    const before = await heapMiB();
    const { value } = await timed(size, () => fill(node, size));
    const more = (await heapMiB()) - before;
    bench.check("jobs that wait", size, await node.ready());
    bench.atMost({
      ...row,
      metric: "heap + external, more",
      unit: "MiB",
      values: [more],
      goal: 64,
      curve: curve("Heap and external, more than without"),
    });
    bench.atMost({ ...row, metric: `enqueued, groups of ${GROUP}`, unit: "jobs/s", values: [value] });
    const disk = [folderMiB(path)];
    bench.atMost({ ...row, metric: "on disk", unit: "MiB", values: disk, curve: curve("On disk") });
  } finally {
    await node.stop();
  }
  const before = performance.now();
  const again = await DurableNode.start(path, { concurrency: 0 });
  const reopened = [performance.now() - before];
  bench.atMost({
    ...row,
    metric: "start",
    unit: "ms",
    values: reopened,
    curve: curve("A new start over it"),
  });
  bench.check("jobs after a new start", size, await again.ready());
  await again.stop();
}

async function throughput(
  bench: Bench,
  node: DurableNode,
  size: number,
  small: DurableNode | undefined,
): Promise<void> {
  const jobs = bench.settings.count(WINDOW);
  const baseline = (under: DurableNode) => ({
    baseline: { name: nameOf(SMALL), run: () => over(bench, under, SMALL, jobs) },
    goal: 0.9,
  });
  await bench.duel({
    case: nameOf(size),
    metric: "no-op jobs over it",
    unit: "jobs/s",
    ours: () => over(bench, node, size, jobs),
    curve: { title: "Jobs that enter and leave meanwhile", axis: AXIS, at: size, alone: true },
    ...(small === undefined ? { baseline: undefined } : baseline(small)),
  });
}

function fill(node: DurableNode, jobs: number): Promise<void> {
  return callers(AT_ONCE, jobs / GROUP, async (take) => {
    while (take()) await node.enqueueMany(GROUP);
  });
}

/** Each completion lets one more be enqueued, so the backlog stands as it was: as many enter as leave. */
async function over(bench: Bench, node: DurableNode, standing: number, jobs: number): Promise<Sample> {
  // What ran on after the last run's clock is replaced first: a backlog that ends would end the run as well.
  const missing = standing - (await node.ready());
  if (missing > 0) await node.enqueueMany(missing);
  const runsBefore = runsOfOurs();
  const readyBefore = await node.ready();
  const enqueues: Promise<void>[] = [];
  const completions = node.completions(jobs, () => enqueues.push(node.enqueue()));
  const measured = await timed(jobs, async () => {
    await node.consume(CONCURRENCY);
    await completions.all;
    await Promise.all(enqueues);
  });
  await node.consume(0);
  bench.check("different jobs completed over a backlog", jobs, completions.different());
  // Some ran on while the consumer was being stopped: each run must still be a different job's.
  const left = readyBefore + enqueues.length - (await node.ready());
  bench.check("runs over a backlog", left, runsOfOurs() - runsBefore);
  return { ...measured, checked: jobs };
}
