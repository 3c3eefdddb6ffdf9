/**
 * The queues that this node consumes or knows: what arrives by them, what is counted, listed and purged in them.
 *
 * Owns one reader a queue. A message that cannot be decoded is buried with its bytes as they came, before it is
 * acknowledged. When a connection dies its readers wait for the next one.
 */
import type { ConsumeMessage } from "amqplib";
import type { Look, QueueCounts, QueuedJob, QueueRef } from "../broker/contract.ts";
import { UnknownQueue } from "../broker/errors.ts";
import { decodeEnvelope } from "../jobs/codec.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import { hasKeys } from "./coordinator/job-keys.ts";
import { UNASKED } from "./counts.ts";
import { messageIdOf } from "./epitaph.ts";
import { ForeignMessages } from "./foreign.ts";
import { Handed } from "./handed.ts";
import { COPY, PUT_OFF_AT } from "./letter.ts";
import { Looks } from "./looks.ts";
import { parcelOf } from "./parcel.ts";
import type { Parts } from "./parts.ts";
import type { QueueChannel } from "./queue-channel.ts";
import { QueueReader, type ReaderHome } from "./queue-reader.ts";
import { plain } from "./refusal.ts";
import { type Verdict, visit } from "./visit.ts";

/** A queue that was there is taken to be there for so long. */
const KNOWN_MS = 30_000;

export class Readers implements ReaderHome {
  readonly foreign: ForeignMessages;
  readonly #parts: Parts;
  readonly #looks: Looks;
  /** By name; one that ends is replaced by the next at once. */
  readonly #current = new Map<string, QueueReader>();
  readonly #ending = new Set<QueueReader>();
  readonly #known = new Map<string, QueueRef>();
  readonly #seen = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.foreign = new ForeignMessages(parts);
    this.#looks = new Looks(parts);
  }

  get link() {
    return this.#parts.connections.consume;
  }
  get clock() {
    return this.#parts.clock;
  }
  get broker() {
    return this.#parts.place;
  }
  get node() {
    return this.#parts.node;
  }
  get isCutOff() {
    return this.#parts.connections.isCutOff;
  }
  get classic() {
    return this.#parts.settings.queueType === "classic";
  }

  isStopped({ partition, queue }: QueueRef): boolean {
    return this.#parts.coordinators.known(partition)?.isPaused(queue) === true;
  }

  /** Paused or resumed in the whole cluster. */
  stoppedChanged(queue: QueueRef): void {
    this.#current.get(this.nameOf(queue))?.lane.changed();
  }

  nameOf(queue: QueueRef): string {
    return this.#parts.names.queue(queue);
  }

  know(queues: readonly QueueRef[]): void {
    for (const queue of queues) this.#known.set(this.nameOf(queue), queue);
  }

  get known(): readonly QueueRef[] {
    return [...this.#known.values()];
  }

  of(queue: QueueRef): QueueReader {
    const name = this.nameOf(queue);
    const there = this.#current.get(name);
    if (there?.lane.consumed === true) return there;
    if (there !== undefined) this.#ending.add(there);
    const reader = new QueueReader(queue, this);
    this.#current.set(name, reader);
    return reader;
  }

  linkUp(): void {
    for (const reader of [...this.#current.values(), ...this.#ending]) reader.linkUp();
  }

  async close(): Promise<void> {
    const all = [...this.#current.values(), ...this.#ending];
    await Promise.all(all.map((reader) => reader.close()));
  }

  release(handed: Handed): void {
    const { envelope, reader, source, tag, foreign } = handed;
    const again = new Handed(envelope, true, reader, source, tag, foreign);
    again.suspect = handed.suspect;
    this.#parts.custody.hands.add(again);
    reader.release(again);
  }

  message(message: ConsumeMessage, from: QueueChannel, reader: QueueReader): void {
    const { deliveryTag: tag, redelivered } = message.fields;
    const parcel = parcelOf(message, this.#parts.names);
    if (parcel !== undefined)
      return this.foreign.arrived({ parcel, from, tag, reader }, (job) =>
        this.#parts.custody.arrived(
          new Handed(job.envelope, redelivered, reader, from, tag, job),
          mayBeDoubled(message),
        ),
      );
    const decoded = decodeEnvelope(message.content);
    const problem = decoded.ok ? misplaced(decoded.envelope, reader.queue) : decoded.reason;
    if (!decoded.ok || problem !== undefined) {
      const id = decoded.ok ? decoded.envelope.id : messageIdOf(message);
      return this.#bury(message, id, from, reader, problem ?? "");
    }
    const handed = new Handed(decoded.envelope, redelivered, reader, from, tag);
    if (!redelivered) handed.putOffAt = putOffAtOf(message);
    this.#parts.custody.arrived(handed, mayBeDoubled(message));
  }

  channelGone(from: QueueChannel, reader: QueueReader): void {
    this.#parts.custody.channelGone(from, reader);
  }

  gaveBack(handed: Handed): void {
    this.#parts.custody.gaveBack(handed);
  }

  restore(queue: QueueRef): Promise<void> {
    return this.#parts.topology.restore(queue);
  }

  finished(reader: QueueReader): void {
    this.#ending.delete(reader);
    if (this.#current.get(reader.name) === reader) this.#current.delete(reader.name);
  }

  warn(text: string): void {
    this.#parts.logger.warn(plain(text));
  }

  counts(queue: QueueRef): QueueCounts | undefined {
    const name = this.nameOf(queue);
    const counted = this.#parts.counts.get(name);
    const { ready } = counted;
    if (ready === undefined || (counted === UNASKED && !this.#isKnown(name))) return undefined;
    const buried = this.#parts.counts.get(this.#parts.names.buried(queue)).ready ?? 0;
    const lane = this.#current.get(name)?.lane;
    const unsettled = lane?.unsettled ?? 0;
    return {
      available: ready + (lane?.buffered ?? 0),
      scheduled: undefined,
      buried,
      unsettled,
      paused: this.isStopped(queue),
    };
  }

  #isKnown(name: string): boolean {
    if (this.#known.has(name)) return true;
    return this.#parts.cluster.peers.alive.some((peer) => peer.announcement?.queues.includes(name) === true);
  }

  list(
    queue: QueueRef,
    limit: number,
    how: Look,
  ): Promise<{ jobs: readonly QueuedJob[]; complete: boolean }> {
    const name = this.nameOf(queue);
    const jobIn = (message: ConsumeMessage) => this.#jobIn(message, queue);
    return this.#looks.list({ name, reader: this.#current.get(name), jobIn }, limit, how);
  }

  /** Whether this node takes from it, now or as soon as it can. */
  takes(queue: QueueRef): boolean {
    return this.#current.get(this.nameOf(queue))?.takes === true;
  }

  /** The job that a message on the broker is, or will be; its bytes say so only where it came by an exchange of ours. */
  #jobIn(message: ConsumeMessage, queue: QueueRef): Promise<Envelope | undefined> | Envelope | undefined {
    if (parcelOf(message, this.#parts.names) !== undefined) return this.foreign.jobIn(message, queue);
    const decoded = decodeEnvelope(message.content);
    return decoded.ok ? decoded.envelope : undefined;
  }

  /** By reading and acknowledging: RabbitMQ's own purge names nothing. What this node holds and has not started too. */
  async purge(queue: QueueRef): Promise<readonly string[]> {
    const name = this.nameOf(queue);
    const reader = this.#current.get(name);
    const ids: string[] = [];
    await reader?.idle(); // a pause that is under way: what it returns stands in the queue again
    this.#purgeHeld(reader, ids);
    if ((await this.#parts.count(name)).ready === undefined) return ids;
    await visit(this.#parts.visits, name, async (message): Promise<Verdict> => {
      const envelope = await this.#jobIn(message, queue);
      ids.push(envelope?.id ?? messageIdOf(message));
      if (envelope !== undefined && hasKeys(envelope)) await this.#parts.keys.end(envelope, "ended");
      return "take";
    });
    this.#purgeHeld(reader, ids);
    return ids;
  }

  #purgeHeld(reader: QueueReader | undefined, ids: string[]): void {
    for (const handed of reader?.lane.takeAll() ?? []) {
      ids.push(handed.envelope.id);
      this.#takenOut(handed);
    }
  }

  /** Its keys are free before it is acknowledged; what could not be told so comes again. */
  #takenOut(handed: Handed): void {
    const { keys, custody } = this.#parts;
    handed.live = false;
    if (!hasKeys(handed.envelope)) return custody.ended(handed);
    keys.end(handed.envelope, "ended").then(
      () => custody.ended(handed),
      () => custody.gaveBack(handed),
    );
  }

  /** Takes out what this node holds and has not handed out: while its queue is paused here, say. */
  takeBuffered(handed: Handed): boolean {
    if (!handed.reader.lane.remove(handed)) return false;
    this.#takenOut(handed);
    return true;
  }

  /** Why a job that is not due yet is refused: when its time comes nobody is left to tell. */
  async refusalOf(envelope: Envelope): Promise<Error | undefined> {
    const name = this.nameOf(envelope);
    const now = this.clock.now();
    if (this.#parts.topology.has(name) || now - (this.#seen.get(name) ?? 0) < KNOWN_MS) return undefined;
    if (!(await this.#parts.exists(name))) return new UnknownQueue(envelope.partition, envelope.queue);
    if (this.#seen.size >= 10_000) this.#seen.clear();
    this.#seen.set(name, now);
    return undefined;
  }

  #bury(message: ConsumeMessage, id: string, from: QueueChannel, reader: QueueReader, reason: string): void {
    const record: BuriedRecord = {
      reason: "undecodable",
      buriedAt: this.clock.now(),
      error: { kind: "error", name: "Undecodable", message: reason, stack: undefined, final: true },
    };
    const { outgoing, events } = this.#parts;
    outgoing.buryRaw(reader.queue, message, record).then(
      () => {
        reader.acknowledge(from, message.fields.deliveryTag);
        const { partition, queue } = reader.queue;
        events()?.buried(partition, queue, id, record);
      },
      (error: Error) => this.warn(`a message of ${reader.name} could not be buried: ${error.message}`),
    );
  }
}

/** A job that stands in another partition's queue would run under that one's keys and limits. */
function misplaced(envelope: Envelope, { partition, queue }: QueueRef): string | undefined {
  if (envelope.partition === partition && envelope.queue === queue) return undefined;
  return `its header says queue ${envelope.partition}.${envelope.queue}, and it stood in ${partition}.${queue}`;
}

function putOffAtOf(message: ConsumeMessage): number | undefined {
  const headers = message.properties.headers as Record<string, unknown> | undefined;
  const at = headers?.[PUT_OFF_AT];
  return typeof at === "number" ? at : undefined;
}

/** A retry or delay queue of ours, or a lost confirm, may have made two of it, and neither would be flagged. */
function mayBeDoubled(message: ConsumeMessage): boolean {
  const headers = message.properties.headers as Record<string, unknown> | undefined;
  return headers !== undefined && (headers["x-death"] !== undefined || headers[COPY] !== undefined);
}
