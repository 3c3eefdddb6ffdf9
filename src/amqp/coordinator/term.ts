/**
 * One candidacy, on one channel: it waits to become the journal's active consumer, collects it, and rules until it ends.
 *
 * Owns the channel. A candidate learns that it is active by its first delivery. It then publishes a marker, and takes over
 * once that is back and what came before it is complete; from a part of the journal it never does, it waits for the rest
 * with the channel open. Ends once, by closing the channel, never by a cancel, which would leave records with the dead:
 * the broker has all of it again then, in its old order, and gives it to the next.
 */
import { randomBytes } from "node:crypto";
import type { ConfirmChannel, ConsumeMessage, Options } from "amqplib";
import type { Clock } from "../../kernel/types.ts";
import type { Link } from "../link.ts";
import type { Names } from "../names.ts";
import { CLOSE_MS, closed, within } from "../patience.ts";
import { channelError } from "../refusal.ts";
import { assertSystem } from "../topology.ts";
import { Acks } from "./acks.ts";
import { judge } from "./journal.ts";
import { type JournalRecord, markerBytes, readRecord, type StateRecord } from "./records.ts";
import { Reign, type SeatOwner } from "./reign.ts";
import { STORED_MS } from "./tape.ts";
import type { JournalLimits } from "./writer.ts";

export type SeatLink = Pick<Link, "isUp" | "blockedBy" | "confirmChannel" | "answered">;

export interface TermParts {
  readonly link: SeatLink;
  readonly clock: Clock;
  readonly journal: string;
  readonly names: Names;
  /** Calls are published to the nodes' exchange by this routing key. */
  readonly callsKey: string;
  /** Where the broker is, for messages. */
  readonly broker: string;
  readonly graceMs: number;
  readonly limits: JournalLimits;
  readonly owner: SeatOwner;
  readonly warn: (text: string) => void;
  readonly over: (term: Term, reason: Error) => void;
}

/** The journal is never longer than 20,000 records. Without it a quorum queue stops at 2,000. */
const JOURNAL_PREFETCH = 60_000;
const CALLS_PREFETCH = 1_000;
const JOURNAL: Options.AssertQueue = {
  durable: true,
  arguments: {
    "x-queue-type": "quorum",
    "x-single-active-consumer": true,
    // no number of fail-overs ever drops a record; -1 does on 3.10
    "x-delivery-limit": 2_147_483_647,
  },
};
/** A journal that was deleted is begun anew after it. */
const EMPTY_MS = 10_000;
/**
 * On the broker's node that this node is connected to: a cluster that goes on without another one goes on with this. What
 * is in it goes with it, and is asked again.
 */
const CALLS: Options.AssertQueue = { exclusive: true, durable: false, autoDelete: true };

export class Term {
  readonly #parts: TermParts;
  readonly #nonce = randomBytes(9).toString("base64url");
  readonly #collected = new Map<string, StateRecord>();
  readonly #tags: number[] = [];
  #channel: ConfirmChannel | undefined;
  #acks: Acks | undefined;
  #declaredAt = 0;
  /** The queue of calls of an elected one. */
  #calls = "";
  /** It is in line. */
  isStanding = false;
  #hasMarked = false;
  #emptySince: number | undefined;
  #isMarkerBack = false;
  #judging = false;
  #reign: Reign | undefined;
  #stopPatience: () => void = () => {};
  #isOver = false;
  #opened: Promise<void> = Promise.resolve();
  #closed: Promise<void> = Promise.resolve();

  constructor(parts: TermParts) {
    this.#parts = parts;
  }

  /** The rule, once it is elected. */
  get reign(): Reign | undefined {
    return this.#reign?.isElected === true ? this.#reign : undefined;
  }

  get wasElected(): boolean {
    return this.#reign?.wasElected === true;
  }

  open(): void {
    this.#opened = this.#open();
  }

  /** Resolves when its channel is closed. */
  async closed(): Promise<void> {
    await this.#opened;
    await this.#closed;
  }

  async #open(): Promise<void> {
    const { link, broker, journal } = this.#parts;
    try {
      const channel = await link.confirmChannel();
      this.#adopt(channel);
      if (this.#isOver) return;
      await link.answered(this.#stand(channel));
      this.isStanding = true;
      this.#hello();
    } catch (error) {
      this.end(channelError(error, broker, `queue ${journal}`));
    }
  }

  end(reason: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopPatience();
    this.#acks?.end();
    this.#reign?.end(reason);
    const channel = this.#channel;
    if (channel !== undefined) this.#closed = within(this.#parts.clock, CLOSE_MS, closed(channel));
    this.#parts.over(this, reason);
  }

  #adopt(channel: ConfirmChannel): void {
    this.#channel = channel;
    let last: Error | undefined;
    channel.on("error", (error: Error) => {
      last = error;
    });
    const { broker, journal } = this.#parts;
    channel.on("close", () =>
      this.end(
        last === undefined
          ? new Error("the coordinator's channel was closed")
          : channelError(last, broker, `queue ${journal}`),
      ),
    );
    if (this.#isOver) this.#closed = within(this.#parts.clock, CLOSE_MS, closed(channel));
    this.#acks = new Acks(channel, this.#parts.clock);
  }

  async #stand(channel: ConfirmChannel): Promise<void> {
    const { journal, clock } = this.#parts;
    await channel.assertQueue(journal, JOURNAL);
    this.#declaredAt = clock.now();
    await channel.prefetch(JOURNAL_PREFETCH);
    await channel.consume(journal, (message) => this.#heard(message));
  }

  /**
   * In an empty journal nothing would ever tell the active one that it is. So every candidate publishes a marker as it
   * comes. All of these go to the one that is active, which wakes at the first of them, whoever wrote it; the others hear
   * nothing. It acknowledges none before its snapshot is stored, so if it dies before, they wake the next. They end no
   * collection: one that was published before we were active may come back among the records of the dead. What does is
   * a second marker, published after the first delivery, when the broker had put all there was before it.
   */
  #hello(): void {
    this.#publish(markerBytes(`${this.#nonce}/hello`));
  }

  #heard(message: ConsumeMessage | null): void {
    if (this.#isOver) return;
    if (message === null) return this.end(new Error("the broker has taken the journal away"));
    const tag = message.fields.deliveryTag;
    this.#acks?.delivered(tag);
    if (this.#reign !== undefined) return this.#reign.heard(this.#ownSeq(message), tag);
    const record = readRecord(message.content);
    this.#tags.push(tag);
    if (!this.#hasMarked) this.#mark();
    if (record !== undefined) this.#collect(record);
    if (this.#isMarkerBack) this.#judgeSoon();
  }

  /** It stands beside the record, so that nobody reads again what he wrote himself. */
  #ownSeq({ properties }: ConsumeMessage): number | undefined {
    const { appId, messageId } = properties as { readonly appId?: unknown; readonly messageId?: unknown };
    return appId === this.#nonce ? Number(messageId) : undefined;
  }

  #mark(): void {
    this.#hasMarked = true;
    this.#publish(markerBytes(this.#nonce));
    this.#bePatient();
  }

  /** Somebody else has it, if it does not come back: we were active for a moment only. */
  #bePatient(): void {
    const { clock, link } = this.#parts;
    this.#stopPatience = clock.timer(STORED_MS, () => {
      if (link.blockedBy !== undefined) return this.#bePatient();
      this.end(new Error(`the journal did not come within ${STORED_MS / 1_000} s`));
    });
  }

  #collect(record: JournalRecord): void {
    if (record.kind === "marker") {
      if (record.nonce !== this.#nonce) return;
      this.#isMarkerBack = true;
      this.#stopPatience();
      return;
    }
    const key = `${record.epoch}/${record.writer}/${record.seq}`;
    // the broker took it for dead meanwhile, and gave it what it has again: nothing that it counted on holds
    if (this.#collected.has(key)) return this.end(new Error("the journal came twice"));
    this.#collected.set(key, record);
  }

  /** What comes late comes in bulk. */
  #judgeSoon(): void {
    if (this.#judging) return;
    this.#judging = true;
    this.#parts.clock.turn(() => {
      this.#judging = false;
      if (!this.#isOver && this.#reign === undefined) this.#judge();
    });
  }

  #judge(): void {
    const { warn, journal } = this.#parts;
    const verdict = judge(this.#collected.values());
    if (verdict.t === "partial")
      return warn(`the coordinator waits for the rest of ${journal}: ${verdict.why}`);
    if (verdict.t === "fresh" && !this.#mayBeFresh()) return;
    this.#collected.clear();
    const reign = new Reign(this.#reignParts(), verdict, this.#tags.splice(0));
    this.#reign = reign;
    reign.begin().catch((error: unknown) => {
      this.end(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /**
   * There was a coordinator, and nothing of it is here: somebody else holds all of it, or it was deleted. Whoever holds it
   * is taken for dead by the broker within this time, or is none.
   */
  #mayBeFresh(): boolean {
    const { owner, clock, warn, journal } = this.#parts;
    const now = clock.now();
    if (owner.knownEpoch() === 0) return true;
    if (this.#emptySince === undefined) {
      this.#emptySince = now;
      warn(`the coordinator waits for the rest of ${journal}: it is empty, and was not`);
      clock.timer(EMPTY_MS, () => this.#judgeSoon());
    }
    return now - this.#emptySince >= EMPTY_MS;
  }

  #reignParts(): ConstructorParameters<typeof Reign>[0] {
    const { clock, owner, limits, warn, link, graceMs } = this.#parts;
    return {
      clock,
      owner,
      limits,
      warn,
      acks: this.#acks ?? nobody(),
      writer: this.#nonce,
      publish: (bytes, seq, confirmed) =>
        this.#publish(bytes, { appId: this.#nonce, messageId: String(seq) }, confirmed),
      isBlocked: () => link.blockedBy !== undefined,
      failed: (error) => this.end(error),
      graceLeftMs: () => this.#declaredAt + graceMs - clock.now(),
      bindCalls: () => this.#bindCalls(),
      consumeCalls: (heard) => this.#consumeCalls(heard),
    };
  }

  async #bindCalls(): Promise<void> {
    const { link, names, callsKey } = this.#parts;
    const channel = this.#channel;
    if (channel === undefined || this.#isOver) return;
    await link.answered(assertSystem(channel, names));
    const { queue } = await link.answered(channel.assertQueue("", CALLS));
    this.#calls = queue;
    await link.answered(channel.bindQueue(queue, names.system, callsKey));
  }

  /** `basic.qos` holds for the consumers that come after it. */
  async #consumeCalls(heard: (message: ConsumeMessage | null) => void): Promise<void> {
    const { link } = this.#parts;
    const channel = this.#channel;
    if (channel === undefined || this.#isOver) return;
    await link.answered(channel.prefetch(CALLS_PREFETCH));
    if (this.#isOver) return;
    await link.answered(channel.consume(this.#calls, heard));
  }

  /** The default exchange: by the queue's name. */
  #publish(bytes: Buffer, beside: Options.Publish = {}, confirmed: () => void = () => {}): void {
    const channel = this.#channel;
    if (channel === undefined || this.#isOver) return;
    try {
      channel.publish("", this.#parts.journal, bytes, { persistent: true, ...beside }, (error: unknown) => {
        if (error === null || error === undefined) confirmed();
        else this.end(new Error(`the journal took no record: ${(error as Error).message}`));
      });
    } catch (error) {
      this.end(error as Error);
    }
  }
}

function nobody(): never {
  throw new Error("nothing is delivered without a channel");
}
