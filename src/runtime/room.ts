/**
 * Room on this node for what waits on others, and on others for what waits here.
 *
 * Owns nothing. A node has room for a job of a queue when it takes from that queue, has a free place in it, and a free slot
 * in the pool that the job wants. That is true for a moment only: whoever gives way for it waits for a slot of its own anyway.
 */
import type { AdmissionCounts } from "../actors/admission.ts";
import type { Others, StuckQueue } from "../actors/others.ts";
import type { PoolCounts } from "../actors/pool-admission.ts";
import type { NodeServices } from "../actors/services.ts";
import type { QueueRef } from "../broker/contract.ts";
import type { NodeInfo } from "./info.ts";
import type { Node } from "./node.ts";

/** Queues as they travel: `pool` is the name of a pool, and missing for the one without. */
interface Wish extends QueueRef {
  readonly pool?: string;
}

const ROOM = "info.room";
/** Shorter than the time between two questions. */
const CALL_MS = 1_500;

/** Answers whoever asks: the places, in its list, of the queues for which this node has room. */
export function serveRoom(node: Node, info: NodeInfo): void {
  node.commands.set(ROOM, (args) => roomHere(node, info, args));
}

/** `pools`: the names of those that have one, in their order. */
export function othersOf(services: NodeServices, pools: readonly string[]): Others {
  return { withRoomFor: (queues) => withRoom(services, pools, queues) };
}

async function withRoom(
  services: NodeServices,
  pools: readonly string[],
  queues: readonly StuckQueue[],
): Promise<readonly StuckQueue[]> {
  const { cluster } = services.broker;
  if (cluster.others.length === 0) return [];
  const wishes = queues.map(({ partition, queue, pool }): Wish => {
    const name = pools[pool - 1];
    return name === undefined ? { partition, queue } : { partition, queue, pool: name };
  });
  const answers = await cluster.call(ROOM, wishes, CALL_MS);
  const found = new Set<unknown>();
  for (const { node, ...answer } of answers)
    if (node !== services.node && answer.ok && Array.isArray(answer.value))
      for (const at of answer.value) found.add(at);
  return queues.filter((_, at) => found.has(at));
}

async function roomHere(node: Node, info: NodeInfo, args: unknown): Promise<readonly number[]> {
  const { runsJobs, takesJobs, phase, broker } = node.services;
  // what is handed back comes flagged: here it would wait for who may have had it, and longer than where it is
  if (!runsJobs || !takesJobs || phase !== "running" || broker.cluster.isNew || !Array.isArray(args))
    return [];
  const counts = await info.counts();
  const fits = ({ pool, ...queue }: Wish) => hasSlot(counts, pool) && hasPlace(node, queue);
  return args.flatMap((wish, at) => (isWish(wish) && fits(wish) ? [at] : []));
}

function hasSlot(counts: PoolCounts, pool: string | undefined): boolean {
  const named = counts.pools ?? {};
  const of = pool === undefined ? undefined : named[pool];
  if (of !== undefined) return isFree(of);
  const own = { ...counts };
  for (const one of Object.values(named)) {
    own.watermark -= one.watermark;
    own.running -= one.running;
    own.waiting -= one.waiting;
  }
  return isFree(own);
}

function isFree({ watermark, running, waiting }: Omit<AdmissionCounts, "accepted">): boolean {
  return waiting === 0 && running < watermark;
}

function hasPlace({ services: { broker }, wanted }: Node, queue: QueueRef): boolean {
  const concurrency = wanted.get(queue.partition)?.queues[queue.queue]?.concurrency ?? 0;
  return broker.takes(queue) && (broker.counts(queue)?.unsettled ?? 0) < concurrency;
}

function isWish(value: unknown): value is Wish {
  const { partition, queue, pool } = (value ?? {}) as Partial<Record<keyof Wish, unknown>>;
  return (
    typeof partition === "string" &&
    typeof queue === "string" &&
    (pool === undefined || typeof pool === "string")
  );
}
