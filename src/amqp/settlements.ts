/**
 * How a delivery leaves this node: what takes its place is stored, its keys are freed, and then it is acknowledged.
 *
 * Owns that order, and what is under way of it. A job that ends anywhere between two of these comes again; none of them
 * is done twice. A job without keys is acknowledged in the same turn.
 */
import type { Delivery } from "../broker/contract.ts";
import { poisonRecord } from "../broker/poison.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import { snoozed } from "../jobs/retry.ts";
import { hasKeys, type Leaving } from "./coordinator/job-keys.ts";
import { Handed } from "./handed.ts";
import type { Parts } from "./parts.ts";
import { within } from "./patience.ts";
import type { Readers } from "./readers.ts";

/** How long a job is away that goes round. */
const ROUND_MS = 1_000;

export class Settlements {
  readonly #parts: Parts;
  readonly #readers: Readers;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(parts: Parts, readers: Readers) {
    this.#parts = parts;
    this.#readers = readers;
  }

  /** What is counted against a suspect, and keys, are asked for first; `deliver` comes when it may go on. */
  begin(handed: Handed, deliver: (delivery: Delivery) => void): void {
    if (this.#isPurged(handed)) return this.#purge(handed);
    if (handed.suspect === undefined) return this.#beginKeyed(handed, deliver);
    this.#parts.suspects.countedOf(handed.envelope).then(
      (crashes) => {
        if (!handed.live) return;
        if (crashes >= this.#parts.maxCrashes) return this.#buryPoison(handed, crashes);
        handed.suspect = { crashes, alone: crashes > 0 };
        this.#beginKeyed(handed, deliver);
      },
      () => this.release(handed), // the node is closed
    );
  }

  #beginKeyed(handed: Handed, deliver: (delivery: Delivery) => void): void {
    if (!hasKeys(handed.envelope)) return deliver(handed);
    this.#parts.keys.begin(handed.envelope).then(
      (begun) => {
        if (!handed.live) return;
        if (handed.subscription.cancelled) return this.release(handed);
        if (begun.t === "go") return deliver(handed);
        handed.live = false;
        if (begun.t === "over") this.#ended(handed);
        else this.#buryDuplicate(handed, begun.holder);
      },
      () => this.release(handed), // the node is closed
    );
  }

  complete(delivery: Delivery): void {
    const handed = this.#taken(delivery);
    if (handed === undefined) return;
    if (!hasKeys(handed.envelope)) return this.#ended(handed);
    this.#freed(handed, "ended").catch(() => {}); // unacknowledged, it comes again
  }

  /** Resolves when the acknowledgement is on its way: AMQP confirms no acknowledgement. */
  async discard(delivery: Delivery): Promise<void> {
    const handed = this.#taken(delivery);
    if (handed === undefined) return;
    if (hasKeys(handed.envelope)) await this.#freed(handed, "ended");
    else this.#ended(handed);
  }

  async retry(delivery: Delivery, next: Envelope, dueAt: number): Promise<void> {
    const handed = this.#taken(delivery);
    if (handed !== undefined)
      await this.#replaced(handed, this.#parts.outgoing.replace(next, dueAt), "comes again", next.attempt);
  }

  /** As a hand-back that is published; its place in the line for its key is kept. */
  async goRound(delivery: Delivery): Promise<void> {
    const handed = this.#taken(delivery);
    if (handed === undefined) return;
    const next = snoozed(handed.envelope);
    const stored = this.#parts.outgoing.replace(next, this.#parts.clock.now() + ROUND_MS);
    await this.#watch(this.#replaced(handed, stored, "goes round"));
  }

  async bury(delivery: Delivery, envelope: Envelope, record: BuriedRecord): Promise<void> {
    const handed = this.#taken(delivery);
    if (handed !== undefined)
      await this.#replaced(handed, this.#parts.outgoing.bury(envelope, record), "buried");
  }

  release(delivery: Delivery): void {
    const handed = this.#taken(delivery, true);
    if (handed === undefined) return;
    if (hasKeys(handed.envelope)) this.#watch(this.#parts.keys.end(handed.envelope, "comes again"));
    handed.subscription.lane.settled(handed);
    if (handed.attached) this.#readers.release(handed);
    else this.#parts.custody.gaveBack(handed); // the broker has it again since its channel died
  }

  /** False: another node has started it, or ended it; it is settled by that. */
  async stillOurs(delivery: Delivery): Promise<boolean> {
    if (!(delivery instanceof Handed) || !delivery.live) return true;
    if (await this.#parts.custody.stillOurs(delivery)) return true;
    const handed = this.#taken(delivery);
    if (handed === undefined) return false;
    if (hasKeys(handed.envelope)) this.#watch(this.#parts.keys.end(handed.envelope, "comes again"));
    handed.subscription.lane.settled(handed);
    this.#parts.custody.superseded(handed);
    return false;
  }

  /** Resolves when nothing is between two steps, or the time is over. */
  drained(withinMs: number): Promise<void> {
    return within(this.#parts.clock, withinMs, this.#allOver());
  }

  async #allOver(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** Whoever has the delivery settles it, once. It stays in hand until what follows is durable. */
  #taken(delivery: Delivery, comesBack = false): Handed | undefined {
    if (!(delivery instanceof Handed) || !delivery.live) return undefined;
    delivery.live = false;
    if (delivery.suspect !== undefined) this.#parts.suspects.cleared(delivery.envelope, comesBack);
    return delivery;
  }

  #ended(handed: Handed): void {
    this.#parts.custody.ended(handed);
    handed.subscription.lane.settled(handed);
  }

  #freed(handed: Handed, leaving: Leaving, attempt?: number): Promise<void> {
    const freed = this.#parts.keys.end(handed.envelope, leaving, attempt);
    return this.#watch(freed.then(() => this.#ended(handed)));
  }

  /** What takes its place is confirmed before its keys are freed, and those before it is acknowledged. */
  async #replaced(
    handed: Handed,
    stored: Promise<void>,
    leaving: Leaving | "without keys",
    attempt?: number,
  ): Promise<void> {
    const isKeyed = leaving !== "without keys" && hasKeys(handed.envelope);
    try {
      await stored;
    } catch (error) {
      // unacknowledged, it comes again with the next channel
      if (isKeyed) this.#watch(this.#parts.keys.end(handed.envelope, "comes again"));
      this.#parts.custody.gaveBack(handed);
      handed.subscription.lane.settled(handed);
      throw error;
    }
    if (isKeyed) await this.#freed(handed, leaving, attempt);
    else this.#ended(handed);
  }

  /** Another job has its queue key, and nobody can be told who enqueued it, or published it elsewhere. */
  #buryDuplicate(handed: Handed, holder: string): void {
    const record: BuriedRecord = {
      reason: "duplicate",
      buriedAt: this.#parts.clock.now(),
      error: {
        kind: "error",
        name: "DuplicateJob",
        message: `job ${holder} holds the same queue key`,
        stack: undefined,
        final: true,
      },
    };
    this.#putAside(handed, record, "without keys");
  }

  /** It stood in a retry or delay queue when its queue was purged. */
  #isPurged({ envelope: { partition, queue }, putOffAt }: Handed): boolean {
    if (putOffAt === undefined) return false;
    return this.#parts.coordinators.known(partition)?.isPurged(queue, putOffAt) === true;
  }

  #purge(handed: Handed): void {
    handed.live = false;
    const { envelope } = handed;
    const { events, logger } = this.#parts;
    const isOver = hasKeys(envelope) ? this.#freed(handed, "ended") : this.#ended(handed);
    Promise.resolve(isOver).then(
      () => events()?.purged(envelope, envelope.id),
      (error: Error) => logger.warn(`job ${envelope.id} could not be purged: ${error.message}`),
    );
  }

  #buryPoison(handed: Handed, crashes: number): void {
    handed.live = false;
    this.#parts.suspects.cleared(handed.envelope, false);
    this.#putAside(handed, poisonRecord(crashes, this.#parts.clock.now()), "buried");
  }

  #putAside(handed: Handed, record: BuriedRecord, leaving: Leaving | "without keys"): void {
    const { outgoing, logger, events } = this.#parts;
    const { envelope, foreign, reader } = handed;
    const stored =
      foreign === undefined
        ? outgoing.bury(envelope, record)
        : outgoing.buryForeign(reader.queue, foreign.parcel, envelope.id, record);
    this.#watch(this.#replaced(handed, stored, leaving)).then(
      () => events()?.buried(envelope.partition, envelope.queue, envelope.id, record),
      (error: Error) => logger.warn(`job ${envelope.id} could not be buried: ${error.message}`),
    );
  }

  #watch<T>(what: Promise<T>): Promise<T> {
    this.#underWay.add(what);
    const over = () => void this.#underWay.delete(what);
    what.then(over, over);
    return what;
  }
}
