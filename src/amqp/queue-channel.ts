/**
 * One channel that consumes one queue: its consumers, its deliveries, its acknowledgements.
 *
 * Owns the channel's ledger. Acknowledgements go out in groups: when 50 are due, or after 2 ms; at once where the window
 * is small. When the channel dies its deliveries are void, and whoever made it is told once.
 */
import type { Channel, ConsumeMessage } from "amqplib";
import type { Clock } from "../kernel/types.ts";
import type { Handed } from "./handed.ts";
import { AckLedger } from "./ledger.ts";
import { closed } from "./patience.ts";

export interface ChannelOwner {
  message(message: ConsumeMessage, from: QueueChannel): void;
  /** The broker has cancelled the consumer: its queue is gone, has moved, or took offence at a slow acknowledgement. */
  cancelledByBroker(from: QueueChannel): void;
  gone(from: QueueChannel, error: Error | undefined): void;
}

const GROUP = 50;
const GROUP_MS = 2;
/** Below this window an acknowledgement that waits would keep the broker waiting. */
const SMALL_WINDOW = 32;
let serials = 0;

interface Consumer {
  readonly tag: string;
  readonly prefetch: number;
}

export class QueueChannel {
  /** Grows with each channel of this process. */
  readonly serial = ++serials;
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #owner: ChannelOwner;
  readonly #ledger = new AckLedger();
  #consumers: Consumer[] = [];
  #prefetch = 0;
  #flushing = false;
  #heldBack = false;
  #error: Error | undefined;
  closed = false;
  /** The close is under way: the broker has all of it again, and nothing more can be said. */
  #closing = false;

  constructor(channel: Channel, clock: Clock, owner: ChannelOwner) {
    this.#channel = channel;
    this.#clock = clock;
    this.#owner = owner;
    channel.on("error", (error) => {
      this.#error = error;
    });
    channel.on("close", () => {
      this.closed = true;
      this.#owner.gone(this, this.#error);
    });
  }

  /** What the broker may send ahead, all consumers together. */
  get prefetch(): number {
    return this.#prefetch;
  }

  /** It has all that it may have ahead: the broker sends nothing before something is acknowledged. */
  get isFull(): boolean {
    return this.#prefetch > 0 && this.#ledger.open + this.#ledger.pending >= this.#prefetch;
  }

  /** Delivered and neither settled nor handed back. */
  get open(): number {
    return this.#ledger.open;
  }

  /** One more consumer that may have so much ahead: a change of `basic.qos` touches new consumers only. */
  async consume(queue: string, prefetch: number, tag: string, priority?: number): Promise<void> {
    await this.#channel.prefetch(prefetch);
    const receive = (message: ConsumeMessage | null) => {
      if (message === null) return this.#owner.cancelledByBroker(this);
      this.#ledger.delivered(message.fields.deliveryTag);
      this.#owner.message(message, this);
    };
    const options = priority === undefined ? {} : { priority };
    await this.#channel.consume(queue, receive, { consumerTag: tag, ...options });
    this.#consumers.push({ tag, prefetch });
    this.#prefetch += prefetch;
  }

  /** Takes consumers away until at most `prefetch` is left; what they have brought stays and can be settled. */
  async shrink(prefetch: number): Promise<void> {
    while (this.#prefetch > prefetch) {
      const last = this.#consumers.pop();
      if (last === undefined) return;
      this.#prefetch -= last.prefetch;
      await this.#channel.cancel(last.tag);
    }
  }

  /** While acknowledgements are held back nothing is on its way, so a cancel returns nothing that was. */
  holdBack(held: boolean): void {
    this.#heldBack = held;
    if (!held) this.#flush();
  }

  settle(tag: number): void {
    this.#ledger.settled(tag);
    if (this.#heldBack) return;
    if (this.#ledger.pending >= GROUP) this.#flush();
    else this.#flushSoon();
  }

  /** Back to the broker by itself. Call it in the order of the queue, and only after the consumers are cancelled. */
  giveBack({ tag }: Handed): void {
    this.#ledger.returned(tag);
    if (!this.closed && !this.#closing) this.#channel.nack(messageOf(tag), false, true);
  }

  /** A call that the broker answers: what was sent before it has been seen. */
  async roundTrip(queue: string): Promise<void> {
    await this.#channel.checkQueue(queue);
  }

  /** Sends what is due. */
  #flush(): void {
    if (this.closed || this.#closing || this.#heldBack || this.#ledger.pending === 0) return;
    const { upTo, singles } = this.#ledger.take(this.#prefetch <= SMALL_WINDOW);
    if (upTo > 0) this.#channel.ack(messageOf(upTo), true);
    for (const tag of singles) this.#channel.ack(messageOf(tag), false);
    if (this.#ledger.pending > 0) this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    if (this.#prefetch <= SMALL_WINDOW) this.#clock.turn(this.#flushNow);
    else this.#clock.timer(GROUP_MS, this.#flushNow);
  }

  readonly #flushNow = (): void => {
    this.#flushing = false;
    this.#flush();
  };

  /** All that is settled is acknowledged; the rest is the broker's again, in its old order. */
  async close(): Promise<void> {
    if (this.closed || this.#closing) return;
    this.#heldBack = false;
    while (this.#ledger.pending > 0) this.#flush();
    this.#closing = true;
    await closed(this.#channel);
  }
}

/** amqplib takes a message and reads its tag. */
function messageOf(deliveryTag: number): ConsumeMessage {
  return { fields: { deliveryTag } } as ConsumeMessage;
}
