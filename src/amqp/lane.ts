/**
 * What was delivered of one queue and is in nobody's hands yet, and the subscriptions that it goes to.
 *
 * Owns the buffer, in the order of the queue: what is released here keeps its place and goes out first. Hands out from
 * a microtask, never from within a broker call. Dies with its reader; what is in it is handed back or void by then.
 */
import type { Delivery, QueueRef, Subscription } from "../broker/contract.ts";
import type { Handed } from "./handed.ts";
import type { QueueChannel } from "./queue-channel.ts";

/** What a lane tells the reader that fills it. */
export interface LaneOwner {
  readonly queue: QueueRef;
  /** Paused in the whole cluster: nothing goes out, whoever subscribes. */
  readonly isStopped: boolean;
  /** How much is wanted has changed, or what was there has gone. */
  wantedChanged(): void;
  /** The last subscription has ended. */
  abandoned(): Promise<void>;
}

export class LaneSubscription implements Subscription {
  unsettled = 0;
  paused = false;
  givesWay = false;
  cancelled = false;

  constructor(
    readonly lane: Lane,
    public limit: number,
    readonly deliver: (delivery: Delivery) => void,
  ) {}

  get queue(): QueueRef {
    return this.lane.owner.queue;
  }

  get room(): number {
    return this.paused || this.cancelled ? 0 : Math.max(0, this.limit - this.unsettled);
  }

  setLimit(limit: number): void {
    this.limit = limit;
    this.lane.changed();
  }

  pause(): void {
    this.paused = true;
    this.givesWay = false;
    this.lane.changed();
  }

  giveWay(): void {
    this.paused = true;
    this.givesWay = true;
    this.lane.changed();
  }

  resume(): void {
    this.paused = false;
    this.givesWay = false;
    this.lane.changed();
  }

  cancel(): Promise<void> {
    if (this.cancelled) return Promise.resolve();
    this.cancelled = true;
    return this.lane.drop(this);
  }
}

export class Lane {
  readonly owner: LaneOwner;
  #subscriptions: LaneSubscription[] = [];
  #buffer: Handed[] = [];
  #turn = 0;
  #marked = false;

  constructor(owner: LaneOwner) {
    this.owner = owner;
  }

  subscribe(limit: number, deliver: (delivery: Delivery) => void): LaneSubscription {
    const subscription = new LaneSubscription(this, limit, deliver);
    this.#subscriptions.push(subscription);
    this.changed();
    return subscription;
  }

  /** Most that may be unsettled at once, of what is not paused. */
  get wanted(): number {
    let sum = 0;
    if (this.owner.isStopped) return 0;
    for (const { paused, limit } of this.#subscriptions) if (!paused) sum += limit;
    return sum;
  }

  /** Handed out and not settled. */
  unsettled = 0;

  get buffered(): number {
    return this.#buffer.length;
  }

  get consumed(): boolean {
    return this.#subscriptions.length > 0;
  }

  /** Other nodes are to have what nobody here has started. */
  get givesWay(): boolean {
    return this.consumed && this.#subscriptions.every((one) => one.givesWay);
  }

  /** What waits here, in order, without touching it. */
  get waiting(): readonly Handed[] {
    return this.#buffer;
  }

  /** From the broker: at the tail, handed out at once where there is room. */
  push(handed: Handed): void {
    const to = this.#buffer.length === 0 ? this.#next() : undefined;
    if (to === undefined) this.#buffer.push(handed);
    else this.#hand(handed, to);
  }

  /** To its place in the queue. */
  putBack(handed: Handed): void {
    const at = this.#buffer.findIndex((one) => one.place > handed.place);
    if (at < 0) this.#buffer.push(handed);
    else this.#buffer.splice(at, 0, handed);
    this.#mark();
  }

  /** A place is free again. */
  settled(handed: Handed): void {
    handed.subscription.unsettled -= 1;
    this.unsettled -= 1;
    if (this.#buffer.length > 0) this.#mark();
  }

  /** Takes one out; false when it is not here any more. */
  remove(handed: Handed): boolean {
    const at = this.#buffer.indexOf(handed);
    if (at >= 0) this.#buffer.splice(at, 1);
    return at >= 0;
  }

  /** All that waits here, for whoever takes it away. */
  takeAll(): Handed[] {
    return this.#buffer.splice(0);
  }

  /** The channel is gone, and with it what it brought and nobody has yet. */
  forget(source: QueueChannel): Handed[] {
    const gone = this.#buffer.filter((one) => one.source === source);
    if (gone.length > 0) this.#buffer = this.#buffer.filter((one) => one.source !== source);
    return gone;
  }

  changed(): void {
    if (this.#buffer.length > 0) this.#mark();
    this.owner.wantedChanged();
  }

  async drop(subscription: LaneSubscription): Promise<void> {
    this.#subscriptions = this.#subscriptions.filter((one) => one !== subscription);
    if (this.#subscriptions.length === 0) await this.owner.abandoned();
    else this.changed();
  }

  #mark(): void {
    if (this.#marked) return;
    this.#marked = true;
    queueMicrotask(() => this.#run());
  }

  /** Taken out before it is handed on: whoever gets it may hand back, pause or cancel at once. */
  #run(): void {
    this.#marked = false;
    let given = 0;
    while (this.#buffer.length > 0) {
      const to = this.#next();
      const handed = to === undefined ? undefined : this.#buffer.shift();
      if (to === undefined || handed === undefined) break;
      given += 1;
      this.#hand(handed, to);
    }
    if (given > 0) this.owner.wantedChanged();
  }

  #hand(handed: Handed, to: LaneSubscription): void {
    handed.subscription = to;
    to.unsettled += 1;
    this.unsettled += 1;
    to.deliver(handed);
  }

  /** Subscriptions take turns. */
  #next(): LaneSubscription | undefined {
    const all = this.#subscriptions;
    if (this.owner.isStopped) return undefined;
    for (let i = 0; i < all.length; i++) {
      const at = (this.#turn + i) % all.length;
      const one = all[at];
      if (one === undefined || one.room === 0) continue;
      this.#turn = at + 1;
      return one;
    }
    return undefined;
  }
}
