/**
 * One queue on this node: a channel that follows what its subscriptions want, and follows the broker when it breaks.
 *
 * Owns the channel and its consumers. More is wanted: one more consumer; less: gated here at once, fewer consumers later;
 * none (paused): the consumers are cancelled and what has not started is held, or handed back where it gives way. When the last subscription ends, what has
 * not started is handed back in order, and the channel stays until what runs has settled. A channel that breaks is made
 * anew with backoff; a queue that was deleted under us is declared again, and that is said.
 */
import type { ConsumeMessage } from "amqplib";
import type { QueueRef } from "../broker/contract.ts";
import type { Clock } from "../kernel/types.ts";
import type { Handed } from "./handed.ts";
import { Lane, type LaneOwner } from "./lane.ts";
import type { Link } from "./link.ts";
import { CLOSE_MS, within } from "./patience.ts";
import { type ChannelOwner, QueueChannel } from "./queue-channel.ts";
import { channelError, hasCode } from "./refusal.ts";

export interface ReaderHome {
  readonly link: Link;
  readonly clock: Clock;
  readonly broker: string;
  readonly node: string;
  readonly classic: boolean;
  readonly isCutOff: boolean;
  isStopped(queue: QueueRef): boolean;
  nameOf(queue: QueueRef): string;
  message(message: ConsumeMessage, from: QueueChannel, reader: QueueReader): void;
  /** A channel of this queue is gone: what it brought is void. */
  channelGone(from: QueueChannel, reader: QueueReader): void;
  /** It was handed back: this node answers for it no more. */
  gaveBack(handed: Handed): void;
  /** Declares the queue again. */
  restore(queue: QueueRef): Promise<void>;
  /** The reader is done for good. */
  finished(reader: QueueReader): void;
  warn(text: string): void;
}

const RETRY_MS = 100;
const RETRY_MOST_MS = 5_000;
/** A window that has become too large is made smaller when it has been so for this long. */
const LOWER_MS = 1_000;
const HOLD_BACK_MS = 60;
const RAISE_MS = 10;
/** Half of RabbitMQ's default consumer timeout: what a pause holds longer is handed back. */
const HELD_MOST_MS = 15 * 60_000;

export class QueueReader implements LaneOwner, ChannelOwner {
  readonly lane: Lane;
  readonly queue: QueueRef;
  readonly name: string;
  /** Deliveries that are held for other nodes: they take places of the window. */
  held = 0;
  readonly #home: ReaderHome;
  #channel: QueueChannel | undefined;
  #busy = false;
  #running: Promise<void> = Promise.resolve();
  #again = false;
  /** What the last step has gone for. */
  #aim = 0;
  #failures = 0;
  #waiting = false;
  #closing = false;
  #returning: Handed[] = [];
  #consumers = 0;
  #stopLower: (() => void) | undefined;
  #stopHeld: (() => void) | undefined;
  #stopRaise: (() => void) | undefined;

  constructor(queue: QueueRef, home: ReaderHome) {
    this.queue = queue;
    this.name = home.nameOf(queue);
    this.#home = home;
    this.lane = new Lane(this);
  }

  /** The connection is there (again). */
  linkUp(): void {
    this.#failures = 0;
    this.#waiting = false;
    void this.#reconcile();
  }

  /** The node has heard nobody for longer than others wait for it. */
  get isCutOff(): boolean {
    return this.#home.isCutOff;
  }

  get isStopped(): boolean {
    return this.#home.isStopped(this.queue);
  }

  /** Resolves when the broker has answered to all that is under way. */
  idle(): Promise<void> {
    return this.#running;
  }

  wantedChanged(): void {
    const have = this.#channel?.prefetch ?? 0;
    const want = this.#want;
    // key waiters raise it one by one: a consumer each would be many
    if (have > 0 && want > have && want < have * 2) {
      this.#stopRaise ??= this.#home.clock.timer(RAISE_MS, () => {
        this.#stopRaise = undefined;
        void this.#reconcile();
      });
    } else if (want !== have) void this.#reconcile();
  }

  async abandoned(): Promise<void> {
    this.#closing = true;
    this.#returning.push(...this.lane.takeAll());
    await this.#reconcile();
  }

  /** It was settled, and that is durable. */
  settled(handed: Handed): void {
    handed.source?.settle(handed.tag);
    handed.source = undefined;
    if (this.#closing) this.#endWhenIdle();
  }

  /** What has never been in anybody's hands: its place is taken by what was published for it. */
  acknowledge(from: QueueChannel, tag: number): void {
    from.settle(tag);
    if (this.#closing) this.#endWhenIdle();
  }

  /** It takes from the broker, or will as soon as it can. */
  get takes(): boolean {
    return this.lane.wanted > 0 || (this.#channel?.prefetch ?? 0) > 0;
  }

  /** Looks while nothing can come: every place of the window is taken, and stays so. `undefined`: there was a free one. */
  async whileFull<T>(look: () => Promise<T>): Promise<T | undefined> {
    const channel = this.#channel;
    if (this.#busy || channel?.isFull !== true) return undefined;
    this.#busy = true;
    channel.holdBack(true);
    try {
      return await look();
    } finally {
      channel.holdBack(false);
      this.#busy = false;
      void this.#reconcile();
    }
  }

  /** Back as it came: kept here while somebody wants this queue, else the broker's again. */
  release(handed: Handed): void {
    if (!this.#returns) return this.lane.putBack(handed);
    this.#returning.push(handed);
    if (this.#returning.length === 1) this.#home.clock.turn(() => void this.#reconcile());
  }

  /** What is released goes back to the broker. */
  get #returns(): boolean {
    return this.#closing || this.lane.givesWay;
  }

  /** Cancels, hands back, closes, whatever state it is in. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#stopTimers();
    this.#returning.push(...this.lane.takeAll());
    const channel = this.#channel;
    if (channel !== undefined) await within(this.#home.clock, CLOSE_MS, channel.close());
  }

  message(message: ConsumeMessage, from: QueueChannel): void {
    this.#home.message(message, from, this);
  }

  cancelledByBroker(from: QueueChannel): void {
    this.#home.warn(
      `queue ${this.name}: the broker cancelled the consumer (queue deleted or moved, or an acknowledgement took longer than its consumer_timeout); it is subscribed again`,
    );
    void from.close(); // all that it brought comes again, flagged
  }

  gone(from: QueueChannel, error: Error | undefined): void {
    this.#home.channelGone(from, this);
    this.held = 0;
    if (this.#channel !== from) return;
    this.#channel = undefined;
    for (const handed of this.#returning.splice(0)) this.#home.gaveBack(handed);
    if (this.#closing) return this.#finish();
    if (!this.#home.link.isUp || error === undefined) return void this.#later();
    const told = channelError(error, this.#home.broker, `queue ${this.name}`);
    this.#home.warn(`${told.message}; its channel was closed, and is made anew`);
    this.#later();
  }

  /** What the broker may send ahead. What waits here already is a part of it. */
  get #want(): number {
    const { wanted, buffered } = this.lane;
    if (this.#closing || wanted === 0) return 0;
    const have = this.#channel?.prefetch ?? 0;
    // after a pause, what was held goes first: nothing new until half of it is gone
    if (have === 0 && buffered > 0 && buffered * 2 > wanted) return 0;
    return Math.min(65_535, wanted + this.held);
  }

  /** Brings the channel to what is wanted now; whoever asks meanwhile waits for the same run. */
  #reconcile(): Promise<void> {
    if (this.#busy) {
      this.#again = true;
      return this.#running;
    }
    this.#busy = true;
    this.#running = this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      do {
        this.#again = false;
        await this.#step();
      } while (this.#again);
      this.#failures = 0;
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#busy = false;
    }
    if (this.#closing) this.#endWhenIdle();
    // a consumer counts when the broker has answered: a pause before that has seen nothing to take away
    else if (this.#want !== this.#aim) this.wantedChanged();
  }

  async #step(): Promise<void> {
    const { link, clock } = this.#home;
    const want = this.#want;
    this.#aim = want;
    if (!link.isUp || this.#waiting) return;
    if (!this.#returns) for (const handed of this.#returning.splice(0)) this.lane.putBack(handed);
    if (this.#channel === undefined) {
      if (want === 0) return;
      this.#channel = new QueueChannel(await link.channel(), clock, this);
    }
    const channel = this.#channel;
    const have = channel.prefetch;
    if (want === 0) {
      if (have > 0) await link.answered(channel.shrink(0));
      if (!this.#returns) return this.#holdWhilePaused();
      this.#returning.push(...this.lane.takeAll());
      return this.#giveBack(channel);
    }
    this.#stopHeld?.();
    this.#stopHeld = undefined;
    if (want > have) await link.answered(channel.consume(this.name, want - have, this.#tag()));
    else if (want < have) this.#lowerLater();
  }

  #tag(): string {
    this.#consumers += 1;
    // at most 255 bytes (AMQP's short string): a node's name may be longer than what else is in it
    const { node } = this.#home;
    return `${Buffer.from(node).subarray(0, 64).toString("latin1")}/${this.name}/${this.#consumers}`;
  }

  #lowerLater(): void {
    this.#stopLower ??= this.#home.clock.timer(LOWER_MS, () => {
      this.#stopLower = undefined;
      void this.#lower().catch((error) => this.#failed(error));
    });
  }

  /** Nothing may be on its way when a consumer is cancelled: it would come back flagged. */
  async #lower(): Promise<void> {
    const channel = this.#channel;
    const want = this.#want;
    if (channel === undefined || this.#busy || want >= channel.prefetch || want === 0) return;
    this.#busy = true;
    try {
      channel.holdBack(true);
      await new Promise<void>((resolve) => this.#home.clock.timer(HOLD_BACK_MS, resolve));
      await this.#home.link.answered(channel.shrink(want));
    } finally {
      channel.holdBack(false);
      this.#busy = false;
    }
    await this.#reconcile();
  }

  /** Paused: what is held would run into the broker's consumer timeout some day. */
  #holdWhilePaused(): void {
    this.#stopHeld ??= this.#home.clock.timer(HELD_MOST_MS, () => {
      this.#stopHeld = undefined;
      this.#returning.push(...this.lane.takeAll());
      const channel = this.#channel;
      if (channel !== undefined) this.#giveBack(channel).catch((error) => this.#failed(error));
    });
  }

  /**
   * In the order of the queue. When nothing else is open, closing the channel keeps the order on every version;
   * RabbitMQ before 4.0 turns quorum queues around when several come back at once, so there it is one by one.
   */
  async #giveBack(channel: QueueChannel): Promise<void> {
    const back = this.#returning.splice(0).filter((one) => one.source === channel);
    if (back.length === 0) return;
    // all of them first: when the channel ends in the middle the broker has the rest again, and asks nobody
    for (const handed of back) this.#home.gaveBack(handed);
    if (this.#closing && back.length === channel.open) return channel.close();
    const oneByOne = !this.#home.classic && /^[0-3]\./.test(this.#home.link.serverVersion);
    for (const handed of back.sort((a, b) => a.place - b.place)) {
      channel.giveBack(handed);
      if (oneByOne && !channel.closed) await this.#home.link.answered(channel.roundTrip(this.name));
    }
  }

  #endWhenIdle(): void {
    if (this.#busy || this.#returning.length > 0) return;
    const channel = this.#channel;
    if (channel === undefined) this.#finish();
    else if (channel.open === 0) void channel.close();
  }

  #finish(): void {
    this.#stopTimers();
    this.#home.finished(this);
  }

  #stopTimers(): void {
    this.#stopLower?.();
    this.#stopHeld?.();
    this.#stopRaise?.();
  }

  #failed(error: unknown): void {
    if (!this.#home.link.isUp || this.#closing) return;
    // a channel that was closed for it has told it already
    if (this.#channel !== undefined)
      this.#home.warn(channelError(error, this.#home.broker, `queue ${this.name}`).message);
    if (hasCode(error, 404) && !isOutOfReach(error)) this.#restore();
    this.#later();
  }

  #restore(): void {
    this.#home.warn(
      `queue ${this.name} was deleted on the broker, with what stood in it; it is declared again`,
    );
    this.#home.restore(this.queue).catch((error: Error) => this.#home.warn(error.message));
  }

  #later(): void {
    if (this.#waiting || this.#closing) return;
    this.#waiting = true;
    const ms = Math.min(RETRY_MOST_MS, RETRY_MS * 2 ** this.#failures++);
    this.#home.clock.timer(ms, () => {
      this.#waiting = false;
      void this.#reconcile();
    });
  }
}

/** The queue is there, and its node in the broker's cluster is not: declaring it again would not bring it back. */
function isOutOfReach(error: unknown): boolean {
  return /down or inaccessible/.test((error as Error).message);
}
