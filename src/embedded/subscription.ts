/**
 * Handing out, shared by the memory and the SQLite broker: limits, unsettled counts, fair order, batches.
 *
 * Owns who has how many unsettled deliveries of a queue. `deliver` is called from one microtask a batch,
 * never from within a broker call. When the store is lost every delivery made so far is void: settling it
 * does nothing.
 */
import type { Delivery, QueueRef, Subscription } from "../broker/contract.ts";

/** A queue as the outlet sees it. */
export interface Source<J> {
  readonly ref: QueueRef;
  /** The next job to hand out, already taken off; `undefined` when there is none for now. */
  take(): J | undefined;
  /** Makes the delivery of a job that was just taken. */
  handOver(job: J, to: Consumer<J>): Handed<J>;
}

/** A job in this node's hands. Plain fields and no closure: one a job is made. */
export class Handed<J> implements Delivery {
  /** False once settled, or when the store it came from is gone. */
  live = true;
  /** Its start was made durable and must be cleared with its end. */
  started = false;
  constructor(
    readonly job: J,
    readonly envelope: Delivery["envelope"],
    readonly redelivered: boolean,
    public suspect: Delivery["suspect"],
    readonly subscription: Consumer<J>,
  ) {}
}

/** One subscription of this node. */
export class Consumer<J> implements Subscription {
  unsettled = 0;
  #paused = false;
  #cancelled = false;
  constructor(
    readonly outlet: Outlet<J>,
    public limit: number,
    readonly deliver: (delivery: Delivery) => void,
  ) {}

  get queue(): QueueRef {
    return this.outlet.source.ref;
  }

  /** How many more it takes now. */
  get room(): number {
    return this.#paused || this.#cancelled ? 0 : Math.max(0, this.limit - this.unsettled);
  }

  setLimit(limit: number): void {
    this.limit = limit;
    this.outlet.wake();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.outlet.wake();
  }

  cancel(): Promise<void> {
    this.#cancelled = true;
    this.outlet.drop(this);
    return Promise.resolve();
  }
}

/** Where the jobs of one queue leave it. */
export class Outlet<J> {
  /** Handed out and not settled, by all subscriptions, cancelled ones included. */
  unsettled = 0;
  /** In the pump's list already. */
  marked = false;
  #consumers: Consumer<J>[] = [];
  #turn = 0;
  constructor(
    readonly source: Source<J>,
    readonly pump: Pump,
  ) {}

  get consumed(): boolean {
    return this.#consumers.length > 0;
  }

  /** How many jobs could be handed out now. */
  get room(): number {
    let room = 0;
    for (const consumer of this.#consumers) room += consumer.room;
    return room;
  }

  subscribe(limit: number, deliver: (delivery: Delivery) => void): Consumer<J> {
    const consumer = new Consumer(this, limit, deliver);
    this.#consumers.push(consumer);
    this.wake();
    return consumer;
  }

  drop(consumer: Consumer<J>): void {
    this.#consumers = this.#consumers.filter((one) => one !== consumer);
  }

  wake(): void {
    if (!this.marked && this.#consumers.length > 0) this.pump.mark(this);
  }

  /** Hands out until nobody has room or nothing is there; consumers take turns. */
  run(): void {
    for (let to = this.#next(); to !== undefined; to = this.#next()) {
      const job = this.source.take();
      if (job === undefined) return;
      to.deliver(this.handTo(to, job));
    }
  }

  /** In this subscription's hands, whatever its limit. */
  handTo(to: Consumer<J>, job: J): Handed<J> {
    const handed = this.source.handOver(job, to);
    to.unsettled += 1;
    this.unsettled += 1;
    return handed;
  }

  /** Ends a delivery: `false` when it was void or settled before. */
  settle(handed: Handed<J>): boolean {
    if (!handed.live) return false;
    handed.live = false;
    handed.subscription.unsettled -= 1;
    this.unsettled -= 1;
    this.wake();
    return true;
  }

  /**
   * The store has all of it again: nothing is unsettled any more. The deliveries are made void by the caller.
   */
  reset(handed: Iterable<Handed<J>>): void {
    for (const one of handed) {
      one.live = false;
      one.subscription.unsettled -= 1;
    }
    this.unsettled = 0;
  }

  #next(): Consumer<J> | undefined {
    const all = this.#consumers;
    for (let i = 0; i < all.length; i++) {
      const at = (this.#turn + i) % all.length;
      const consumer = all[at];
      if (consumer === undefined || consumer.room === 0) continue;
      this.#turn = at + 1;
      return consumer;
    }
    return undefined;
  }
}

/** Runs the outlets that have something to do, all of one turn in one microtask. */
export class Pump {
  #marked: { marked: boolean; run(): void }[] = [];
  #stopped = false;

  mark(outlet: { marked: boolean; run(): void }): void {
    if (this.#stopped) return;
    outlet.marked = true;
    if (this.#marked.push(outlet) === 1) queueMicrotask(this.#run);
  }

  /** Nothing is handed out any more. */
  stop(): void {
    this.#stopped = true;
    for (const outlet of this.#marked) outlet.marked = false;
    this.#marked = [];
  }

  start(): void {
    this.#stopped = false;
  }

  readonly #run = (): void => {
    const all = this.#marked;
    this.#marked = [];
    for (const outlet of all) {
      outlet.marked = false;
      if (!this.#stopped) outlet.run();
    }
  };
}
