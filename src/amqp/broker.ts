/**
 * The broker on RabbitMQ: the same contract as in one process, when one machine is no longer enough.
 *
 * Owns two connections (one publishes, one consumes: an alarm blocks the one that publishes, and must not hold up
 * acknowledgements), a third for seats of coordinators once it has some, and all that hangs on them. A lost connection is an inconvenience: bodies go on, what they end with
 * is kept until it can be told, and their jobs are taken up again when they come back. Keys, marks and pauses of a
 * partition are its coordinator's (`coordinator/`), which sits on one of the nodes.
 */
import type {
  Broker,
  BrokerEvents,
  BuriedJob,
  BuriedPage,
  ClusterKeys,
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
import { TooManyCancelled } from "../broker/errors.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import type { RabbitCluster } from "./cluster.ts";
import type { Handed } from "./handed.ts";
import { type Parts, partsOf, type RabbitBrokerOptions } from "./parts.ts";
import { Readers } from "./readers.ts";
import { Settlements } from "./settlements.ts";

const CLOSE_MS = 5_000;
const DONE: Promise<undefined> = Promise.resolve(undefined);

export class RabbitBroker implements Broker {
  readonly kind = "rabbitmq";
  /** RabbitMQ's default `consumer_timeout`; a channel whose delivery takes longer is closed, and its jobs adopted. */
  readonly deliveryTimeoutMs = 30 * 60_000;
  readonly description: string;
  readonly cluster: RabbitCluster;
  readonly keys: ClusterKeys;
  readonly #parts: Parts;
  readonly #readers: Readers;
  readonly #settlements: Settlements;

  constructor(options: RabbitBrokerOptions) {
    this.#parts = partsOf(options, {
      refusalOf: (envelope) => this.#readers.refusalOf(envelope),
      stopped: (queue) => this.#readers.stoppedChanged(queue),
    });
    this.#readers = new Readers(this.#parts);
    this.#settlements = new Settlements(this.#parts, this.#readers);
    this.keys = this.#parts.keys;
    this.description = this.#parts.place;
    this.cluster = this.#parts.cluster;
  }

  open(events: BrokerEvents): Promise<void> {
    return this.#parts.connections.open(events, this.#readers);
  }

  /** Readers first, so that what is settled is acknowledged; then a farewell, so that nobody waits for us. */
  async close(): Promise<void> {
    const { publisher, outgoing, custody, cluster, connections, coordinators } = this.#parts;
    if (!connections.ending()) return;
    await publisher.drain(connections.isUp ? CLOSE_MS : 0);
    await outgoing.aged();
    await this.#settlements.drained(connections.isUp ? CLOSE_MS : 0);
    await this.#readers.close();
    // what ended here and could not be acknowledged would be started by who hears of it last
    if (custody.hasUntold) await cluster.opened(CLOSE_MS);
    custody.tellEnds();
    custody.close();
    await coordinators.close();
    await cluster.close();
    publisher.close();
    await connections.close();
  }

  nameOf(queue: QueueRef): string {
    return this.#parts.names.queue(queue);
  }

  async declare(queues: readonly QueueRef[]): Promise<void> {
    const { topology, cluster, names, coordinators } = this.#parts;
    await topology.base();
    for (const queue of queues) await topology.workQueue(queue);
    this.#readers.know(queues);
    if (queues.length > 0) cluster.declared(queues.map((queue) => names.queue(queue)));
    for (const partition of new Set(queues.map((queue) => queue.partition)))
      await coordinators.ready(partition);
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
    return this.#parts.enqueues.publish([envelope], options);
  }

  publishMany(envelopes: readonly Envelope[], options?: PublishOptions): Promise<Refusals | undefined> {
    return envelopes.length === 0 ? DONE : this.#parts.enqueues.publish(envelopes, options);
  }

  subscribe(queue: QueueRef, limit: number, deliver: (delivery: Delivery) => void): Subscription {
    return this.#readers
      .of(queue)
      .lane.subscribe(limit, (delivery) => this.#settlements.begin(delivery as Handed, deliver));
  }

  /** Suspects' records rest on the coordinator: no delivery is a suspect yet. */
  markStarted(): Promise<void> {
    return DONE;
  }

  complete(delivery: Delivery): void {
    this.#settlements.complete(delivery);
  }

  discard(delivery: Delivery): Promise<void> {
    return this.#settlements.discard(delivery);
  }

  retry(delivery: Delivery, next: Envelope, dueAt: number): Promise<void> {
    return this.#settlements.retry(delivery, next, dueAt);
  }

  bury(delivery: Delivery, envelope: Envelope, record: BuriedRecord): Promise<void> {
    return this.#settlements.bury(delivery, envelope, record);
  }

  release(delivery: Delivery): void {
    this.#settlements.release(delivery);
  }

  stillOurs(delivery: Delivery): Promise<boolean> {
    return this.#settlements.stillOurs(delivery);
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

  holderOf(partition: string, queueKey: string): Promise<string | undefined> {
    return this.#parts.keys.queued(partition, queueKey);
  }

  releaseKey(partition: string, queueKey: string): Promise<string | undefined> {
    return this.#parts.keys.releaseQueued(partition, queueKey);
  }

  async setPaused({ partition, queue }: QueueRef, paused: boolean): Promise<void> {
    await this.#parts.coordinators.of(partition).ask({ t: "pause", queue, paused });
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

  async mark(partition: string, id: string): Promise<void> {
    const answer = await this.#parts.coordinators.of(partition).ask({ t: "mark", id });
    if ("tooMany" in answer) throw new TooManyCancelled(partition, answer.tooMany);
  }

  isMarked(partition: string, id: string): boolean {
    return this.#parts.coordinators.known(partition)?.isMarked(id) === true;
  }

  ready(partition: string): Promise<void> {
    return this.#parts.coordinators.ready(partition);
  }

  async unmark(partition: string, id: string): Promise<void> {
    await this.#parts.coordinators.of(partition).ask({ t: "unmark", ids: [id] });
  }
}
