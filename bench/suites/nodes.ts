/**
 * One filled queue on RabbitMQ, run down by more and more nodes, each a process: of jobs that do nothing, until another
 * node no longer helps; of jobs that wait, whose wall is the nodes' slots, up to ten nodes. Then the same on a cluster.
 *
 * Owns a place on the broker for each kind of job, deleted at the end, and the nodes' processes. On one machine, broker
 * and nodes share its cores: the curves are of that machine.
 */
import { Fleet, type FleetOptions } from "../nodes/fleet.ts";
import { RabbitPlace } from "../nodes/rabbit-place.ts";
import { type Bench, type Sample, timed } from "../runner/bench.ts";
import { onCluster } from "./nodes-cluster.ts";

const FILLING = { group: 500, atOnce: 2 };

const NOOP = { counts: [1, 2, 4], jobs: 15_000, prefetch: 100 };
/** What the body of `jobs/waits.mjs` takes. */
const WAIT_MS = 50;
/** So few jobs a second that ten nodes and the broker take a small part of two cores: slots are the wall. */
const WAITING = { counts: [1, 2, 4, 10], jobsPerNode: 400, slots: 5 };

export async function nodesSuite(bench: Bench): Promise<void> {
  await withFleet(bench, { job: "noop", prefetch: NOOP.prefetch }, async (fleet) => {
    for (const count of NOOP.counts) {
      await fleet.grow(count);
      await noops(bench, fleet);
    }
  });
  await withFleet(
    bench,
    { job: "waits", prefetch: WAITING.slots, perThread: WAITING.slots },
    async (fleet) => {
      for (const count of WAITING.counts) {
        await fleet.grow(count);
        await waiting(bench, fleet);
      }
    },
  );
  await onCluster(bench);
}

async function withFleet(
  bench: Bench,
  options: Omit<FleetOptions, "bench" | "place">,
  work: (fleet: Fleet) => Promise<void>,
): Promise<void> {
  const place = await RabbitPlace.need();
  const fleet = new Fleet({ bench, place, ...options });
  try {
    await work(fleet);
  } finally {
    await fleet.stop();
    bench.check("messages left on the broker", 0, await place.leave());
  }
}

async function noops(bench: Bench, fleet: Fleet): Promise<void> {
  const count = fleet.size;
  const jobs = Math.ceil(bench.settings.count(NOOP.jobs) / FILLING.group) * FILLING.group;
  await bench.duel({
    case: `${named(count)}, prefetch ${NOOP.prefetch} each, quorum`,
    metric: "no-op jobs from one filled queue",
    unit: "jobs/s",
    ours: () => drained(fleet, jobs, count),
    baseline: count === 1 ? undefined : { name: "1 node", run: () => drained(fleet, jobs, 1) },
    curve: { title: "No-op jobs from one filled queue", axis: "nodes", at: count, alone: true },
  });
}

/** As many jobs for each node, so that all runs take as long. */
async function waiting(bench: Bench, fleet: Fleet): Promise<void> {
  const count = fleet.size;
  const each = bench.settings.count(WAITING.jobsPerNode);
  const most = Math.round((WAITING.slots * 1_000) / WAIT_MS);
  await bench.duel({
    case: `${named(count)}, ${WAITING.slots} slots each, bodies of ${WAIT_MS} ms that wait`,
    metric: "jobs from one filled queue",
    unit: "jobs/s",
    ours: () => drained(fleet, each * count, count),
    baseline: count === 1 ? undefined : { name: "1 node", run: () => drained(fleet, each, 1) },
    curve: {
      title: `Jobs of ${WAIT_MS} ms that wait, ${WAITING.slots} slots a node`,
      axis: "nodes",
      at: count,
      linear: true,
    },
    ...(count === 1 ? { note: `its slots carry at most ${most} jobs/s` } : {}),
  });
}

const named = (count: number): string => (count === 1 ? "1 node" : `${count} nodes`);

/** The clock runs from the subscriptions to the last job. */
async function drained(fleet: Fleet, jobs: number, count: number): Promise<Sample> {
  const filling = jobs % FILLING.group === 0 ? FILLING : { group: jobs, atOnce: 1 };
  await fleet.fill(jobs, filling);
  const measured = await timed(jobs, () => fleet.drain(jobs, count));
  await fleet.settled(jobs);
  return { ...measured, checked: jobs };
}
