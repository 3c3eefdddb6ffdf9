/**
 * The rule of one coordinator: from a complete journal to its own snapshot, then changes and calls until it ends.
 *
 * Owns the writer, the tape and the calls of one term. Nothing that was in the journal before is acknowledged until its
 * own snapshot is stored, so whoever comes next has one or the other. Calls reach it from its election on, and what it
 * leaves undone is asked again of the next. Ends once, with the channel; the owner is told if it had been elected.
 */
import type { ConsumeMessage } from "amqplib";
import type { Acks } from "./acks.ts";
import { changesOf, type Verdict } from "./journal.ts";
import type { Change } from "./requests.ts";
import { Tape, type TapeParts } from "./tape.ts";
import { type JournalLimits, Writer } from "./writer.ts";

/** Whose state the journal keeps. */
export interface SeatOwner {
  /** The highest epoch that this node has heard of: a journal that was deleted begins above it. */
  knownEpoch(): number;
  /**
   * The durable state, as of the journal; replaces whatever there was. Called before each `elected`, in `epoch`; where it
   * rejects, this seat is not elected, and the next in line may try.
   */
  rebuild(changes: Iterable<Change>, epoch: number): void | Promise<void>;
  /**
   * The durable state as changes, in lists of any length, read bit by bit over several turns. It may or may not show
   * what changes meanwhile, but must come to an end.
   */
  snapshot(): Iterable<readonly Change[]>;
  elected(epoch: number): void;
  /** Once for each `elected`. */
  deposed(reason: Error): void;
  /** Once for each `rebuild`: its term is over, elected or not. */
  over?(reason: Error): void;
  /** `done`: its changes are durable and its answer is sent. Without an answer it is asked again. */
  call(body: unknown, done: () => void): void;
}

export interface ReignParts extends TapeParts {
  readonly owner: SeatOwner;
  readonly limits: JournalLimits;
  readonly writer: string;
  readonly acks: Acks;
  readonly warn: (text: string) => void;
  /** Nothing is relied on in a queue that was just made. */
  readonly graceLeftMs: () => number;
  /** From then on calls wait for it. */
  readonly bindCalls: () => Promise<void>;
  readonly consumeCalls: (heard: (message: ConsumeMessage | null) => void) => Promise<void>;
}

type Basis = Exclude<Verdict, { readonly t: "partial" }>;

export class Reign {
  readonly epoch: number;
  /** It was elected, whatever became of it. */
  wasElected = false;
  readonly #parts: ReignParts;
  readonly #basis: Basis;
  readonly #tape: Tape;
  readonly #writer: Writer;
  /** Deliveries to be acknowledged when the snapshot is stored. */
  #older: number[];
  #state: "opening" | "elected" | "over" = "opening";

  constructor(parts: ReignParts, basis: Basis, tags: readonly number[]) {
    const { owner, limits, writer, clock, failed } = parts;
    this.#parts = parts;
    this.#basis = basis;
    this.#older = [...tags];
    this.epoch = Math.max(basis.highest, owner.knownEpoch()) + 1;
    this.#tape = new Tape(parts);
    this.#writer = new Writer({
      tape: this.#tape,
      clock,
      limits,
      failed,
      head: { epoch: this.epoch, writer },
      snapshot: () => owner.snapshot(),
      letGo: (old) => this.#settle(old),
    });
  }

  get isElected(): boolean {
    return this.#state === "elected";
  }

  /** Of this term, in the journal. */
  get records(): number {
    return this.#tape.size;
  }

  /** Rejects with what prevented it. */
  async begin(): Promise<void> {
    const { owner, graceLeftMs, bindCalls, consumeCalls } = this.#parts;
    const basis = this.#basis;
    await owner.rebuild(basis.t === "complete" ? changesOf(basis.records) : [], this.epoch);
    if (this.#isOver()) return;
    if (basis.t === "fresh") await this.#grace(graceLeftMs());
    if (this.#isOver()) return;
    await this.#writer.open(basis.base);
    if (this.#isOver()) return;
    // before anybody hears of it, and asks again what the one before it has not answered
    await bindCalls();
    if (this.#isOver()) return;
    this.#state = "elected";
    this.wasElected = true;
    this.#settle(this.#older.splice(0));
    owner.elected(this.epoch);
    if (this.#isOver()) return;
    await consumeCalls((message) => this.#call(message));
  }

  /** A delivery of the journal: `seq` of a record that is its own. */
  heard(seq: number | undefined, tag: number): void {
    if (seq !== undefined) {
      if (this.#tape.came(seq, tag)) return;
      this.#parts.failed(new Error("the journal's records came back out of order"));
    }
    // a candidate's marker; or what somebody wrote who rules no more: it reaches us, so it did not come back to them
    else if (this.#state === "opening") this.#older.push(tag);
    else this.#settle([tag]);
  }

  append(changes: readonly Change[]): Promise<void> {
    return this.#writer.append(changes);
  }

  compact(): Promise<void> {
    return this.#writer.compact();
  }

  end(reason: Error): void {
    if (this.#isOver()) return;
    this.#state = "over";
    this.#writer.end(reason);
    if (this.wasElected) this.#parts.owner.deposed(reason);
    this.#parts.owner.over?.(reason);
  }

  #isOver(): boolean {
    return this.#state === "over";
  }

  #grace(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve) => this.#parts.clock.timer(ms, resolve));
  }

  #settle(tags: readonly number[]): void {
    for (const tag of tags) this.#parts.acks.settle(tag);
  }

  #call(message: ConsumeMessage | null): void {
    const { acks, owner, warn, failed } = this.#parts;
    if (this.#isOver()) return;
    if (message === null) return failed(new Error("the broker has taken the queue of calls away"));
    const tag = message.fields.deliveryTag;
    acks.delivered(tag);
    const done = () => acks.settle(tag);
    const body = read(message.content);
    if (body === undefined) return done(); // none of ours
    try {
      owner.call(body, done);
    } catch (error) {
      done(); // it would throw at the next one too
      warn(`a call of the coordinator: ${(error as Error).message}`);
    }
  }
}

/** Total: anybody may publish to a queue. */
function read(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
