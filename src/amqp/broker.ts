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
  KeyRoom,
  Look,
  PublishOptions,
  QueueCounts,
  QueuedJob,
  QueueRef,
  Refusals,
  RequeueOutcome,
  Subscription,
} from "../broker/contract.ts";
import { TooManyCancelled } from "../broker/errors.ts";
import type { DeclaredQueue } from "../broker/foreign.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import type { RabbitCluster } from "./cluster.ts";
import { Handed, refOf } from "./handed.ts";
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
  readonly keyRoom: KeyRoom;
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
    this.keyRoom = { kind: "round", goRound: (delivery) => this.#settlements.goRound(delivery) };
    this.description = this.#parts.place;
    this.cluster = this.#parts.cluster;
  }

  open(events: BrokerEvents): Promise<void> {
    return this.#parts.connections.open(events, this.#readers);
  }

  /** Readers first, so that what is settled is acknowledged; then a farewell, so that nobody waits for us. */
  async close(): Promise<void> {
    const { publisher, outgoing, custody, cluster, connections, coordinators, bindings } = this.#parts;
    if (!connections.ending()) return;
    bindings.close();
    await publisher.drain(connections.isUp ? CLOSE_MS : 0);
    await outgoing.aged();
    await this.#settlements.drained(connections.isUp ? CLOSE_MS : 0);
    await this.#readers.foreign.drained(connections.isUp ? CLOSE_MS : 0);
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

  async declare(queues: readonly DeclaredQueue[]): Promise<void> {
    const { topology, bindings, cluster, names, coordinators } = this.#parts;
    await topology.base();
    for (const queue of queues) await topology.workQueue(queue);
    for (const queue of queues) await bindings.declare(queue);
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

  markStarted({ envelope }: Delivery, alone: boolean): Promise<void> {
    return this.#parts.suspects.started(envelope, alone);
  }

  async markCrashed(delivery: Delivery): Promise<number> {
    const crashes = await this.#parts.suspects.crashed(delivery.envelope);
    if (delivery instanceof Handed) delivery.suspect = { crashes, alone: true };
    return crashes;
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
    const here = this.#parts.custody.hands.get(refOf(partition, id));
    if (here !== undefined && this.#readers.takeBuffered(here))
      return Promise.resolve({ found: "available", envelope: here.envelope });
    return Promise.resolve({ found: here === undefined ? "absent" : "unsettled", envelope: here?.envelope });
  }

  find(partition: string, id: string): Promise<Found | "unknown"> {
    const here = this.#parts.custody.hands.get(refOf(partition, id));
    return Promise.resolve(here === undefined ? "unknown" : "unsettled");
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

  takes(queue: QueueRef): boolean {
    return this.#readers.takes(queue);
  }

  held(queue: QueueRef): readonly Envelope[] {
    return this.#parts.custody.hands.of(queue).map(({ envelope }) => envelope);
  }

  list(
    queue: QueueRef,
    limit: number,
    look: Look = "careful",
  ): Promise<{ readonly jobs: readonly QueuedJob[]; readonly complete: boolean }> {
    return this.#readers.list(queue, limit, look);
  }

  /**
   * What waits in retry and delay queues cannot be reached: it is purged when it comes, and in no count. Where no coordinator
   * answers, that is left out, in words; what can be reached is purged all the same.
   */
  async purge(queue: QueueRef): Promise<readonly string[]> {
    const { coordinators, logger, names } = this.#parts;
    const told = coordinators.of(queue.partition).ask({ t: "purge", queue: queue.queue });
    told.catch((error: Error) =>
      logger.warn(
        `purge of ${names.queue(queue)}: what waits in retry and delay queues stays: ${error.message}`,
      ),
    );
    const ids = await this.#readers.purge(queue);
    await told.catch(() => {});
    return ids;
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
