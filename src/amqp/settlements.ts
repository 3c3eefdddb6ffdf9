/**
 * How a delivery leaves this node: what takes its place is stored, its keys are freed, and then it is acknowledged.
 *
 * Owns that order, and what is under way of it. A job that ends anywhere between two of these comes again; none of them
 * is done twice. A job without keys is acknowledged in the same turn.
 */
import type { Delivery } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import { hasKeys, type Leaving } from "./coordinator/job-keys.ts";
import { Handed } from "./handed.ts";
import type { Parts } from "./parts.ts";
import { within } from "./patience.ts";
import type { Readers } from "./readers.ts";

export class Settlements {
  readonly #parts: Parts;
  readonly #readers: Readers;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(parts: Parts, readers: Readers) {
    this.#parts = parts;
    this.#readers = readers;
  }

  /** Its keys are asked for first; `deliver` comes when it may go on. */
  begin(handed: Handed, deliver: (delivery: Delivery) => void): void {
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

  async bury(delivery: Delivery, envelope: Envelope, record: BuriedRecord): Promise<void> {
    const handed = this.#taken(delivery);
    if (handed !== undefined)
      await this.#replaced(handed, this.#parts.outgoing.bury(envelope, record), "buried");
  }

  release(delivery: Delivery): void {
    const handed = this.#taken(delivery);
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
  #taken(delivery: Delivery): Handed | undefined {
    if (!(delivery instanceof Handed) || !delivery.live) return undefined;
    delivery.live = false;
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

  /** It was enqueued, and another job has its queue key: what nobody could tell whoever enqueued it. */
  #buryDuplicate(handed: Handed, holder: string): void {
    const { outgoing, clock, logger, events } = this.#parts;
    const { envelope } = handed;
    const record: BuriedRecord = {
      reason: "duplicate",
      buriedAt: clock.now(),
      error: {
        kind: "error",
        name: "DuplicateJob",
        message: `job ${holder} holds the same queue key`,
        stack: undefined,
        final: true,
      },
    };
    const stored = outgoing.bury(envelope, record);
    this.#watch(this.#replaced(handed, stored, "without keys")).then(
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
