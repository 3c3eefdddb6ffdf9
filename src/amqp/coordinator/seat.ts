/**
 * This node's seat in the election of one partition's coordinator: one term after the other, while there is a connection.
 *
 * Owns the term and the backoff between two. Whoever is elected hears `rebuild` and `elected`, and `deposed` once it is
 * over, whatever ended it; what was appended and not stored then rejects. When this node dies the broker closes its channel,
 * and the next in line has the journal and the calls that were not done. It stands again for ever, until `stop`.
 */
import { BrokerUnreachable, PersisterFailed } from "../../broker/errors.ts";
import type { Clock } from "../../kernel/types.ts";
import type { Names } from "../names.ts";
import type { SeatOwner } from "./reign.ts";
import type { Change } from "./requests.ts";
import { type SeatLink, Term } from "./term.ts";
import { JOURNAL_LIMITS, type JournalLimits } from "./writer.ts";

export type { SeatOwner } from "./reign.ts";
export type { SeatLink } from "./term.ts";

export interface SeatParts {
  /** Its owner says `linkUp` and `linkDown`. */
  readonly link: SeatLink;
  readonly clock: Clock;
  readonly names: Names;
  readonly partition: string;
  /** Where the broker is, for messages. */
  readonly broker: string;
  /** `newQueueGrace`: how long a journal that was just made is not relied on. */
  readonly graceMs: number;
  readonly owner: SeatOwner;
  readonly warn: (text: string) => void;
  readonly limits?: Partial<JournalLimits>;
}

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 2_000;

export class Seat {
  readonly #parts: SeatParts;
  #term: Term | undefined;
  /** Whose channel may still be closing. */
  #last: Term | undefined;
  #tries = 0;
  #lastWarning = "";
  #stopTimer: () => void = () => {};
  #isStopped = false;

  constructor(parts: SeatParts) {
    this.#parts = parts;
  }

  /** The connection is there (again). */
  linkUp(): void {
    this.#stand();
  }

  /** It is gone, with the channel. */
  linkDown(error: Error): void {
    this.#stopTimer();
    this.#term?.end(error);
  }

  /** `standing`: in line, or about to take over. */
  get state(): "away" | "standing" | "elected" {
    if (this.#term?.reign !== undefined) return "elected";
    return this.#term?.isStanding === true ? "standing" : "away";
  }

  /** While it is elected. */
  get epoch(): number | undefined {
    return this.#term?.reign?.epoch;
  }

  /** Records that the elected one holds; undefined while it is not elected. */
  get records(): number | undefined {
    return this.#term?.reign?.records;
  }

  /**
   * Resolves when they are durable and whoever is elected next will have them. Rejects when it is not known: then this
   * seat is deposed. The changes of one call are never parted.
   */
  async append(changes: readonly Change[]): Promise<void> {
    const reign = this.#term?.reign;
    const { broker } = this.#parts;
    if (reign === undefined) throw new BrokerUnreachable(broker, { cause: new Error("not elected") });
    try {
      await reign.append(changes);
    } catch (cause) {
      throw new BrokerUnreachable(broker, { cause });
    }
  }

  /** Writes the state anew and lets go of what is older; at once, not when it is due. */
  async compact(): Promise<void> {
    await this.#term?.reign?.compact();
  }

  /** Hands over to the next in line and stands again behind it. */
  async stepDown(): Promise<void> {
    const term = this.#term;
    if (term === undefined) return;
    this.#term = undefined;
    this.#last = term;
    term.end(new Error("it stepped down"));
    await term.closed();
    this.#stand();
  }

  /** What it would have to rest on is not there: the next in line may fare better. It stands again behind it, later. */
  giveUp(reason: Error): void {
    this.#term?.end(reason);
  }

  /** For good; idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopTimer();
    this.#term?.end(new Error("it was stopped"));
    await this.#last?.closed();
  }

  #stand(): void {
    const { link, clock, names, partition, broker, graceMs, owner, limits } = this.#parts;
    if (this.#isStopped || this.#term !== undefined || !link.isUp) return;
    this.#stopTimer();
    const term = new Term({
      link,
      clock,
      broker,
      graceMs,
      owner,
      journal: names.journal(partition),
      names,
      callsKey: names.coordinator(partition),
      limits: { ...JOURNAL_LIMITS, ...limits },
      warn: (text) => this.#warn(text),
      over: (ended, reason) => this.#over(ended, reason),
    });
    this.#term = term;
    term.open();
  }

  #over(term: Term, reason: Error): void {
    if (this.#term !== term) return;
    this.#term = undefined;
    this.#last = term;
    // one whose persister fails is elected again and again, and comes no further
    if (term.wasElected && !(reason instanceof PersisterFailed)) {
      this.#tries = 0;
      this.#lastWarning = "";
    }
    // amqplib tells of the channel before its connection
    this.#parts.clock.turn(() => {
      if (this.#isStopped || this.#term !== undefined || !this.#parts.link.isUp) return;
      this.#warn(`the coordinator's seat of partition ${this.#parts.partition}: ${reason.message}`);
      this.#standLater();
    });
  }

  #standLater(): void {
    const most = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#tries++);
    this.#stopTimer = this.#parts.clock.timer(most * (0.5 + Math.random() / 2), () => this.#stand());
  }

  /** The same is said once: a journal that is not let go of may be so for hours. */
  #warn(text: string): void {
    if (text === this.#lastWarning) return;
    this.#lastWarning = text;
    this.#parts.warn(text);
  }
}
