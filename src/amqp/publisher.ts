/**
 * Publishes durably: mandatory, confirmed, in a window, within bounds of time and memory.
 *
 * Owns one confirm channel of the publishing connection, what waits to be written and what waits for its confirm.
 * When the channel dies, messages that must arrive are written again on the next one (a copy may result, and is known
 * by its id, attempt and hop); all others are told that their outcome is unknown. Nothing waits for ever but what
 * must arrive, and that is bounded by what the node holds.
 */
import type { ConfirmChannel, Message } from "amqplib";
import { BrokerBlocked, BrokerRefused, BrokerUnreachable } from "../broker/errors.ts";
import type { Clock } from "../kernel/types.ts";
import { CONFIRMED, type Letter, RETURNED } from "./letter.ts";
import type { Link } from "./link.ts";
import { channelError, severityOf } from "./refusal.ts";

/** Written and not confirmed. */
const WINDOW = 1_024;
const WINDOW_BYTES = 32 * 1024 * 1024;
/** Waiting to be written while the broker is away or slow; what may be refused is refused beyond it. */
const OUTBOX_BYTES = 64 * 1024 * 1024;
/** A confirm that takes longer is not waited for. */
const CONFIRM_MS = 30_000;
const SWEEP_MS = 250;
/** A message that was on the way each time so many channels in a row were closed is what closes them. */
const MAX_DEATHS = 3;
const REOPEN_MS = 200;
/** A channel that refuses is replaced, but not more often. */
const REPLACE_MS = 1_000;

export interface PublisherParts {
  readonly link: Link;
  readonly clock: Clock;
  /** For messages: where the broker is. */
  readonly broker: string;
  readonly blockedTimeoutMs: number;
  /** Makes sure that what is published to exists; called before a new channel is used. */
  readonly prepare: () => Promise<void>;
  readonly warn: (text: string) => void;
}

export class Publisher {
  readonly #parts: PublisherParts;
  #channel: ConfirmChannel | undefined;
  #opening = false;
  /** A channel that the broker closed for what was sent on it, and not with its connection. */
  #faulted: ConfirmChannel | undefined;
  #fault: Error | undefined;
  /** The socket's buffer is full: nothing is written until it has drained. */
  #choked = false;
  #outbox: Letter[] = [];
  #head = 0;
  #outboxBytes = 0;
  /** Channels that are written to no more, with what is still on its way on them. */
  readonly #retired = new Map<ConfirmChannel, Set<Letter>>();
  #retiredAt = Number.NEGATIVE_INFINITY;
  readonly #inFlight = new Set<Letter>();
  #inFlightBytes = 0;
  /** Refused by the broker a moment ago, and to be sent again. */
  readonly #resting = new Set<Letter>();
  #stopSweep: (() => void) | undefined;
  #lastWarning = "";
  #closed = false;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** The connection is there (again). */
  linkUp(): void {
    void this.#open();
  }

  /** The alarm is over. */
  unblocked(): void {
    this.#pump();
  }

  get unconfirmed(): number {
    return this.#outbox.length - this.#head + this.#inFlight.size + this.#resting.size;
  }

  send(letter: Letter): void {
    letter.since = this.#parts.clock.now();
    if (this.#closed) return letter.end({ kind: "unsent", error: this.#away() });
    if (!letter.must && this.#outboxBytes + letter.body.length > OUTBOX_BYTES)
      return letter.end({ kind: "unsent", error: this.#away() });
    if (this.#ready && this.#head === this.#outbox.length) this.#write(letter);
    else this.#queue(letter);
    this.#sweepLater();
  }

  /** Resolves when nothing is on its way any more; what must arrive may wait for the broker until `withinMs` are over. */
  async drain(withinMs: number): Promise<void> {
    const until = this.#parts.clock.now() + withinMs;
    while (this.unconfirmed > 0 && this.#parts.clock.now() < until) {
      await new Promise<void>((resolve) => this.#parts.clock.timer(20, resolve));
    }
  }

  close(): void {
    this.#closed = true;
    this.#stopSweep?.();
    this.#stopSweep = undefined;
    const rest = [...this.#inFlight];
    this.#inFlight.clear();
    for (const letter of rest) letter.end({ kind: "unknown", error: this.#away() });
    const unsent = [...this.#resting, ...this.#outbox.splice(0).slice(this.#head)];
    this.#resting.clear();
    this.#head = 0;
    for (const letter of unsent) letter.end({ kind: "unsent", error: this.#away() });
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.close().catch(() => {});
  }

  get #ready(): boolean {
    return (
      this.#channel !== undefined &&
      !this.#choked &&
      this.#parts.link.blockedBy === undefined &&
      this.#inFlight.size < WINDOW &&
      this.#inFlightBytes < WINDOW_BYTES
    );
  }

  #queue(letter: Letter): void {
    this.#outbox.push(letter);
    this.#outboxBytes += letter.body.length;
  }

  #pump(): void {
    while (this.#ready && this.#head < this.#outbox.length) {
      const letter = this.#outbox[this.#head++];
      if (letter === undefined) continue;
      this.#outboxBytes -= letter.body.length;
      if (!letter.over) this.#write(letter);
    }
    if (this.#head > 1_024 || this.#head === this.#outbox.length) {
      this.#outbox = this.#outbox.slice(this.#head);
      this.#head = 0;
    }
  }

  #write(letter: Letter): void {
    const channel = this.#channel;
    if (channel === undefined) return this.#queue(letter);
    letter.since = this.#parts.clock.now();
    letter.returned = false;
    this.#inFlight.add(letter);
    this.#inFlightBytes += letter.body.length;
    const { exchange, key } = letter.route;
    try {
      const confirmed = (error: unknown) => this.#confirmed(letter, error, channel);
      if (!channel.publish(exchange, key, letter.body, letter.options, confirmed)) this.#choked = true;
    } catch (error) {
      this.#notWritten(letter, error as Error, channel);
    }
  }

  #notWritten(letter: Letter, error: Error, channel: ConfirmChannel): void {
    this.#taken(letter);
    // headers above 64 KiB, an id that is none: no channel will take it
    if (error.name !== "IllegalOperationError") return letter.end({ kind: "unsent", error });
    this.#dead(channel);
    if (letter.must) this.#queue(letter);
    else letter.end({ kind: "unsent", error: this.#away() });
  }

  /** Nothing more is written to it. amqplib tells of letters that were on the way before it says that it is closed. */
  #dead(channel: ConfirmChannel): void {
    if (this.#channel === channel) this.#channel = undefined;
  }

  #confirmed(letter: Letter, error: unknown, channel: ConfirmChannel): void {
    this.#taken(letter);
    if (error === null || error === undefined) letter.end(letter.returned ? RETURNED : CONFIRMED);
    else if (severityOf(error) === "message") this.#nacked(letter, channel);
    else this.#cutOff(letter, channel);
    if (this.#head < this.#outbox.length) this.#pump();
  }

  #taken(letter: Letter): void {
    if (this.#inFlight.delete(letter)) this.#inFlightBytes -= letter.body.length;
    if (this.#retired.size > 0) this.#closeRetired(letter);
  }

  #closeRetired(letter: Letter): void {
    for (const [channel, letters] of this.#retired) {
      letters.delete(letter);
      if (letters.size > 0) continue;
      this.#retired.delete(channel);
      this.#parts.clock.turn(() => channel.close().catch(() => {})); // not from within its confirm
    }
  }

  /** The broker could not store it, and says so; a cluster that has lost its majority does. */
  #nacked(letter: Letter, channel: ConfirmChannel): void {
    this.#retire(channel, letter);
    const error = new BrokerRefused(this.#parts.broker, "it could not store the message (nack)");
    if (!letter.must) return letter.end({ kind: "unknown", error });
    letter.mayBeCopy();
    this.#resting.add(letter);
    this.#parts.clock.timer(REOPEN_MS, () => {
      if (this.#resting.delete(letter)) this.send(letter);
    });
  }

  /**
   * The next channel may be taken at its word: RabbitMQ 3.10 refuses, for as long as a channel lives, what goes to a queue
   * whose leader went down as the channel first looked for it.
   */
  #retire(channel: ConfirmChannel, refused: Letter): void {
    const now = this.#parts.clock.now();
    if (channel !== this.#channel || now - this.#retiredAt < REPLACE_MS) return;
    this.#retiredAt = now;
    this.#channel = undefined;
    this.#choked = false;
    this.#retired.set(channel, new Set(this.#inFlight));
    this.#closeRetired(refused);
    void this.#open();
  }

  #cutOff(letter: Letter, channel: ConfirmChannel): void {
    this.#dead(channel);
    if (channel === this.#faulted) letter.deaths += 1;
    const error = channel === this.#faulted && this.#fault !== undefined ? this.#fault : this.#away();
    if (!letter.must) return letter.end({ kind: "unknown", error });
    letter.mayBeCopy();
    if (letter.deaths < MAX_DEATHS && !this.#closed) return this.#queue(letter);
    letter.end({
      kind: "unknown",
      error: new BrokerRefused(this.#parts.broker, "the channel was closed each time this message was sent"),
    });
  }

  async #open(): Promise<void> {
    if (this.#opening || this.#closed || this.#channel !== undefined || !this.#parts.link.isUp) return;
    this.#opening = true;
    try {
      await this.#parts.prepare();
      const channel = await this.#parts.link.confirmChannel();
      this.#lastWarning = "";
      this.#adopt(channel);
    } catch (error) {
      if (this.#parts.link.isUp)
        this.#warnOnce(channelError(error, this.#parts.broker, "publishing").message);
      this.#parts.clock.timer(REOPEN_MS, () => void this.#open());
    } finally {
      this.#opening = false;
    }
  }

  /** It is tried five times a second, and the reason is mostly the same. */
  #warnOnce(text: string): void {
    if (text !== this.#lastWarning) this.#parts.warn(text);
    this.#lastWarning = text;
  }

  #adopt(channel: ConfirmChannel): void {
    channel.on("error", (error) => {
      this.#faulted = channel;
      this.#fault = channelError(error, this.#parts.broker, "a message");
      if (this.#parts.link.isUp)
        this.#parts.warn(channelError(error, this.#parts.broker, "a published message").message);
    });
    channel.on("return", (message) => this.#return(message));
    channel.on("drain", () => {
      if (channel !== this.#channel) return;
      this.#choked = false;
      this.#pump();
    });
    channel.on("close", () => {
      this.#retired.delete(channel);
      if (this.#channel !== undefined && this.#channel !== channel) return;
      this.#dead(channel);
      this.#choked = false;
      if (!this.#closed && this.#parts.link.isUp) this.#parts.clock.timer(REOPEN_MS, () => void this.#open());
    });
    this.#channel = channel;
    this.#pump();
  }

  /** It comes before its confirm. Rare, so it is looked for; they are in the order they were written. */
  #return(message: Message): void {
    const { messageId } = message.properties as { readonly messageId?: unknown };
    for (const letter of this.#inFlight) {
      if (letter.returned || letter.options.messageId !== messageId) continue;
      if (letter.route.key !== message.fields.routingKey) continue;
      letter.returned = true;
      return;
    }
  }

  #sweepLater(): void {
    this.#stopSweep ??= this.#parts.clock.timer(SWEEP_MS, () => {
      this.#stopSweep = undefined;
      this.#sweep(this.#parts.clock.now());
      if (this.unconfirmed > 0) this.#sweepLater();
    });
  }

  /** Both lists are in order of their times, so each look ends at the first that is young. */
  #sweep(now: number): void {
    const { blockedTimeoutMs, link } = this.#parts;
    let ended = 0;
    for (let at = this.#head; at < this.#outbox.length; at++) {
      const letter = this.#outbox[at];
      if (letter === undefined || letter.must) continue;
      if (now - letter.since < blockedTimeoutMs) break;
      letter.end({ kind: "unsent", error: this.#away() });
      ended += 1;
    }
    if (ended > 0) this.#dropEnded();
    const patienceMs = link.blockedBy === undefined ? CONFIRM_MS : blockedTimeoutMs;
    for (const letter of this.#inFlight) {
      if (letter.must) continue;
      if (now - letter.since < patienceMs) break;
      letter.end({ kind: "unknown", error: this.#away() });
    }
  }

  /** They take no room from those that come. */
  #dropEnded(): void {
    this.#outbox = this.#outbox.slice(this.#head).filter((letter) => !letter.over);
    this.#head = 0;
    this.#outboxBytes = this.#outbox.reduce((sum, { body }) => sum + body.length, 0);
  }

  #away(): Error {
    const { link, broker } = this.#parts;
    if (link.blockedBy !== undefined) return new BrokerBlocked(broker, link.blockedBy);
    return new BrokerUnreachable(broker);
  }
}
