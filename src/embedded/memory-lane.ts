/**
 * One queue of the memory broker: what waits, what is scheduled, what lies buried.
 *
 * Owns its jobs in every state but unsettled, which the outlet counts. Dies with the broker; that is the
 * bargain.
 */
import type { BuriedJob, BuriedPage, QueueCounts, QueuedJob, QueueRef } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import type { DueHeap } from "./due-heap.ts";
import { type Linked, OrderedList } from "./ordered-list.ts";
import { type Consumer, Handed, Outlet, type Pump, type Source } from "./subscription.ts";

export type MemoryState = "available" | "scheduled" | "unsettled" | "buried";

/** A job, from its enqueue to its end: one object, whatever state it is in. */
export class MemoryJob implements Linked<MemoryJob> {
  before: MemoryJob | undefined = undefined;
  behind: MemoryJob | undefined = undefined;
  ord = 0;
  slot = -1;
  dueAt = 0;
  state: MemoryState = "available";
  redelivered = false;
  record: BuriedRecord | undefined = undefined;
  constructor(
    readonly lane: MemoryLane,
    public envelope: Envelope,
  ) {}
}

export class MemoryLane implements Source<MemoryJob> {
  readonly ref: QueueRef;
  readonly outlet: Outlet<MemoryJob>;
  readonly waiting = new OrderedList<MemoryJob>();
  readonly buried = new OrderedList<MemoryJob>();
  scheduled = 0;
  paused = false;
  #next = 0;
  readonly #due: DueHeap<MemoryJob>;

  constructor(ref: QueueRef, pump: Pump, due: DueHeap<MemoryJob>) {
    this.ref = ref;
    this.outlet = new Outlet(this, pump);
    this.#due = due;
  }

  take(): MemoryJob | undefined {
    if (this.paused) return undefined;
    const job = this.waiting.shift();
    if (job !== undefined) job.state = "unsettled";
    return job;
  }

  handOver(job: MemoryJob, to: Consumer<MemoryJob>): Handed<MemoryJob> {
    const handed = new Handed<MemoryJob>(job, job.envelope, job.redelivered, undefined, to);
    job.redelivered = true;
    return handed;
  }

  /** At the tail of what waits. */
  append(job: MemoryJob): void {
    job.state = "available";
    job.ord = this.#next++;
    this.waiting.push(job);
    this.outlet.wake();
  }

  /** To the place it was taken from. */
  putBack(job: MemoryJob): void {
    job.state = "available";
    this.waiting.insert(job);
    this.outlet.wake();
  }

  schedule(job: MemoryJob, dueAt: number): void {
    job.state = "scheduled";
    job.ord = this.#next++;
    job.dueAt = dueAt;
    this.#due.add(job);
    this.scheduled += 1;
  }

  bury(job: MemoryJob, record: BuriedRecord): void {
    job.state = "buried";
    job.ord = this.#next++;
    job.record = record;
    this.buried.push(job);
  }

  /** Out of whatever it waits in; an unsettled job is in nothing. */
  remove(job: MemoryJob): void {
    if (job.state === "available") this.waiting.remove(job);
    else if (job.state === "buried") this.buried.remove(job);
    else if (job.state === "scheduled") {
      this.#due.remove(job);
      this.scheduled -= 1;
    }
  }

  counts(): QueueCounts {
    return {
      available: this.waiting.size,
      scheduled: this.scheduled,
      buried: this.buried.size,
      unsettled: this.outlet.unsettled,
      paused: this.paused,
    };
  }

  /** What is handed out and not settled, of all jobs of the partition, in its order. */
  heldOf(jobs: Iterable<MemoryJob>): readonly Envelope[] {
    const found: MemoryJob[] = [];
    for (const job of jobs) {
      if (found.length === this.outlet.unsettled) break;
      if (job.lane === this && job.state === "unsettled") found.push(job);
    }
    return found.sort((a, b) => a.ord - b.ord).map(({ envelope }) => envelope);
  }

  list(limit: number): { jobs: readonly QueuedJob[]; complete: boolean } {
    const jobs: QueuedJob[] = [];
    for (let job = this.waiting.head; job !== undefined && jobs.length < limit; job = job.behind)
      jobs.push({ envelope: job.envelope, state: "available", dueAt: undefined });
    if (this.scheduled > 0 && jobs.length < limit)
      for (const { envelope, dueAt } of this.scheduledJobs().slice(0, limit - jobs.length))
        jobs.push({ envelope, state: "scheduled", dueAt });
    return { jobs, complete: jobs.length === this.waiting.size + this.scheduled };
  }

  /** In the order they become due. */
  scheduledJobs(): MemoryJob[] {
    const mine = this.#due.items().filter((job) => job.lane === this);
    return mine.sort((a, b) => a.dueAt - b.dueAt || a.ord - b.ord);
  }

  buriedPage(page: BuriedPage | undefined, after: MemoryJob | undefined): BuriedJob[] {
    const limit = Math.min(1000, Math.max(1, page?.limit ?? 100));
    const jobs: BuriedJob[] = [];
    let job = after === undefined ? this.buried.head : after.behind;
    for (; job !== undefined && jobs.length < limit; job = job.behind) {
      if (job.record === undefined) continue;
      jobs.push({ id: job.envelope.id, envelope: job.envelope, record: job.record, raw: undefined });
    }
    return jobs;
  }
}
