/**
 * The same work through Spillway and through other job systems and pools: what a user would have to choose between.
 *
 * What keeps jobs is compared with the embedded broker, what keeps nothing with memory; each row says where the other's
 * bodies run and what it keeps. Ours run in threads in every row. Owns one of ours and one other system at a time, a
 * folder, and a place on each server, all gone at the end. What is not there is left out with a line.
 */
import { join } from "node:path";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { DurableNode, type Noop } from "../nodes/durable-node.ts";
import { MemoryNode } from "../nodes/memory-node.ts";
import { bullmq } from "../peers/bullmq.ts";
import { graphile } from "../peers/graphile.ts";
import { type Body, HOW_TO, installed } from "../peers/packages.ts";
import { pgBoss } from "../peers/pg-boss.ts";
import { piscina, poolifier, tinypool, workerpool } from "../peers/pools.ts";
import { howToPostgres, PostgresPlace } from "../peers/postgres.ts";
import { howToRedis, RedisPlace } from "../peers/redis.ts";
import { described, type PeerSystem, through } from "../peers/system.ts";
import { type Bench, callers, type Sample } from "../runner/bench.ts";
import { makeFolder, removeFolder } from "../runner/machine.ts";
import { loadJob } from "../runner/package.ts";
import { measure } from "./embedded.ts";

/** Enqueues that are awaited at any time, of ours and of theirs. */
const AWAITED = 256;
const GROUP = 100;
const GROUPS = 4;
/** What is in flight in a pool. */
const IN_FLIGHT = 64;

const BODIES: readonly { readonly body: Body; readonly title: string }[] = [
  { body: "noop", title: "no-op" },
  { body: "computes", title: "1 ms of computing" },
];

/** Jobs of ours a run, by body. */
const OURS: Readonly<Record<string, number>> = { noop: 30_000, computes: 1_000 };

/** More sandboxes than ours has threads: what one waits for Redis, another can use. */
const MANY = 8;

interface Rival {
  open(): Promise<PeerSystem>;
  /** Jobs a run, by body: a second or two. Without an entry that body is not run. */
  readonly jobs: { readonly noop: number; readonly computes?: number };
  /** Given to it, and to ours, in groups. */
  readonly grouped?: boolean;
  /** For no-op jobs. */
  readonly goal?: number;
  /** So many whatever the settings say. */
  readonly exactly?: boolean;
  readonly note?: string;
}

const POOLS: readonly Rival[] = [piscina, tinypool, workerpool, poolifier].map((open) => ({
  open,
  jobs: { noop: 30_000, computes: 1_000 },
}));

const onRedis = (place: RedisPlace): readonly Rival[] => [
  { open: () => bullmq(place, "in-process"), jobs: { noop: 8_000, computes: 800 }, goal: 4 },
  { open: () => bullmq(place, "in-process"), jobs: { noop: 10_000 }, grouped: true },
  { open: () => bullmq(place, "threads"), jobs: { noop: 2_000, computes: 800 }, goal: 20 },
  { open: () => bullmq(place, "threads", MANY), jobs: { noop: 2_000, computes: 800 }, goal: 20 },
  { open: () => bullmq(place, "processes"), jobs: { noop: 2_000, computes: 800 } },
];

const POLLS =
  "pg-boss with its defaults takes one job each 2 s: the row says what a default costs, the next ones how fast it can be";

const onPostgres = (place: PostgresPlace): readonly Rival[] => [
  { open: () => graphile(place, "defaults"), jobs: { noop: 800, computes: 400 }, goal: 10 },
  { open: () => graphile(place, "concurrentJobs 24"), jobs: { noop: 2_000, computes: 600 }, goal: 10 },
  { open: () => graphile(place, "24, batching"), jobs: { noop: 3_000 } },
  { open: () => graphile(place, "24, batching"), jobs: { noop: 4_000 }, grouped: true },
  { open: () => pgBoss(place, "defaults"), jobs: { noop: 3 }, exactly: true, goal: 10, note: POLLS },
  { open: () => pgBoss(place, "batches of 100"), jobs: { noop: 2_000, computes: 600 } },
  { open: () => pgBoss(place, "batches of 100"), jobs: { noop: 4_000 }, grouped: true },
];

export async function peersSuite(bench: Bench): Promise<void> {
  if (!installed()) throw new Error(HOW_TO);
  if (bench.settings.ours) return bench.say("what is ours alone is measured by memory and embedded");
  await againstMemory(bench);
  const redis = await RedisPlace.find();
  if (redis === undefined) bench.leaveOut("BullMQ", howToRedis());
  const postgres = await PostgresPlace.find();
  if (postgres === undefined) bench.leaveOut("graphile-worker and pg-boss", howToPostgres());
  try {
    if (redis !== undefined) await againstEmbedded(bench, onRedis(redis));
    if (postgres !== undefined) await againstEmbedded(bench, onPostgres(postgres));
  } finally {
    await redis?.leave();
    await postgres?.leave();
  }
}

async function againstMemory(bench: Bench): Promise<void> {
  for (const { body, title } of BODIES) {
    const node = await MemoryNode.start(bench, await jobOf(body));
    const jobs = bench.settings.count(OURS[body] ?? 0);
    const ours = async (): Promise<Sample> => shownPlainly(await node.runAll(jobs, IN_FLIGHT));
    try {
      for (const rival of POOLS)
        await against(bench, rival, { body, title: `${title}, memory`, ours, atOnce: IN_FLIGHT });
    } finally {
      await node.stop();
    }
  }
}

async function againstEmbedded(bench: Bench, rivals: readonly Rival[]): Promise<void> {
  const { path } = makeFolder(bench.settings.data);
  try {
    for (const { body, title } of BODIES) {
      const node = await DurableNode.start(join(path, body), { job: await jobOf(body) });
      try {
        for (const rival of rivals)
          if (body in rival.jobs)
            await against(bench, rival, {
              body,
              title: `${title}, embedded${rival.grouped ? `, groups of ${GROUP}` : ""}`,
              ours: () => ofEmbedded(bench, node, body, rival.grouped === true),
              atOnce: rival.grouped ? GROUPS : AWAITED,
            });
      } finally {
        await node.stop();
      }
    }
  } finally {
    removeFolder(path);
  }
}

/** Enqueued as the rival's are, one by one or in groups, while they run; ends when the last has run. */
async function ofEmbedded(bench: Bench, node: DurableNode, body: Body, grouped: boolean): Promise<Sample> {
  const jobs = Math.ceil(bench.settings.count(OURS[body] ?? 0) / GROUP) * GROUP;
  const one = grouped ? () => node.enqueueMany(GROUP) : () => node.enqueue();
  const calls = grouped ? jobs / GROUP : jobs;
  const measured = await measure(bench, node, jobs, () =>
    callers(grouped ? GROUPS : AWAITED, calls, async (take) => {
      while (take()) await one();
    }),
  );
  return shownPlainly(measured);
}

interface Match {
  readonly body: Body;
  readonly title: string;
  readonly ours: () => Promise<Sample>;
  readonly atOnce: number;
}

async function against(bench: Bench, rival: Rival, { body, title, ours, atOnce }: Match): Promise<void> {
  const { goal, note, grouped, exactly } = rival;
  const full = rival.jobs[body === "noop" ? "noop" : "computes"] ?? 0;
  const asked = exactly ? full : bench.settings.count(full);
  const jobs = grouped ? Math.ceil(asked / GROUP) * GROUP : asked;
  const peer = await rival.open();
  const load = { body, jobs, atOnce, ...(grouped ? { group: GROUP } : {}) };
  try {
    await bench.duel({
      case: title,
      metric: "through",
      unit: "jobs/s",
      ours,
      baseline: { name: described(peer), run: () => through(bench, peer, load) },
      ...(goal === undefined || body !== "noop" ? {} : { goal }),
      ...(note === undefined ? {} : { note }),
    });
  } finally {
    await peer.close();
  }
}

const jobOf = (body: Body): Promise<Noop> => loadJob<JobDefinition>(body);

/** Without the main thread's time: bodies in it are another thing than bodies in threads. */
const shownPlainly = ({ value, checked }: Sample): Sample => ({ value, checked });
