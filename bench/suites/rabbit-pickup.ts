/**
 * How soon a lone job begins and ends on an idle node, from the call that enqueues it; against the bare loop.
 *
 * Owns a runtime and a bare loop for its time. One job of each side in turn, with a pause between, so that all threads
 * sleep and what else the machine does hits both.
 */
import { setTimeout } from "node:timers/promises";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { BARE, BareLoop } from "../baselines/bare-loop.ts";
import { runsOfOurs, runsOfRaw, startOfOurs, startOfRaw } from "../baselines/raw.ts";
import type { Noop } from "../nodes/durable-node.ts";
import { bodyOf, RabbitNode } from "../nodes/rabbit-node.ts";
import type { QueueType, RabbitPlace } from "../nodes/rabbit-place.ts";
import { type Bench, median, quantile } from "../runner/bench.ts";
import { loadJob } from "../runner/package.ts";

/** Of each side, in all rounds together. */
const JOBS = 1_000;
const PREFETCH = 10;
const PAUSE_MS = 3;

const LIMITS = [
  { name: "p50", part: 0.5, factor: 1.3 },
  { name: "p99", part: 0.99, factor: 1.5 },
];

interface Side {
  readonly run: () => Promise<void>;
  /** When the body of the last job began. */
  readonly start: () => bigint;
  readonly runs: () => number;
  /** Milliseconds from the call, by round. */
  readonly began: number[][];
  readonly ended: number[][];
}

export async function pickup(bench: Bench, place: RabbitPlace, type: QueueType): Promise<void> {
  bench.say(`a lone job, ${type}`);
  const job = await loadJob<JobDefinition<"stamped", void, void, void>>("stamped");
  const node = await RabbitNode.start({ bench, place, type, job: job as Noop, concurrency: PREFETCH });
  const bare = await BareLoop.start(bench, place, type, await bodyOf(job.definition), "stamped");
  const loop = await bare.idle(PREFETCH);
  const lone = async () => {
    const ran = loop.ran();
    await bare.publish();
    await ran;
  };
  const ours: Side = { run: () => node.run(), start: startOfOurs, runs: runsOfOurs, began: [], ended: [] };
  const theirs: Side = { run: lone, start: startOfRaw, runs: runsOfRaw, began: [], ended: [] };
  const { rounds } = bench.settings;
  const jobs = Math.ceil(bench.settings.count(JOBS) / rounds);
  try {
    // One more, which warms up and is not kept.
    for (let round = 0; round <= rounds; round++) await turns(bench, jobs, [ours, theirs]);
  } finally {
    await node.stop();
    await loop.stop();
    await bare.close();
  }
  rows(bench, type, jobs * rounds, ours, theirs);
}

/** A round: one job of each side in turn. */
async function turns(bench: Bench, jobs: number, sides: readonly Side[]): Promise<void> {
  const before = sides.map((side) => side.runs());
  for (const side of sides) {
    side.began.push([]);
    side.ended.push([]);
  }
  for (let job = 0; job < jobs; job++) {
    for (const { run, start, began, ended } of sides) {
      await setTimeout(PAUSE_MS);
      const called = process.hrtime.bigint();
      await run();
      ended.at(-1)?.push(ms(called, process.hrtime.bigint()));
      began.at(-1)?.push(ms(called, start()));
    }
  }
  for (const [at, { runs }] of sides.entries())
    bench.check("runs of lone jobs", jobs, runs() - (before[at] ?? Number.NaN));
}

const ms = (from: bigint, to: bigint) => Number(to - from) / 1e6;

function rows(bench: Bench, type: QueueType, checked: number, ours: Side, theirs: Side): void {
  for (const moment of ["began", "ended"] as const)
    for (const { name, part, factor } of LIMITS) {
      const each = (side: Side) => side[moment].slice(1).map((round) => quantile(round, part));
      const base = median(each(theirs));
      bench.atMost({
        case: `a lone job, ${type}`,
        metric: `until it ${moment}, ${name}`,
        unit: "ms",
        values: each(ours),
        goal: factor * base,
        baseline: { name: BARE, value: base },
        checked,
        note: "goal = 1.3 × the bare loop's p50, 1.5 × its p99",
      });
    }
}
