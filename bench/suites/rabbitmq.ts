/**
 * The RabbitMQ broker against a bare loop (`bare-loop.ts`): jobs from a filled queue, confirmed enqueues, how soon a
 * lone job begins and ends, and how soon work goes on after a broker was killed.
 *
 * Owns a place on the broker for each type of queue, deleted at the end.
 */
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { BARE, BareLoop } from "../baselines/bare-loop.ts";
import { runsOfOurs, runsReach } from "../baselines/raw.ts";
import type { Noop } from "../nodes/durable-node.ts";
import { bodyOf, RabbitNode } from "../nodes/rabbit-node.ts";
import { type QueueType, RabbitPlace } from "../nodes/rabbit-place.ts";
import { type Bench, callers, type Sample, timed } from "../runner/bench.ts";
import { mainThreadUs } from "../runner/machine.ts";
import { loadJob } from "../runner/package.ts";
import { pickup } from "./rabbit-pickup.ts";
import { workResumes } from "./rabbit-return.ts";

const TYPES: readonly QueueType[] = ["quorum", "classic"];

const PREFETCHES = [
  { prefetch: 1, jobs: 2_000 },
  { prefetch: 10, jobs: 6_000, goal: 1.0 },
  { prefetch: 100, jobs: 15_000, goal: 1.5, mainGoalUs: 25 },
];

const ENQUEUES = 15_000;
const AWAITED = 1_024;
const GROUP = 1_000;

export async function rabbitmqSuite(bench: Bench): Promise<void> {
  for (const type of TYPES) {
    const place = await RabbitPlace.need();
    try {
      await throughput(bench, place, type);
      await pickup(bench, place, type);
    } finally {
      // Not even buried, or unroutable.
      bench.check("messages left on the broker", 0, await place.leave());
    }
  }
  await workResumes(bench);
}

interface Sides {
  readonly bench: Bench;
  readonly type: QueueType;
  readonly node: RabbitNode;
  readonly bare: BareLoop;
}

async function throughput(bench: Bench, place: RabbitPlace, type: QueueType): Promise<void> {
  const job = await loadJob<JobDefinition<"noop", void, void, void>>("noop");
  const node = await RabbitNode.start({ bench, place, type, job: job as Noop });
  const bare = await BareLoop.start(bench, place, type, await bodyOf(job.definition));
  const sides = { bench, type, node, bare };
  try {
    for (const one of PREFETCHES) await fromFilled(sides, one);
    await enqueues(sides);
  } finally {
    await node.stop();
    await bare.close();
  }
}

/** The clock runs from the subscription to the last job. */
async function fromFilled(
  { bench, type, node, bare }: Sides,
  { prefetch, jobs: full, ...goals }: (typeof PREFETCHES)[number],
): Promise<void> {
  const jobs = bench.settings.count(full);
  const ours = async (): Promise<Sample> => {
    await enqueueAll(node, jobs);
    const before = runsOfOurs();
    const measured = await timed(
      jobs,
      async () => {
        await node.consume(prefetch);
        await runsReach(before + jobs);
      },
      mainThreadUs,
    );
    await node.settled(jobs, before);
    return { ...measured, checked: jobs };
  };
  await bench.duel({
    case: `prefetch ${prefetch}, ${type}`,
    metric: "no-op jobs from a filled queue",
    unit: "jobs/s",
    ours,
    baseline: { name: BARE, run: () => bare.fromFilled(jobs, prefetch) },
    curve: { title: `No-op jobs from a filled queue, ${type}`, axis: "prefetch", at: prefetch },
    ...goals,
  });
}

const enqueueAll = (node: RabbitNode, jobs: number) =>
  callers(AWAITED, jobs, async (take) => {
    while (take()) await node.enqueue();
  });

/** Nothing is consumed meanwhile; what was enqueued is run down when the clock has stopped. */
async function enqueues({ bench, type, node, bare }: Sides): Promise<void> {
  const jobs = Math.ceil(bench.settings.count(ENQUEUES) / GROUP) * GROUP;
  const measure = async (work: () => Promise<void>): Promise<Sample> => {
    const measured = await timed(jobs, work, mainThreadUs);
    await node.runAll(jobs);
    return { ...measured, checked: jobs };
  };
  const each = async (one: () => Promise<void>, times: number, atOnce: number) =>
    callers(atOnce, times, async (take) => {
      while (take()) await one();
    });
  await bench.duel({
    case: `${AWAITED.toLocaleString("en-US")} enqueues awaited, ${type}`,
    metric: "confirmed",
    unit: "jobs/s",
    ours: () => measure(() => enqueueAll(node, jobs)),
    baseline: {
      name: BARE,
      run: () => bare.published(jobs, () => each(() => bare.publish(), jobs, AWAITED)),
    },
    goal: 0.9,
  });
  await bench.duel({
    case: `enqueueMany of ${GROUP.toLocaleString("en-US")}, ${type}`,
    metric: "confirmed",
    unit: "jobs/s",
    ours: () => measure(() => each(() => node.enqueueMany(GROUP), jobs / GROUP, 1)),
    baseline: {
      name: BARE,
      run: () => bare.published(jobs, () => each(() => bare.publishMany(GROUP), jobs / GROUP, 1)),
    },
    goal: 0.9,
  });
}
