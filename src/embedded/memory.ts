/**
 * The memory broker: every queue in this process's heap, for tests and for work that may be lost.
 *
 * Owns all jobs that were published to it, by id and by queue key. A change is "durable" at once, so every
 * promise is resolved already and the one that says "nothing was refused" is shared. Dies with the process,
 * jobs included.
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
import { BrokerUnreachable, UnknownPartition, UnknownQueue } from "../broker/errors.ts";
import type { BrokerContext } from "../broker/factory.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { DuplicateJob } from "../jobs/errors.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import { requeued } from "../jobs/retry.ts";
import { systemClock } from "../kernel/clock.ts";
import type { Clock } from "../kernel/types.ts";
import { DueHeap } from "./due-heap.ts";
import { DueTimer } from "./due-timer.ts";
import { keepingOf } from "./heap-keeping.ts";
import type { Keeping } from "./keeping.ts";
import { LocalCluster } from "./local-cluster.ts";
import { MemoryJob, MemoryLane } from "./memory-lane.ts";
import { Handed, Pump } from "./subscription.ts";

const DONE: Promise<undefined> = Promise.resolve(undefined);

interface MemoryPartition {
  readonly ids: Map<string, MemoryJob>;
  /** Held queue keys: available, scheduled and unsettled jobs. */
  readonly keys: Map<string, MemoryJob>;
  readonly lanes: Map<string, MemoryLane>;
}

export class MemoryBroker implements Broker {
  readonly kind = "memory";
  readonly keys = undefined;
  /** All of its jobs are in the heap, whoever has them. */
  readonly keyRoom = undefined;
  readonly deliveryTimeoutMs = undefined;
  readonly description = "memory (nothing survives the process)";
  readonly cluster: LocalCluster;
  readonly #clock: Clock;
  readonly #partitions = new Map<string, MemoryPartition>();
  readonly #due = new DueHeap<MemoryJob>();
  readonly #pump = new Pump();
  readonly #keeping: Keeping;
  readonly #timer: DueTimer;
  #open = false;
  #epoch = 0;

  constructor(context: Partial<BrokerContext> = {}) {
    this.#clock = context.clock ?? systemClock;
    this.#timer = new DueTimer(this.#clock, () => this.#promote());
    this.cluster = new LocalCluster(this.#clock, () => Promise.resolve(++this.#epoch));
    const lanes = (partition: string) => [...(this.#partitions.get(partition)?.lanes.values() ?? [])];
    this.#keeping = keepingOf(this.#clock, context.persister, lanes);
  }

  open(events: BrokerEvents): Promise<void> {
    this.#open = true;
    this.#pump.start();
    queueMicrotask(() => events.connected());
    return DONE;
  }

  close(): Promise<void> {
    this.#open = false;
    this.#pump.stop();
    this.#timer.stop();
    this.#partitions.clear();
    for (let job = this.#due.peek(); job !== undefined; job = this.#due.peek()) this.#due.remove(job);
    return this.#keeping.close();
  }

  nameOf(queue: QueueRef): string {
    return `${queue.partition}.${queue.queue}`;
  }

  async declare(queues: readonly QueueRef[]): Promise<void> {
    for (const { partition, queue } of queues) {
      const home = this.#partitions.get(partition) ?? { ids: new Map(), keys: new Map(), lanes: new Map() };
      this.#partitions.set(partition, home);
      if (!home.lanes.has(queue)) {
        home.lanes.set(queue, new MemoryLane({ partition, queue }, this.#pump, this.#due));
      }
    }
    for (const partition of new Set(queues.map((queue) => queue.partition))) await this.ready(partition);
  }

  queues(): Promise<readonly QueueRef[]> {
    const lanes = [...this.#partitions.values()].flatMap((home) => [...home.lanes.values()]);
    return Promise.resolve(lanes.map((lane) => lane.ref));
  }

  exists(queue: QueueRef): Promise<boolean> {
    return Promise.resolve(this.#lane(queue) !== undefined);
  }

  publish(envelope: Envelope, options?: PublishOptions): Promise<Refusals | undefined> {
    if (!this.#open) return this.#closed();
    const error = this.#store(envelope, options?.dueAt ?? 0);
    return error === undefined ? DONE : Promise.resolve(new Map([[envelope, error]]));
  }

  publishMany(envelopes: readonly Envelope[], options?: PublishOptions): Promise<Refusals | undefined> {
    if (!this.#open) return this.#closed();
    let refused: Map<Envelope, Error> | undefined;
    for (const envelope of envelopes) {
      const error = this.#store(envelope, options?.dueAt ?? 0);
      if (error !== undefined) {
        refused ??= new Map();
        refused.set(envelope, error);
      }
    }
    return refused === undefined ? DONE : Promise.resolve(refused);
  }

  subscribe(queue: QueueRef, limit: number, deliver: (delivery: Delivery) => void): Subscription {
    return this.#need(queue).outlet.subscribe(limit, deliver);
  }

  markStarted(): Promise<void> {
    return DONE;
  }

  /** Nothing comes back after a crash, so there are no suspects. */
  markCrashed(): Promise<number> {
    return Promise.resolve(1);
  }

  complete(delivery: Delivery): void {
    const job = this.#settled(delivery);
    if (job !== undefined) this.#end(job);
  }

  discard(delivery: Delivery): Promise<void> {
    this.complete(delivery);
    return DONE;
  }

  retry(delivery: Delivery, next: Envelope, dueAt: number): Promise<void> {
    const job = this.#settled(delivery);
    if (job === undefined) return DONE;
    job.envelope = next;
    job.redelivered = false;
    this.#wait(job, dueAt);
    return DONE;
  }

  bury(delivery: Delivery, envelope: Envelope, record: BuriedRecord): Promise<void> {
    const job = this.#settled(delivery);
    if (job === undefined) return DONE;
    this.#freeKey(job);
    job.envelope = envelope;
    job.lane.bury(job, record);
    return DONE;
  }

  release(delivery: Delivery): void {
    const job = this.#settled(delivery);
    job?.lane.putBack(job);
  }

  stillOurs(): Promise<boolean> {
    return Promise.resolve(true);
  }

  cancelQueued(partition: string, id: string): Promise<{ found: Found; envelope: Envelope | undefined }> {
    const job = this.#partitions.get(partition)?.ids.get(id);
    if (job === undefined) return Promise.resolve({ found: "absent", envelope: undefined });
    const found = job.state;
    if (found === "available" || found === "scheduled") {
      job.lane.remove(job);
      this.#end(job);
    }
    return Promise.resolve({ found, envelope: job.envelope });
  }

  find(partition: string, id: string): Promise<Found> {
    return Promise.resolve(this.#partitions.get(partition)?.ids.get(id)?.state ?? "absent");
  }

  holderOf(partition: string, queueKey: string): Promise<string | undefined> {
    return Promise.resolve(this.#partitions.get(partition)?.keys.get(queueKey)?.envelope.id);
  }

  releaseKey(partition: string, queueKey: string): Promise<string | undefined> {
    const keys = this.#partitions.get(partition)?.keys;
    const holder = keys?.get(queueKey)?.envelope.id;
    keys?.delete(queueKey);
    return Promise.resolve(holder);
  }

  async setPaused(queue: QueueRef, paused: boolean): Promise<void> {
    this.#need(queue);
    await this.#keeping.setPaused(queue, paused);
  }

  counts(queue: QueueRef): QueueCounts | undefined {
    return this.#lane(queue)?.counts();
  }

  count(queue: QueueRef): Promise<QueueCounts | undefined> {
    return Promise.resolve(this.counts(queue));
  }

  takes(queue: QueueRef): boolean {
    return this.#lane(queue)?.outlet.consumed === true;
  }

  held(queue: QueueRef): readonly Envelope[] {
    return this.#lane(queue)?.heldOf(this.#partitions.get(queue.partition)?.ids.values() ?? []) ?? [];
  }

  list(queue: QueueRef, limit: number): Promise<{ jobs: readonly QueuedJob[]; complete: boolean }> {
    return Promise.resolve(this.#lane(queue)?.list(limit) ?? { jobs: [], complete: true });
  }

  purge(queue: QueueRef): Promise<readonly string[]> {
    const lane = this.#lane(queue);
    if (lane === undefined) return Promise.resolve([]);
    const jobs = [...lane.waiting, ...lane.scheduledJobs()];
    for (const job of jobs) {
      lane.remove(job);
      this.#end(job);
    }
    return Promise.resolve(jobs.map((job) => job.envelope.id));
  }

  listBuried(queue: QueueRef, page?: BuriedPage): Promise<readonly BuriedJob[]> {
    const lane = this.#lane(queue);
    if (lane === undefined) return Promise.resolve([]);
    return Promise.resolve(lane.buriedPage(page, this.#buried(queue, page?.after)));
  }

  requeueBuried(
    queue: QueueRef,
    ids: readonly string[] | "all",
    argsText?: string,
  ): Promise<readonly RequeueOutcome[]> {
    const outcomes: RequeueOutcome[] = [];
    for (const job of this.#chosen(queue, ids)) {
      const { id, queueKey } = job.envelope;
      const holder = queueKey === undefined ? undefined : this.#home(job).keys.get(queueKey);
      if (holder !== undefined) {
        outcomes.push({ id, error: new DuplicateJob(id, holder.envelope.id, "queueKey") });
        continue;
      }
      job.lane.remove(job);
      job.record = undefined;
      job.redelivered = false;
      job.envelope = requeued(job.envelope, argsText);
      if (queueKey !== undefined) this.#home(job).keys.set(queueKey, job);
      job.lane.append(job);
      outcomes.push({ id, error: undefined });
    }
    return Promise.resolve(outcomes);
  }

  dropBuried(queue: QueueRef, ids: readonly string[] | "all"): Promise<readonly string[]> {
    const jobs = this.#chosen(queue, ids);
    for (const job of jobs) {
      job.lane.remove(job);
      this.#home(job).ids.delete(job.envelope.id);
    }
    return Promise.resolve(jobs.map((job) => job.envelope.id));
  }

  mark(partition: string, id: string): Promise<void> {
    return this.#keeping.mark(partition, id);
  }

  ready(partition: string): Promise<void> {
    return this.#keeping.ready(partition);
  }

  isMarked(partition: string, id: string): boolean {
    return this.#keeping.isMarked(partition, id);
  }

  unmark(partition: string, id: string): Promise<void> {
    return this.#keeping.unmark(partition, id);
  }

  #closed(): Promise<never> {
    return Promise.reject(new BrokerUnreachable("the memory broker (closed)"));
  }

  #lane(queue: QueueRef): MemoryLane | undefined {
    return this.#partitions.get(queue.partition)?.lanes.get(queue.queue);
  }

  /** @throws UnknownQueue */
  #need(queue: QueueRef): MemoryLane {
    const lane = this.#lane(queue);
    if (lane === undefined) throw new UnknownQueue(queue.partition, queue.queue);
    return lane;
  }

  #home(job: MemoryJob): MemoryPartition {
    const home = this.#partitions.get(job.lane.ref.partition);
    if (home === undefined) throw new Error("a job outlived its partition");
    return home;
  }

  /** Why the job is refused, or `undefined` when it is in. */
  #store(envelope: Envelope, dueAt: number): Error | undefined {
    const home = this.#partitions.get(envelope.partition);
    if (home === undefined) return new UnknownPartition(envelope.partition);
    const lane = home.lanes.get(envelope.queue);
    if (lane === undefined) return new UnknownQueue(envelope.partition, envelope.queue);
    const { id, queueKey } = envelope;
    if (home.ids.has(id)) return new DuplicateJob(id, id, "id");
    const holder = queueKey === undefined ? undefined : home.keys.get(queueKey);
    if (holder !== undefined) return new DuplicateJob(id, holder.envelope.id, "queueKey");
    const job = new MemoryJob(lane, envelope);
    home.ids.set(id, job);
    if (queueKey !== undefined) home.keys.set(queueKey, job);
    this.#wait(job, dueAt);
    return undefined;
  }

  /** At the tail, or until it is due. */
  #wait(job: MemoryJob, dueAt: number): void {
    if (dueAt === 0 || dueAt <= this.#clock.now()) {
      job.lane.append(job);
      return;
    }
    job.lane.schedule(job, dueAt);
    this.#timer.at(dueAt);
  }

  #promote(): void {
    const now = this.#clock.now();
    for (let job = this.#due.peek(); job !== undefined && job.dueAt <= now; job = this.#due.peek()) {
      job.lane.remove(job);
      job.lane.append(job);
    }
    const next = this.#due.peek();
    if (next !== undefined) this.#timer.at(next.dueAt);
  }

  /** The job of a delivery that was live until now. */
  #settled(delivery: Delivery): MemoryJob | undefined {
    if (!(delivery instanceof Handed) || !(delivery.job instanceof MemoryJob)) return undefined;
    return delivery.job.lane.outlet.settle(delivery) && this.#open ? delivery.job : undefined;
  }

  /** The job is over: its id and its key are free. */
  #end(job: MemoryJob): void {
    this.#freeKey(job);
    this.#home(job).ids.delete(job.envelope.id);
  }

  #freeKey(job: MemoryJob): void {
    const { queueKey } = job.envelope;
    if (queueKey === undefined) return;
    const { keys } = this.#home(job);
    if (keys.get(queueKey) === job) keys.delete(queueKey); // it may have been freed by hand, and be another one's
  }

  #buried(queue: QueueRef, id: string | undefined): MemoryJob | undefined {
    const job = id === undefined ? undefined : this.#partitions.get(queue.partition)?.ids.get(id);
    return job?.state === "buried" && job.lane.ref.queue === queue.queue ? job : undefined;
  }

  #chosen(queue: QueueRef, ids: readonly string[] | "all"): MemoryJob[] {
    const lane = this.#lane(queue);
    if (lane === undefined) return [];
    if (ids === "all") return [...lane.buried];
    return ids.flatMap((id) => this.#buried(queue, id) ?? []);
  }
}
