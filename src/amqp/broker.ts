/**
 * The broker on RabbitMQ: the same contract as in one process, when one machine is no longer enough.
 *
 * Owns two connections (one publishes, one consumes: an alarm blocks the one that publishes, and must not hold up
 * acknowledgements), and all that hangs on them. A lost connection is an inconvenience: bodies go on, what they end with
 * is kept until it can be told, and their jobs are taken up again when they come back. What rests on the partitions'
 * coordinator (keys, cancelling what waits, stored pauses) is refused in words.
 */
import type {
  Broker,
  BrokerEvents,
  BuriedJob,
  BuriedPage,
  Delivery,
  Found,
  PublishOptions,
  QueueCounts,
  QueuedJob,
  QueueRef,
  Refusals,
  RequeueOutcome,
  Subscription,
} from "../broker/contract.ts";
import { BrokerUnreachable, UnsupportedByBroker } from "../broker/errors.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import type { RabbitCluster } from "./cluster.ts";
import { EnqueueGroup } from "./enqueue-group.ts";
import { Handed } from "./handed.ts";
import type { Sent } from "./letter.ts";
import { type Parts, partsOf, type RabbitBrokerOptions } from "./parts.ts";
import { Readers } from "./readers.ts";

const CLOSE_MS = 5_000;
const DONE: Promise<undefined> = Promise.resolve(undefined);

export class RabbitBroker implements Broker {
  readonly kind = "rabbitmq";
  readonly keys = undefined;
  readonly storesMarks = false;
  /** RabbitMQ's default `consumer_timeout`; a channel whose delivery takes longer is closed, and its jobs adopted. */
  readonly deliveryTimeoutMs = 30 * 60_000;
  readonly description: string;
  readonly cluster: RabbitCluster;
  readonly #parts: Parts;
  readonly #readers: Readers;

  constructor(options: RabbitBrokerOptions) {
    this.#parts = partsOf(options);
    this.#readers = new Readers(this.#parts);
    this.description = this.#parts.place;
    this.cluster = this.#parts.cluster;
  }

  open(events: BrokerEvents): Promise<void> {
    return this.#parts.connections.open(events, this.#readers);
  }

  /** Readers first, so that what is settled is acknowledged; then a farewell, so that nobody waits for us. */
  async close(): Promise<void> {
    const { publisher, outgoing, custody, cluster, connections } = this.#parts;
    if (!connections.ending()) return;
    await publisher.drain(connections.isUp ? CLOSE_MS : 0);
    await outgoing.aged();
    await this.#readers.close();
    // what ended here and could not be acknowledged would be started by who hears of it last
    if (custody.hasUntold) await cluster.opened(CLOSE_MS);
    custody.tellEnds();
    custody.close();
    await cluster.close();
    publisher.close();
    await connections.close();
  }

  async declare(queues: readonly QueueRef[]): Promise<void> {
    const { topology, cluster, names } = this.#parts;
    await topology.base();
    for (const queue of queues) await topology.workQueue(queue);
    this.#readers.know(queues);
    if (queues.length > 0) cluster.declared(queues.map((queue) => names.queue(queue)));
  }

  queues(): Promise<readonly QueueRef[]> {
    const told = this.cluster.peers.alive.flatMap((peer) => peer.announcement?.queues ?? []);
    const theirs = told.flatMap((name) => this.#parts.names.refOf(name) ?? []);
    const all = new Map(
      [...theirs, ...this.#readers.known].map((ref) => [this.#parts.names.queue(ref), ref]),
    );
    return Promise.resolve([...all.values()]);
  }

  exists(queue: QueueRef): Promise<boolean> {
    const name = this.#parts.names.queue(queue);
    return this.#parts.topology.has(name) ? Promise.resolve(true) : this.#parts.exists(name);
  }

  publish(envelope: Envelope, options?: PublishOptions): Promise<Refusals | undefined> {
    return this.#publish([envelope], options);
  }

  publishMany(envelopes: readonly Envelope[], options?: PublishOptions): Promise<Refusals | undefined> {
    return envelopes.length === 0 ? DONE : this.#publish(envelopes, options);
  }

  subscribe(queue: QueueRef, limit: number, deliver: (delivery: Delivery) => void): Subscription {
    return this.#readers.of(queue).lane.subscribe(limit, deliver);
  }

  /** Suspects' records rest on the coordinator: no delivery is a suspect yet. */
  markStarted(): Promise<void> {
    return DONE;
  }

  complete(delivery: Delivery): void {
    const handed = this.#taken(delivery);
    if (handed !== undefined) this.#ended(handed);
  }

  /** Resolves when the acknowledgement is on its way: AMQP confirms no acknowledgement. */
  discard(delivery: Delivery): Promise<void> {
    this.complete(delivery);
    return DONE;
  }

  async retry(delivery: Delivery, next: Envelope, dueAt: number): Promise<void> {
    const handed = this.#taken(delivery);
    if (handed !== undefined) await this.#replaced(handed, this.#parts.outgoing.replace(next, dueAt));
  }

  async bury(delivery: Delivery, envelope: Envelope, record: BuriedRecord): Promise<void> {
    const handed = this.#taken(delivery);
    if (handed !== undefined) await this.#replaced(handed, this.#parts.outgoing.bury(envelope, record));
  }

  release(delivery: Delivery): void {
    const handed = this.#taken(delivery);
    if (handed === undefined) return;
    handed.subscription.lane.settled(handed);
    if (handed.attached) this.#readers.release(handed);
    else this.#parts.custody.gaveBack(handed); // the broker has it again since its channel died
  }

  async stillOurs(delivery: Delivery): Promise<boolean> {
    if (!(delivery instanceof Handed) || !delivery.live) return true;
    if (await this.#parts.custody.stillOurs(delivery)) return true;
    const handed = this.#taken(delivery);
    if (handed !== undefined) {
      handed.subscription.lane.settled(handed);
      this.#parts.custody.superseded(handed);
    }
    return false;
  }

  cancelQueued(
    partition: string,
    id: string,
  ): Promise<{ readonly found: Found; readonly envelope: Envelope | undefined }> {
    const handed = this.#parts.custody.hands.get(id);
    const here = handed?.envelope.partition === partition ? handed : undefined;
    if (here !== undefined && this.#readers.takeBuffered(here))
      return Promise.resolve({ found: "available", envelope: here.envelope });
    return Promise.resolve({ found: here === undefined ? "absent" : "unsettled", envelope: here?.envelope });
  }

  find(partition: string, id: string): Promise<Found | "unknown"> {
    const here = this.#parts.custody.hands.get(id)?.envelope.partition === partition;
    return Promise.resolve(here ? "unsettled" : "unknown");
  }

  /** Nobody can hold one: jobs with keys are refused when they are enqueued. */
  holderOf(): Promise<string | undefined> {
    return DONE;
  }

  setPaused(): Promise<void> {
    return this.#cannot(
      "a pause of a queue in the whole cluster, stored; node.queues.pause pauses it on one node",
    );
  }

  isPaused(): boolean {
    return false;
  }

  counts(queue: QueueRef): QueueCounts | undefined {
    return this.#readers.counts(queue);
  }

  async count(queue: QueueRef): Promise<QueueCounts | undefined> {
    await this.#parts.counts.fresh([this.#parts.names.queue(queue), this.#parts.names.buried(queue)]);
    return this.counts(queue);
  }

  list(
    queue: QueueRef,
    limit: number,
  ): Promise<{ readonly jobs: readonly QueuedJob[]; readonly complete: boolean }> {
    return this.#readers.list(queue, limit);
  }

  purge(queue: QueueRef): Promise<readonly string[]> {
    return this.#readers.purge(queue);
  }

  listBuried(queue: QueueRef, page?: BuriedPage): Promise<readonly BuriedJob[]> {
    return this.#parts.graves.page(queue, page);
  }

  requeueBuried(
    queue: QueueRef,
    ids: readonly string[] | "all",
    argsText?: string,
  ): Promise<readonly RequeueOutcome[]> {
    return this.#parts.graves.requeue(queue, ids, argsText);
  }

  dropBuried(queue: QueueRef, ids: readonly string[] | "all"): Promise<readonly string[]> {
    return this.#parts.graves.drop(queue, ids);
  }

  mark(): Promise<void> {
    return this.#cannot("cancelling a job that is in no node's hands");
  }

  isMarked(): boolean {
    return false;
  }

  unmark(): Promise<void> {
    return DONE;
  }

  #cannot(feature: string): Promise<never> {
    return Promise.reject(new UnsupportedByBroker("RabbitMQ", feature));
  }

  #publish(
    envelopes: readonly Envelope[],
    options: PublishOptions | undefined,
  ): Promise<Refusals | undefined> {
    const { connections, outgoing, clock } = this.#parts;
    if (connections.isEnding) return Promise.reject(new BrokerUnreachable(`${this.description} (closed)`));
    const group = new EnqueueGroup(envelopes.length);
    const dueAt = options?.dueAt ?? 0;
    for (const envelope of envelopes) {
      const refusal = unsupported(envelope);
      if (refusal !== undefined) group.refuse(envelope, refusal);
      else if (dueAt <= clock.now()) outgoing.enqueue(envelope, group);
      else this.#publishLater(envelope, dueAt, group);
    }
    return group.done;
  }

  #publishLater(envelope: Envelope, dueAt: number, group: EnqueueGroup): void {
    const { outgoing } = this.#parts;
    this.#readers
      .refusalOf(envelope)
      .then((error): Promise<Sent> | Sent =>
        error === undefined ? outgoing.enqueueLater(envelope, dueAt) : { kind: "unsent", error },
      )
      .then(
        (sent) => group.settled(envelope, sent),
        (error: Error) => group.settled(envelope, { kind: "unsent", error }),
      );
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

  /** What takes its place is confirmed before the message is acknowledged. */
  async #replaced(handed: Handed, stored: Promise<void>): Promise<void> {
    try {
      await stored;
    } catch (error) {
      // unacknowledged, it comes again with the next channel
      this.#parts.custody.gaveBack(handed);
      handed.subscription.lane.settled(handed);
      throw error;
    }
    this.#ended(handed);
  }
}

/** What rests on the partitions' coordinator. */
function unsupported({ queueKey, executionKey, job }: Envelope): Error | undefined {
  if (queueKey !== undefined) return new UnsupportedByBroker("RabbitMQ", `the queue key of job "${job}"`);
  if (executionKey !== undefined)
    return new UnsupportedByBroker("RabbitMQ", `the execution key of job "${job}"`);
  return undefined;
}
