/**
 * The embedded broker: jobs in SQLite, in one folder, for one process; durable when a promise says so.
 *
 * Owns the contract's calls; what they need is in the connection (the store thread, the lanes, the commits).
 * Killed at any moment it loses nothing that was confirmed: what had started comes again.
 */
import type {
  Broker,
  BrokerEvents,
  BuriedJob,
  BuriedPage,
  Delivery,
  Found,
  KeyRoom,
  PublishOptions,
  QueueCounts,
  QueuedJob,
  QueueRef,
  Refusals,
  RequeueOutcome,
  Subscription,
} from "../broker/contract.ts";
import type { Persister } from "../broker/persister.ts";
import { decodeEnvelope, encodeEnvelope } from "../jobs/codec.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import { systemClock } from "../kernel/clock.ts";
import type { Clock } from "../kernel/types.ts";
import { Connection } from "./connection.ts";
import { asTime, dueOf } from "./due-timer.ts";
import { Row } from "./embedded-lane.ts";
import type { Batch } from "./gather.ts";
import { Graves } from "./graves.ts";
import type { Keeping } from "./keeping.ts";
import { LocalCluster } from "./local-cluster.ts";
import { isPlain } from "./page.ts";
import { purge } from "./purge.ts";
import type { Chore, FoundRow, LaneRow, Tuning } from "./store/protocol.ts";
import { AVAILABLE, BURIED } from "./store/schema.ts";
import { keepingOf } from "./stored-keeping.ts";
import { Handed } from "./subscription.ts";
import { TUNING } from "./tuning.ts";

export interface EmbeddedBrokerOptions {
  /** The folder; made if it is not there. */
  readonly path: string;
  /** Opens it on a network file system too. Default false. */
  readonly force?: boolean;
  /** This node's name, for whoever finds the folder held. */
  readonly node?: string;
  /** Crashes of its own after which a job is buried. Default 3. */
  readonly maxCrashes?: number;
  readonly clock?: Clock;
  /** Where marks and pauses are kept; default: the store. */
  readonly persister?: Persister | "none";
  /** Limits, and faults made on purpose. @internal */
  readonly tuning?: Partial<Tuning>;
}

/** For a chore that turns out, when it is sent, to be of no use. */
const NO_CHORE: Chore = { do: "cancel", rid: -1 };

const NOTHING: Promise<undefined> = Promise.resolve(undefined);

export class EmbeddedBroker implements Broker {
  readonly kind = "embedded";
  readonly keys = undefined;
  readonly deliveryTimeoutMs = undefined;
  readonly keyRoom: KeyRoom;
  readonly cluster: LocalCluster;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #graves: Graves;
  readonly #keeping: Keeping;

  constructor(options: EmbeddedBrokerOptions) {
    const { path, force = false, node = `pid-${process.pid}`, maxCrashes = 3 } = options;
    this.#path = path;
    this.#clock = options.clock ?? systemClock;
    const tuning = { ...TUNING, ...options.tuning };
    this.#connection = new Connection({ path, force, node, maxCrashes, clock: this.#clock, tuning });
    this.keyRoom = this.#connection.shelf;
    this.#graves = new Graves(this.#pipeline);
    this.#keeping = keepingOf(this.#connection, this.#clock, options.persister);
    this.cluster = new LocalCluster(this.#clock, () => this.#pipeline.chore<number>(() => ({ do: "epoch" })));
  }

  get description(): string {
    return `embedded ${this.#path} (${this.#connection.driver})`;
  }

  open(events: BrokerEvents): Promise<void> {
    return this.#connection.open(events);
  }

  async close(): Promise<void> {
    await this.#connection.close();
    await this.#keeping.close();
  }

  nameOf(queue: QueueRef): string {
    return `${queue.partition}.${queue.queue}`;
  }

  async declare(queues: readonly QueueRef[]): Promise<void> {
    this.#check();
    const missing = queues.filter((ref) => this.#connection.lanes.find(ref) === undefined);
    if (missing.length > 0) await this.#make(missing);
    for (const partition of new Set(queues.map((queue) => queue.partition))) await this.ready(partition);
  }

  queues(): Promise<readonly QueueRef[]> {
    return Promise.resolve(this.#connection.lanes.all.map((lane) => lane.ref));
  }

  exists(queue: QueueRef): Promise<boolean> {
    return Promise.resolve(this.counts(queue) !== undefined);
  }

  publish(envelope: Envelope, options?: PublishOptions): Promise<Refusals | undefined> {
    const { refusal, lanes } = this.#connection;
    if (refusal !== undefined) return Promise.reject(refusal);
    const lane = lanes.find(envelope);
    if (lane === undefined) return Promise.resolve(new Map([[envelope, lanes.unknown(envelope)]]));
    const dueAt = dueOf(options?.dueAt, this.#clock.now());
    return this.#pipeline.publish(lane, envelope, dueAt, lane.kept && isPlain(envelope, options));
  }

  async publishMany(envelopes: readonly Envelope[], options?: PublishOptions): Promise<Refusals | undefined> {
    const commits = new Set<Promise<Refusals | undefined>>();
    for (const envelope of envelopes) commits.add(this.publish(envelope, options));
    const all = (await Promise.all(commits)).filter((refusals) => refusals !== undefined);
    return all.length < 2 ? all[0] : new Map(all.flatMap((refusals) => [...refusals]));
  }

  subscribe(queue: QueueRef, limit: number, deliver: (delivery: Delivery) => void): Subscription {
    return this.#connection.lanes.need(queue).outlet.subscribe(limit, deliver);
  }

  async markStarted(delivery: Delivery, alone: boolean): Promise<void> {
    if (!(delivery instanceof Handed) || !delivery.live || !(delivery.job instanceof Row)) return;
    const { rid } = delivery.job;
    delivery.started = true;
    // settled before this is sent: a start that is written after its end would count as a crash
    await this.#pipeline.chore(() => (delivery.live ? { do: "started", rid, alone } : NO_CHORE));
  }

  async markCrashed(delivery: Delivery): Promise<number> {
    if (!(delivery instanceof Handed) || !delivery.live || !(delivery.job instanceof Row)) return 1;
    const row = delivery.job;
    const { rid } = row;
    delivery.started = false;
    const crashes = await this.#pipeline.chore<number | undefined>(() =>
      delivery.live ? { do: "crashed", rid } : NO_CHORE,
    );
    row.crashes = crashes ?? row.crashes + 1;
    delivery.suspect = { crashes: row.crashes, alone: true };
    return row.crashes;
  }

  complete(delivery: Delivery): void {
    if (this.#ends(delivery) !== undefined) this.#pipeline.commitLazily();
  }

  discard(delivery: Delivery): Promise<void> {
    const batch = this.#ends(delivery);
    return batch === undefined ? NOTHING : this.#durable(batch);
  }

  retry(delivery: Delivery, next: Envelope, dueAt: number): Promise<void> {
    const row = this.#settled(delivery);
    if (row === undefined) return NOTHING;
    const batch = this.#batch;
    const { rid, lane } = row;
    const body = encodeEnvelope(next);
    const due = asTime(dueAt);
    lane.ends(row);
    batch.moves.push({
      to: "scheduled",
      rid,
      id: next.id,
      lane: lane.number,
      due,
      attempt: next.attempt,
      body,
    });
    return this.#durable(batch);
  }

  bury(delivery: Delivery, envelope: Envelope, record: BuriedRecord): Promise<void> {
    const row = this.#settled(delivery);
    if (row === undefined) return NOTHING;
    const batch = this.#batch;
    const { rid, lane } = row;
    const { id, attempt } = envelope;
    const body = encodeEnvelope(envelope);
    const reason = JSON.stringify(record);
    lane.ends(row);
    batch.moves.push({ to: "buried", rid, id, lane: lane.number, attempt, body, reason });
    return this.#durable(batch);
  }

  release(delivery: Delivery): void {
    const row = this.#settled(delivery);
    if (row === undefined) return;
    row.lane.putBack(row);
    // a start that was made durable must not count as a crash later
    if (delivery instanceof Handed && delivery.started) {
      this.#batch.stopped.push(row.rid);
      this.#pipeline.commitLazily();
    }
  }

  stillOurs(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async cancelQueued(
    partition: string,
    id: string,
  ): Promise<{ found: Found; envelope: Envelope | undefined }> {
    this.#check();
    const row = await this.#pipeline.ask<FoundRow | undefined>({ read: "find", partition, id });
    if (row === undefined) return { found: "absent", envelope: undefined };
    const decoded = decodeEnvelope(row.body);
    const envelope = decoded.ok ? decoded.envelope : undefined;
    const found = this.#where(row);
    if (found !== "available" && found !== "scheduled") return { found, envelope };
    const removed = await this.#remove(row);
    if (removed === undefined) {
      const held = this.#connection.lanes.numbered(row.lane).isHanded(row.rid);
      return { found: held ? "unsettled" : "absent", envelope };
    }
    return { found: removed.state === AVAILABLE ? "available" : "scheduled", envelope };
  }

  async find(partition: string, id: string): Promise<Found> {
    this.#check();
    const row = await this.#pipeline.ask<FoundRow | undefined>({ read: "find", partition, id });
    return row === undefined ? "absent" : this.#where(row);
  }

  async holderOf(partition: string, queueKey: string): Promise<string | undefined> {
    this.#check();
    return this.#pipeline.ask({ read: "holder", partition, key: queueKey });
  }

  async releaseKey(partition: string, key: string): Promise<string | undefined> {
    this.#check();
    return this.#pipeline.chore<string | undefined>(() => ({ do: "free", partition, key }));
  }

  async setPaused(queue: QueueRef, paused: boolean): Promise<void> {
    this.#check();
    this.#connection.lanes.need(queue);
    await this.#keeping.setPaused(queue, paused);
  }

  counts(queue: QueueRef): QueueCounts | undefined {
    return this.#connection.lanes.find(queue)?.counts();
  }

  count(queue: QueueRef): Promise<QueueCounts | undefined> {
    return Promise.resolve(this.counts(queue));
  }

  takes(queue: QueueRef): boolean {
    return this.#connection.lanes.find(queue)?.outlet.consumed === true;
  }

  held(queue: QueueRef): readonly Envelope[] {
    return [...(this.#connection.lanes.find(queue)?.handed ?? [])].map(({ envelope }) => envelope);
  }

  async list(queue: QueueRef, limit: number): Promise<{ jobs: readonly QueuedJob[]; complete: boolean }> {
    this.#check();
    const lane = this.#connection.lanes.find(queue);
    if (lane === undefined) return { jobs: [], complete: true };
    const asked = limit + 1 + lane.outlet.unsettled + lane.ending;
    const rows = await this.#pipeline.ask<FoundRow[]>({ read: "list", lane: lane.number, limit: asked });
    const jobs = rows.flatMap((row): QueuedJob[] => {
      const state = this.#where(row);
      const decoded = decodeEnvelope(row.body);
      if (!decoded.ok || this.#pipeline.settling(row.rid) !== undefined) return [];
      if (state !== "available" && state !== "scheduled") return [];
      return [{ envelope: decoded.envelope, state, dueAt: state === "scheduled" ? row.ord : undefined }];
    });
    return { jobs: jobs.slice(0, limit), complete: rows.length < asked && jobs.length <= limit };
  }

  async purge(queue: QueueRef): Promise<readonly string[]> {
    this.#check();
    const lane = this.#connection.lanes.find(queue);
    return lane === undefined ? [] : purge(lane, this.#pipeline);
  }

  async listBuried(queue: QueueRef, page?: BuriedPage): Promise<readonly BuriedJob[]> {
    this.#check();
    const lane = this.#connection.lanes.find(queue);
    return lane === undefined ? [] : this.#graves.page(lane, page);
  }

  async requeueBuried(
    queue: QueueRef,
    ids: readonly string[] | "all",
    argsText?: string,
  ): Promise<readonly RequeueOutcome[]> {
    this.#check();
    const lane = this.#connection.lanes.find(queue);
    return lane === undefined ? [] : this.#graves.requeue(lane, ids, argsText);
  }

  async dropBuried(queue: QueueRef, ids: readonly string[] | "all"): Promise<readonly string[]> {
    this.#check();
    const lane = this.#connection.lanes.find(queue);
    return lane === undefined ? [] : this.#graves.drop(lane, ids);
  }

  async mark(partition: string, id: string): Promise<void> {
    this.#check();
    await this.#keeping.mark(partition, id);
  }

  ready(partition: string): Promise<void> {
    return this.#keeping.ready(partition);
  }

  isMarked(partition: string, id: string): boolean {
    return this.#keeping.isMarked(partition, id);
  }

  async unmark(partition: string, id: string): Promise<void> {
    this.#check();
    await this.#keeping.unmark(partition, id);
  }

  async #make(queues: readonly QueueRef[]): Promise<void> {
    const plain = queues.map(({ partition, queue }) => ({ partition, queue }));
    const made = await this.#pipeline.chore<Pick<LaneRow, "lane" | "partition" | "queue">[]>(() => ({
      do: "declare",
      queues: plain,
    }));
    for (const lane of made) this.#connection.lanes.add(lane);
  }

  /** Removes a row that waits, unless a commit that went before it has had it handed out. */
  #remove({ rid, lane: number }: FoundRow): Promise<{ state: number } | undefined> {
    const lane = this.#connection.lanes.numbered(number);
    lane.drop(rid);
    return this.#pipeline.chore(() => {
      lane.drop(rid);
      return lane.isHanded(rid) ? NO_CHORE : { do: "cancel", rid };
    });
  }

  get #pipeline() {
    return this.#connection.pipeline;
  }

  get #batch(): Batch {
    return this.#pipeline.batch;
  }

  #check(): void {
    const { refusal } = this.#connection;
    if (refusal !== undefined) throw refusal;
  }

  /** The row of a delivery that was live until now. */
  #settled(delivery: Delivery): Row | undefined {
    if (!(delivery instanceof Handed) || !(delivery.job instanceof Row)) return undefined;
    return delivery.job.lane.outlet.settle(delivery) ? delivery.job : undefined;
  }

  #ends(delivery: Delivery): Batch | undefined {
    const row = this.#settled(delivery);
    if (row === undefined) return undefined;
    const batch = this.#batch;
    row.lane.ends(row);
    batch.end(row);
    if (delivery instanceof Handed && delivery.started) batch.stopped.push(row.rid);
    return batch;
  }

  #durable(batch: Batch): Promise<void> {
    this.#pipeline.commitSoon();
    return batch.durable;
  }

  /** Where a row is, of which only this process knows whether somebody has it in hand. */
  #where({ rid, lane, state }: FoundRow): Found {
    if (state === BURIED) return "buried";
    if (state !== AVAILABLE) return "scheduled";
    if (this.#connection.lanes.numbered(lane).isHanded(rid)) return "unsettled";
    const soon = this.#pipeline.settling(rid) ?? "available";
    return soon === "gone" ? "absent" : soon;
  }
}
