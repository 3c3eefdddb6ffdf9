/**
 * Messages of other systems on their way to becoming jobs: each is read by `toJob` of the binding that it came by.
 *
 * Owns what is under way of that. One with an id is run as it is: the message is acknowledged when its job has ended, and
 * whoever gets it again comes to the same job. One without an id cannot be known again, so it is published anew as a job of
 * ours, confirmed, and then acknowledged. What no node can read is buried with its bytes. When the process dies, whatever
 * was not acknowledged comes again.
 */
import type { ConsumeMessage } from "amqplib";
import type { QueueRef } from "../broker/contract.ts";
import type { ForeignMessage, Translated } from "../broker/foreign.ts";
import { envelopeOf } from "../jobs/create.ts";
import { Envelope } from "../jobs/envelope.ts";
import type { BuriedReason, BuriedRecord, Failure } from "../jobs/failure.ts";
import { newId } from "../jobs/ids.ts";
import { discriminatorOf, idIn, type Parcel, parcelOf, publishedAt } from "./parcel.ts";
import type { Parts } from "./parts.ts";
import { within } from "./patience.ts";
import type { QueueChannel } from "./queue-channel.ts";
import type { QueueReader } from "./queue-reader.ts";
import { plain } from "./refusal.ts";

/** A message of another system that this node has: what it came by, and what it is. */
interface Arrival {
  readonly parcel: Parcel;
  readonly from: QueueChannel;
  readonly tag: number;
  readonly reader: QueueReader;
}

/** A job that a message stands for, under an id that does not change. */
export interface ForeignJob {
  readonly envelope: Envelope;
  readonly parcel: Parcel;
  /** What stands for its time where copies are told apart. */
  readonly discriminator: number;
}

const AGAIN_MS = 5_000;
const GRACE_MS = 600_000;

export class ForeignMessages {
  readonly #parts: Parts;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** `start`: it is to run as it is. */
  arrived(arrival: Arrival, start: (job: ForeignJob) => void): void {
    const read = this.#read(arrival.reader.queue, arrival.parcel.message);
    if (!(read instanceof Promise)) return this.#decided(arrival, read, start);
    this.#watch(read.then((late) => this.#decided(arrival, late, start)));
  }

  /** The job that a message which stands on the broker will be; `undefined` for one of ours, and where there is none yet. */
  async jobIn(message: ConsumeMessage, queue: QueueRef): Promise<Envelope | undefined> {
    const parcel = parcelOf(message, this.#parts.names);
    if (parcel === undefined) return undefined;
    const read = await this.#read(queue, parcel.message);
    return read.kind === "job" ? this.#jobOf(read, queue, parcel)?.envelope : undefined;
  }

  /** Resolves when nothing is between two steps, or the time is over. */
  drained(withinMs: number): Promise<void> {
    return within(this.#parts.clock, withinMs, this.#allOver());
  }

  async #allOver(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** `toJob` gets bytes of its own: those that came are what is buried. */
  #read(queue: QueueRef, message: ForeignMessage): Translated | Promise<Translated> {
    const binding = this.#parts.bindings.of(this.#parts.names.queue(queue), message);
    if (binding !== undefined)
      return binding.translate({ ...message, content: Buffer.from(message.content) });
    const { exchange, routingKey } = message;
    return {
      kind: "elsewhere",
      why: `it came by exchange "${exchange}" (routing key "${routingKey}"), and no live node's bindings have that; add the binding, or take it away on the broker`,
    };
  }

  #decided(arrival: Arrival, read: Translated, start: (job: ForeignJob) => void): void {
    const { from, parcel, reader } = arrival;
    if (from.closed) return; // it comes again
    if (read.kind === "refused") return this.#bury(arrival, read.reason, read.error);
    if (read.kind === "elsewhere") return this.#passOn(arrival, read.why);
    const job = this.#jobOf(read, reader.queue, parcel);
    if (job !== undefined) return start(job);
    const now = this.#parts.clock.now();
    const envelope = new Envelope(envelopeOf(read.prepared, { ...reader.queue, now }));
    this.#replace(arrival, this.#parts.outgoing.replace(envelope, now), "be made a job of");
  }

  /** `undefined` where the message has no id, and so no job of it would be the same the next time. */
  #jobOf(
    { prepared, id }: Translated & { kind: "job" },
    queue: QueueRef,
    parcel: Parcel,
  ): ForeignJob | undefined {
    const { message, hop } = parcel;
    const known = id ?? idIn(message, queue.queue);
    if (known === undefined) return undefined;
    const place = { ...queue, now: publishedAt(message) };
    const envelope = new Envelope({ ...envelopeOf(prepared, place), id: known, hop });
    const discriminator = discriminatorOf(message, this.#parts.names.queue(queue));
    return { envelope, parcel, discriminator };
  }

  /** While others live that may have a newer version of this node's bindings or jobs: a deploy under way. */
  #passOn(arrival: Arrival, why: string): void {
    const { clock, outgoing, cluster, bindings, unknownJobGraceMs = GRACE_MS } = this.#parts;
    const { parcel, reader } = arrival;
    const { message, hop } = parcel;
    const now = clock.now();
    const since = parcel.since === 0 ? now : parcel.since;
    const isUnbound = bindings.of(reader.name, message) === undefined;
    const isKnown = isUnbound && bindings.isElsewhere(reader.name, message.exchange);
    const mayBe = isKnown || (cluster.others.length > 0 && now - since < unknownJobGraceMs);
    if (!mayBe) return this.#bury(arrival, "undecodable", failure("NoBinding", why));
    const next = { message, hop: hop + 1, since };
    const sent = outgoing.passOn(reader.queue, next, this.#nameOf(arrival), AGAIN_MS);
    this.#replace(arrival, sent, "be passed on");
  }

  #bury(arrival: Arrival, reason: BuriedReason, error: Failure): void {
    const { outgoing, events, clock } = this.#parts;
    const { partition, queue } = arrival.reader.queue;
    const record: BuriedRecord = { reason, buriedAt: clock.now(), error };
    const id = this.#nameOf(arrival);
    const buried = outgoing.buryForeign(arrival.reader.queue, arrival.parcel, id, record);
    this.#replace(arrival, buried, "be buried", () => events()?.buried(partition, queue, id, record));
  }

  /** What takes its place is confirmed before it is acknowledged. Unacknowledged, it comes again with the next channel. */
  #replace({ from, tag, reader }: Arrival, stored: Promise<void>, what: string, then = () => {}): void {
    const over = stored.then(
      () => {
        reader.acknowledge(from, tag);
        then();
      },
      (error: Error) =>
        this.#parts.logger.warn(plain(`a message of ${reader.name} could not ${what}: ${error.message}`)),
    );
    this.#watch(over);
  }

  #nameOf({ parcel, reader }: Arrival): string {
    return idIn(parcel.message, reader.queue.queue) ?? newId();
  }

  #watch(what: Promise<unknown>): void {
    this.#underWay.add(what);
    const over = () => void this.#underWay.delete(what);
    what.then(over, over);
  }
}

function failure(name: string, message: string): Failure {
  return { kind: "error", name, message, stack: undefined, final: true };
}
