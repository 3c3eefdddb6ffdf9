/**
 * A standing backlog: what a million waiting jobs cost in heap and on disk, how long a start takes then, and whether
 * jobs run as fast over it as over a thousand.
 *
 * Owns two stores below the suite's folder, and a node on each while it is measured.
 */
import { join } from "node:path";
import { CONCURRENCY, DurableNode } from "./durable-node.ts";
import { folderMiB, heapMiB } from "./machine.ts";
import { runsOfOurs } from "./raw.ts";
import { type Bench, callers, type Sample, timed } from "./runner.ts";

const GROUP = 1_000;
const SMALL = 1_000;
/** Jobs that enter and leave while a backlog stands. */
const WINDOW = 30_000;
const AT_ONCE = 4;

export async function backlog(bench: Bench, folder: string): Promise<void> {
  const full = bench.settings.quick ? 500_000 : 1_000_000;
  const large = Math.ceil(bench.settings.count(full) / GROUP) * GROUP;
  const paths = { large: join(folder, "large"), small: join(folder, "small") };
  const name = `backlog of ${large.toLocaleString("en-US")}`;
  bench.say(name);
  await filling(bench, name, paths.large, large);
  const before = performance.now();
  const largeNode = await DurableNode.start(paths.large, { concurrency: 0 });
  const reopenMs = performance.now() - before;
  bench.atMost({ case: name, metric: "start", unit: "ms", values: [reopenMs], checked: 0 });
  bench.check("jobs after a new start", large, await largeNode.ready());
  const smallNode = await DurableNode.start(paths.small, { concurrency: 0 });
  try {
    await fill(smallNode, SMALL);
    const jobs = bench.settings.count(WINDOW);
    await bench.duel({
      case: name,
      metric: "no-op jobs over it",
      unit: "jobs/s",
      ours: () => over(bench, largeNode, large, jobs),
      baseline: {
        name: `backlog of ${SMALL.toLocaleString("en-US")}`,
        run: () => over(bench, smallNode, SMALL, jobs),
      },
      goal: 0.9,
    });
  } finally {
    await largeNode.stop();
    await smallNode.stop();
  }
}

async function filling(bench: Bench, name: string, path: string, large: number): Promise<void> {
  const node = await DurableNode.start(path, { concurrency: 0 });
  try {
    await fill(node, GROUP);
    const before = await heapMiB();
    const { value } = await timed(large - GROUP, () => fill(node, large - GROUP));
    const more = (await heapMiB()) - before;
    bench.check("jobs that wait", large, await node.ready());
    const row = { case: name, checked: 0 };
    bench.atMost({ ...row, metric: "heap + external, more", unit: "MiB", values: [more], goal: 64 });
    bench.atMost({ ...row, metric: `enqueued, groups of ${GROUP}`, unit: "jobs/s", values: [value] });
    bench.atMost({ ...row, metric: "on disk", unit: "MiB", values: [folderMiB(path)] });
  } finally {
    await node.stop();
  }
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
