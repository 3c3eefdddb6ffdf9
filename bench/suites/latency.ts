/**
 * How soon a job begins, from the call that enqueues it: on an idle node, and under half of the load that it can take.
 *
 * Owns one of ours and one other system at a time, a folder, and a place on each server, all gone at the end. Other
 * systems are there when `bench/peers` is installed; raw Piscina always is.
 */
import { join } from "node:path";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { runsOfOurs } from "../baselines/raw.ts";
import { DurableNode } from "../nodes/durable-node.ts";
import { MemoryNode } from "../nodes/memory-node.ts";
import { RabbitNode } from "../nodes/rabbit-node.ts";
import { howTo, RabbitPlace } from "../nodes/rabbit-place.ts";
import { bullmq } from "../peers/bullmq.ts";
import { graphile } from "../peers/graphile.ts";
import { HOW_TO, installed } from "../peers/packages.ts";
import { pgBoss } from "../peers/pg-boss.ts";
import { piscina } from "../peers/pools.ts";
import { howToPostgres, PostgresPlace } from "../peers/postgres.ts";
import { howToRedis, RedisPlace } from "../peers/redis.ts";
import { described, type PeerSystem } from "../peers/system.ts";
import { figure } from "../report/rows.ts";
import { type Bench, quantile } from "../runner/bench.ts";
import { makeFolder, removeFolder } from "../runner/machine.ts";
import { loadJob } from "../runner/package.ts";
import { arriving, capacity, lone, type Taker } from "../runner/pickup.ts";

/** Lone jobs of each side, in all rounds together. */
const LONE = 2_000;
/** How long jobs come in a round; also how long callers press on to find the rate. */
const LOAD_MS = 1_000;
const CONCURRENCY = 256;

const QUANTILES = [
  { name: "p50", part: 0.5 },
  { name: "p99", part: 0.99 },
  { name: "p99.9", part: 0.999 },
];

type Open = () => Promise<PeerSystem>;

export async function latencySuite(bench: Bench): Promise<void> {
  const memory = await MemoryNode.start(bench, await marked());
  try {
    await pair(
      bench,
      ours("memory", (args) => memory.enqueue(args)),
      piscina,
    );
  } finally {
    await memory.stop();
  }
  await embedded(bench);
  await rabbitmq(bench);
}

const marked = () => loadJob<JobDefinition>("marked");

const ours = (name: string, enqueue: (args: unknown) => Promise<void>): Taker => ({
  name,
  send: (n) => enqueue({ n }),
  runs: runsOfOurs,
});

async function embedded(bench: Bench): Promise<void> {
  const { path } = makeFolder(bench.settings.data);
  const beside = installed() && !bench.settings.ours;
  const redis = beside ? await RedisPlace.find() : undefined;
  const postgres = beside ? await PostgresPlace.find() : undefined;
  const peers: Open[] = [];
  if (redis !== undefined)
    peers.push(
      () => bullmq(redis, "in-process"),
      () => bullmq(redis, "threads"),
    );
  if (postgres !== undefined)
    peers.push(
      () => graphile(postgres, "concurrentJobs 24"),
      () => pgBoss(postgres, "batches of 100"),
    );
  if (!installed()) bench.leaveOut("BullMQ, graphile-worker and pg-boss", HOW_TO);
  else if (beside) {
    if (redis === undefined) bench.leaveOut("BullMQ", howToRedis());
    if (postgres === undefined) bench.leaveOut("graphile-worker and pg-boss", howToPostgres());
  }
  const node = await DurableNode.start(join(path, "jobs"), { job: await marked() });
  const taker = ours("embedded", (args) => node.enqueue(args));
  try {
    if (peers.length === 0) await alone(bench, taker);
    for (const open of peers) await pair(bench, taker, open);
  } finally {
    await node.stop();
    await redis?.leave();
    await postgres?.leave();
    removeFolder(path);
  }
}

async function rabbitmq(bench: Bench): Promise<void> {
  const place = await RabbitPlace.find();
  if (place === undefined) return bench.leaveOut("RabbitMQ", howTo());
  const options = { bench, place, type: "quorum", job: await marked(), concurrency: CONCURRENCY } as const;
  try {
    const node = await RabbitNode.start(options);
    try {
      await alone(
        bench,
        ours("RabbitMQ, quorum", (args) => node.enqueue(args)),
      );
    } finally {
      await node.stop();
    }
  } finally {
    bench.check("messages left on the broker", 0, await place.leave());
  }
}

async function pair(bench: Bench, taker: Taker, open: Open): Promise<void> {
  if (bench.settings.ours) return alone(bench, taker);
  const peer = await open();
  const other: Taker = {
    name: described(peer),
    send: (n) => peer.enqueue("marked", { n }),
    runs: () => peer.runs(),
  };
  try {
    await measured(bench, taker, other);
  } finally {
    await peer.close();
  }
}

const alone = (bench: Bench, taker: Taker) => measured(bench, taker, undefined);

async function measured(bench: Bench, taker: Taker, other: Taker | undefined): Promise<void> {
  const takers = other === undefined ? [taker] : [taker, other];
  const say = (how: string) =>
    bench.say(`${taker.name}, ${how}${other === undefined ? "" : `, beside ${other.name}`}`);
  say("idle");
  const { rounds } = bench.settings;
  const jobs = Math.ceil(bench.settings.count(LONE) / rounds);
  await lone(bench, takers, Math.ceil(jobs / 10)); // warms up
  const idle: (readonly number[][])[] = [];
  for (let round = 0; round < rounds; round++) idle.push(await lone(bench, takers, jobs));
  rows(bench, `${taker.name}, idle`, takers, idle);
  say("half load");
  const [mine = 1, theirs] = await halfRates(bench, takers);
  const rate = `${figure(mine)} jobs/s for ours`;
  rows(
    bench,
    `${taker.name}, half load`,
    takers,
    await underLoad(bench, takers, [mine, theirs ?? mine]),
    theirs === undefined ? `half load is ${rate}` : `half load is ${rate}, ${figure(theirs)} for the other`,
  );
  if (theirs === undefined) return;
  const same = await underLoad(bench, takers, [theirs, theirs]);
  rows(bench, `${taker.name}, the other's half load`, takers, same);
}

/** Half of what each can take, found in this run. */
async function halfRates(bench: Bench, takers: readonly Taker[]): Promise<number[]> {
  const forMs = bench.settings.count(LOAD_MS);
  const rates: number[] = [];
  for (const taker of takers) {
    await capacity(bench, taker, forMs); // warms up
    rates.push((await capacity(bench, taker, forMs)) / 2);
  }
  return rates;
}

async function underLoad(bench: Bench, takers: readonly Taker[], rates: readonly number[]) {
  const forMs = bench.settings.count(LOAD_MS);
  const loads: (readonly number[][])[] = [];
  for (let round = 0; round < bench.settings.rounds; round++) {
    const latencies: number[][] = [];
    for (const [at, taker] of takers.entries())
      latencies.push(await arriving(bench, taker, rates[at] ?? 1, forMs));
    loads.push(latencies);
  }
  return loads;
}

/** `runs`: by round, then by taker. The rarest quantile needs all rounds together. */
function rows(
  bench: Bench,
  title: string,
  [, other]: readonly Taker[],
  runs: readonly (readonly number[][])[],
  note?: string,
): void {
  const checked = runs.reduce((sum, [mine]) => sum + (mine?.length ?? 0), 0);
  for (const { name, part } of QUANTILES) {
    const of = (at: number) => {
      const byRound = runs.map((round) => round[at] ?? []);
      return (part > 0.99 ? [byRound.flat()] : byRound).map((latencies) => quantile(latencies, part));
    };
    const row = {
      case: title,
      metric: `until its body begins, ${name}`,
      unit: "ms",
      checked,
      ...(note === undefined ? {} : { note }),
    };
    if (other === undefined) bench.atMost({ ...row, values: of(0) });
    else bench.within({ ...row, ours: of(0), baseline: { name: other.name, values: of(1) } });
  }
}
