/**
 * What a saturated node and the others say to each other: who has room for what has waited here too long.
 *
 * Owns only the words and the way from an answer to the queue that gives way. Nothing is kept of a question: one that is
 * lost is asked again two seconds later, while something waits.
 */
import type { QueueRef } from "../broker/contract.ts";
import type { Ref } from "../kernel/types.ts";

/** What the owner of a queue is told. */
export type GivesWay =
  /** Another node has room: what waits for a slot here should go back to the broker. */
  | { readonly t: "give-way"; readonly queue: string; readonly pool: number }
  /** A body has ended in the pool that it gave way for. */
  | { readonly t: "room"; readonly queue: string };

/** A queue of which something has waited for a slot too long. */
export interface StuckQueue extends QueueRef {
  /** The number of the pool whose slots are taken. */
  readonly pool: number;
  readonly owner: Ref<GivesWay>;
}

/** The other nodes, as admission asks them. */
export interface Others {
  /** Those of the queues for which another node has a free slot and a free place. Never rejects. */
  withRoomFor(queues: readonly StuckQueue[]): Promise<readonly StuckQueue[]>;
}

export async function offer(queues: readonly StuckQueue[], others: Others): Promise<void> {
  for (const { queue, pool, owner } of await others.withRoomFor(queues))
    owner.cast({ t: "give-way", queue, pool });
}
