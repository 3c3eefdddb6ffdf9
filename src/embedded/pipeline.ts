/**
 * The commits of the embedded broker: one in flight, everything that comes meanwhile shares the next.
 *
 * Owns the batches that wait and the one that was sent. A completion waits up to 2 ms for company, all else
 * goes with the next turn of the event loop. When the store is lost, settled jobs of the batch in flight are
 * put before everything else, so that they do not run again; its enqueues have no known outcome.
 */
import type { Refusals } from "../broker/contract.ts";
import { BrokerUnreachable, EnqueueOutcomeUnknown, StorageFull } from "../broker/errors.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { Clock } from "../kernel/types.ts";
import type { EmbeddedLane, Needs } from "./embedded-lane.ts";
import { Batch, Deferred } from "./gather.ts";
import type { Chore, Done, Failed, Read, Trouble, Work } from "./store/protocol.ts";
import type { StoreClient } from "./store-client.ts";
import { FULL_RETRY_MS, LAZY_MOST, LAZY_MS } from "./tuning.ts";

/** Who makes something of a commit. */
export interface Commits {
  /** A batch is durable; its own promises are settled after this. */
  done(batch: Batch, done: Done): void;
  /** What was put aside and given back is wanted. */
  fetch(lane: EmbeddedLane): void;
  /** The store must be opened anew (`IOERR`, a thread that ended), or not at all (`CORRUPT`). */
  broken(trouble: Trouble): void;
}

export class Pipeline implements Needs {
  readonly #clock: Clock;
  readonly #commits: Commits;
  readonly #path: string;
  readonly #journalJobs: number;
  /** Of the process: never given twice, so that what is put again after a loss finds its own rows. */
  #rid = 0;
  #client: StoreClient | undefined;
  #waiting: Batch[] = [];
  #open = new Batch();
  #flying: Batch | undefined;
  #armed = false;
  /** Somebody waits for the open batch. */
  #wanted = false;
  /** After a loss: nothing is read before all that was settled has gone to the new thread. */
  #catchingUp = false;
  #lazy: NodeJS.Timeout | undefined;
  #resting: NodeJS.Timeout | undefined;
  #drained: Deferred<void> | undefined;
  readonly #hungry = new Set<EmbeddedLane>();
  readonly #behind = new Set<EmbeddedLane>();
  /** Lanes that the commit in flight reads for or moves the frontier of. */
  #served: EmbeddedLane[] = [];
  /** Plain jobs that have not ended, as the last answer had it. */
  #journal = 0;
  /** Characters of jobs kept in memory for hand-out. */
  kept = 0;

  constructor(clock: Clock, path: string, journalJobs: number, commits: Commits) {
    this.#clock = clock;
    this.#path = path;
    this.#journalJobs = journalJobs;
    this.#commits = commits;
  }

  /** The batch that an operation joins. */
  get batch(): Batch {
    if (this.#open.full) {
      this.#open.seal(this.#newRids);
      this.#waiting.push(this.#open);
      this.#open = new Batch();
    }
    return this.#open;
  }

  /** Rows below this were published before now. */
  get nextRid(): number {
    this.#open.seal(this.#newRids);
    return this.#rid;
  }

  readonly #newRids = (count: number): number => {
    const first = this.#rid;
    this.#rid += count;
    return first;
  };

  /** `dueAt` 0 = available at once; `plain`: it may go to the journal. Resolves with the commit. */
  publish(
    lane: EmbeddedLane,
    envelope: Envelope,
    dueAt: number,
    plain: boolean,
  ): Promise<Refusals | undefined> {
    const { batch } = this;
    const room = this.#journal + batch.plain < this.#journalJobs;
    const promise = batch.publish(lane, envelope, dueAt, this.#newRids, plain && room);
    this.commitSoon();
    return promise;
  }

  /** What is about to become of a job that was settled and is not known to be durable. */
  settling(rid: number): ReturnType<Batch["outcomeOf"]> {
    for (const batch of this.pending) {
      const outcome = batch.outcomeOf(rid);
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  }

  /** All that waits, the one in flight included. */
  get pending(): readonly Batch[] {
    const all = [...this.#waiting, this.#open];
    return this.#flying === undefined ? all : [this.#flying, ...all];
  }

  connect(client: StoreClient, maxRid: number): void {
    this.#client = client;
    this.#journal = 0;
    this.#rid = Math.max(this.#rid, maxRid + 1);
    this.commitSoon();
  }

  /** With the next turn: everything of this one shares it. */
  commitSoon(): void {
    this.#wanted = true;
    if (this.#armed || this.#flying !== undefined || this.#client === undefined) return;
    if (this.#resting !== undefined) return;
    this.#armed = true;
    setImmediate(() => {
      this.#armed = false;
      this.#send();
    });
  }

  /** Within 2 ms. */
  commitLazily(): void {
    if (this.#open.ended.length >= 2 * LAZY_MOST) {
      this.commitSoon();
      return;
    }
    this.#lazy ??= setTimeout(() => {
      this.#lazy = undefined;
      this.commitSoon();
    }, LAZY_MS);
  }

  /** One change with an answer of its own. */
  chore<T>(make: () => Chore): Promise<T> {
    const answer = new Deferred<unknown>();
    this.batch.chores.push({ make, answer });
    this.commitSoon();
    return answer.promise as Promise<T>;
  }

  ask<T>(read: Read): Promise<T> {
    const answer = new Deferred<unknown>();
    this.batch.reads.push({ read, answer });
    this.commitSoon();
    return answer.promise as Promise<T>;
  }

  read(lane: EmbeddedLane, now: boolean): void {
    this.#hungry.add(lane);
    if (now) this.commitSoon();
  }

  frontier(lane: EmbeddedLane, now: boolean): void {
    this.#behind.add(lane);
    if (now) this.commitSoon();
  }

  fetch(lane: EmbeddedLane): void {
    this.#commits.fetch(lane);
  }

  keep(characters: number): void {
    this.kept += characters;
  }

  /** Resolves when nothing waits any more, or after `mostMs`: a disk may stay full for ever. */
  async drain(mostMs: number): Promise<void> {
    if (this.#idle) return;
    const drained = new Deferred<void>();
    this.#drained = drained;
    const timer = setTimeout(() => drained.resolve(), mostMs);
    this.commitSoon();
    await drained.promise;
    clearTimeout(timer);
  }

  /** The thread is gone: what was sent may or may not be stored; what waits goes to the next one. */
  disconnect(why: Error): void {
    this.#client = undefined;
    this.#hungry.clear();
    this.#behind.clear();
    this.#catchingUp = true;
    const flying = this.#flying;
    this.#flying = undefined;
    if (flying === undefined) return;
    this.#waiting.unshift(
      flying.again(outcomeUnknown(flying, why), new BrokerUnreachable(this.#path, { cause: why })),
    );
  }

  /** For good: whatever waits is answered with this, and what was sent with `sent`. */
  fail(error: Error, sent: (first: Batch) => Error = () => error): void {
    this.#client = undefined;
    this.#flying?.failed(sent(this.#flying));
    this.#flying = undefined;
    for (const batch of this.pending) batch.failed(error);
    this.#waiting = [];
    this.#open = new Batch();
    clearTimeout(this.#lazy);
    clearTimeout(this.#resting);
    this.#drained?.resolve();
  }

  answered(answer: Done | Failed): void {
    const batch = this.#flying;
    if (batch === undefined) return;
    if (answer.kind === "failed") {
      this.#failed(batch, answer.trouble);
      return;
    }
    this.#flying = undefined;
    this.#journal = answer.journal;
    if (answer.full !== undefined) batch.published(this.#refuseAll(batch, answer.full));
    this.#commits.done(batch, answer);
    // wanted with nothing in it: a due time passed while this one was under way
    if (this.#wanted || this.#waiting.length > 0) this.commitSoon();
    else if (this.#idle) this.#drained?.resolve();
  }

  /** Rolled back on a full disk: all but its enqueues is tried again. */
  #failed(batch: Batch, trouble: Trouble): void {
    if (trouble.kind !== "FULL") {
      this.#commits.broken(trouble);
      return;
    }
    this.#flying = undefined;
    batch.published(this.#refuseAll(batch, undefined));
    this.#waiting.unshift(batch.withoutInserts());
    // what they asked for was rolled back too: they ask again
    for (const lane of this.#served) lane.outlet.wake();
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      this.commitSoon();
    }, FULL_RETRY_MS);
  }

  #refuseAll(batch: Batch, freeBytes: number | undefined): Map<Envelope, Error> | undefined {
    const { enqueued } = batch;
    if (enqueued.length === 0) return undefined;
    batch.giveBackPlaces();
    const error = new StorageFull(this.#path, freeBytes);
    return new Map(enqueued.map((envelope) => [envelope, error]));
  }

  get #idle(): boolean {
    return this.#flying === undefined && this.#waiting.length === 0 && this.#open.empty;
  }

  #send(): void {
    if (this.#client === undefined || this.#flying !== undefined) return;
    const batch = this.#waiting.shift() ?? this.#open;
    batch.seal(this.#newRids);
    if (batch === this.#open) {
      this.#open = new Batch();
      this.#wanted = false;
      this.#catchingUp = false;
      clearTimeout(this.#lazy);
      this.#lazy = undefined;
    }
    this.#served = [...this.#hungry, ...this.#behind];
    // before the batch's jobs are given their places: these may be handed out as soon as they are durable
    const frontiers = this.#frontiers(batch);
    const work = batch.toWork(this.#clock.now());
    work.frontiers.push(...frontiers);
    if (!this.#catchingUp) this.#addTakes(work);
    this.#flying = batch;
    this.#client.post(work);
  }

  #frontiers(batch: Batch): number[] {
    const frontiers: number[] = [];
    const paged = batch.pages.map((page) => page.lane);
    for (const lane of new Set([...batch.lanes, ...paged, ...this.#behind])) {
      const wanted = lane.nextFrontier();
      if (wanted !== undefined) frontiers.push(lane.number, wanted);
    }
    this.#behind.clear();
    return frontiers;
  }

  #addTakes(work: Work): void {
    for (const lane of this.#hungry) {
      if (!lane.wantsMore) continue;
      work.takes.push({ lane: lane.number, after: lane.cursor, room: lane.span });
    }
    this.#hungry.clear();
  }
}

/** What the callers of a commit are told that nobody heard the end of. */
export function outcomeUnknown(batch: Batch, cause: Error): Error {
  const { enqueued } = batch;
  const [first] = enqueued;
  const others = enqueued.length - 1;
  const id = first?.id ?? "";
  return new EnqueueOutcomeUnknown(others > 0 ? `${id} (and ${others} others of its commit)` : id, { cause });
}
