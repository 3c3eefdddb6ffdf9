/**
 * One queue of a partition on this node, and how much of it may be in its hands.
 *
 * Owns the sum: its concurrency, and beside it what waits for execution keys, up to a bound.
 */
import type { QueueRef, Subscription } from "../broker/contract.ts";

/** One queue of this partition on this node. */
export interface OpenQueue {
  readonly ref: QueueRef;
  /** Its lane in the waiting queue. */
  readonly lane: number;
  concurrency: number;
  paused: boolean;
  /** None while the concurrency is 0, or this node runs nothing. */
  subscription: Subscription | undefined;
  /** Deliveries that wait for an execution key: they take no slot, and no other job's place. */
  keyWaiters: number;
}

/** Deliveries of a queue that may wait for keys beside its concurrency. */
const MAX_KEY_WAITERS = 1_000;

export function limitOf(queue: OpenQueue): number {
  return queue.concurrency + Math.min(queue.keyWaiters, MAX_KEY_WAITERS);
}
