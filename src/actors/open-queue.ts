/**
 * One queue of a partition on this node, and how much of it may be in its hands.
 *
 * Owns the sum: its concurrency, and beside it what waits for execution keys, up to a bound.
 */
import type { QueueRef, Shelved, Subscription } from "../broker/contract.ts";
import type { Binding, DeclaredQueue } from "../broker/foreign.ts";
import type { Ring } from "../kernel/ring.ts";
import { Crowd } from "./crowd.ts";
import type { KeyWaiter } from "./key-waiters.ts";
import { Pace } from "./pace.ts";

/** What a node wants of one queue. */
export interface WantedQueue {
  readonly concurrency: number;
  readonly bindings?: readonly Binding[];
}

/** A partition's complete list. */
export type Queues = Readonly<Record<string, WantedQueue>>;

/** The same for the broker. */
export function declaredQueues(partition: string, queues: Queues): readonly DeclaredQueue[] {
  return Object.entries(queues).map(([queue, { bindings = [] }]) => ({ partition, queue, bindings }));
}

/** Jobs of one key that wait in the broker's store, behind those in hand. */
export interface Shelf {
  readonly jobs: Ring<Shelved>;
  /** Some are on their way back into our hands. */
  taking: boolean;
}

/** One queue of this partition on this node. */
export class OpenQueue {
  paused = false;
  /** Others run what waited here; nothing is taken before a body has ended. */
  gaveWay = false;
  /** None while the concurrency is 0, or this node runs nothing. */
  subscription: Subscription | undefined = undefined;
  /** Deliveries that wait for an execution key: they take no slot, and no other job's place. */
  readonly crowd = new Crowd<KeyWaiter>();
  readonly pace = new Pace();
  /** By key. */
  readonly shelves = new Map<string, Shelf>();

  constructor(
    readonly ref: QueueRef,
    /** Its lane in the waiting queue. */
    readonly lane: number,
    public concurrency: number,
  ) {}

  /** Most unsettled deliveries. */
  get limit(): number {
    return this.concurrency + this.crowd.counted;
  }
}
