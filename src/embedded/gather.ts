/**
 * A batch: everything that waits for one commit, and who waits for it.
 *
 * Owns the columns that go to the store thread and the promises that its answer settles; all enqueues of a
 * batch share one promise, all other durable changes another. A batch that fails is taken apart by the
 * pipeline.
 */
import type { Refusals } from "../broker/contract.ts";
import { encodeEnvelope } from "../jobs/codec.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { EmbeddedLane, Row } from "./embedded-lane.ts";
import { ID_LENGTH, isShort, Page } from "./page.ts";
import type { Chore, Move, Read, Work } from "./store/protocol.ts";
import { AVAILABLE, SCHEDULED } from "./store/schema.ts";
import { BATCH_CHARACTERS, BATCH_JOBS } from "./tuning.ts";

export class Deferred<T> {
  resolve: (value: T) => void = () => undefined;
  reject: (error: Error) => void = () => undefined;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

/** A chore is made when it is sent: what a purge must spare is known only then. */
export interface PendingChore {
  readonly make: () => Chore;
  readonly answer: Deferred<unknown>;
}

export interface PendingRead {
  readonly read: Read;
  readonly answer: Deferred<unknown>;
}

export class Batch {
  readonly envelopes: Envelope[] = [];
  readonly lanes: EmbeddedLane[] = [];
  /** When each is due; 0 = at once. */
  readonly dues: number[] = [];
  readonly bodies: string[] = [];
  readonly rids: number[] = [];
  /** The place of each; known when the batch is sent. */
  ords: number[] = [];
  readonly ended: number[] = [];
  readonly big: number[] = [];
  readonly stopped: number[] = [];
  /** Plain jobs: not among the columns above. */
  readonly pages: Page[] = [];
  readonly moves: Move[] = [];
  readonly chores: PendingChore[] = [];
  readonly reads: PendingRead[] = [];
  /** Ended in a commit whose outcome was unknown: some of them may be gone already. */
  readonly gone: number[] = [];
  /** Called when the batch is durable. */
  readonly after: (() => void)[] = [];
  #keyed = false;
  /** An id of a caller's own may be one of the journal's. */
  #seeks = false;
  /** The page that a plain job of a queue joins. */
  readonly #open = new Map<EmbeddedLane, Page>();
  #plain = 0;
  #characters = 0;
  #publishing: Deferred<Refusals | undefined> | undefined;
  #durable: Deferred<void> | undefined;

  get full(): boolean {
    return this.envelopes.length + this.#plain >= BATCH_JOBS || this.#characters >= BATCH_CHARACTERS;
  }

  /** Plain jobs in it. */
  get plain(): number {
    return this.#plain;
  }

  /** All that is enqueued with it. */
  get enqueued(): Envelope[] {
    return [...this.envelopes, ...this.pages.flatMap((page) => page.envelopes)];
  }

  get empty(): boolean {
    const ends = [this.ended, this.stopped, this.moves, this.gone];
    const lists = [this.envelopes, this.pages, ...ends, this.chores, this.reads];
    return lists.every((list) => list.length === 0);
  }

  /** `dueAt` 0 = available at once. */
  publish(
    lane: EmbeddedLane,
    envelope: Envelope,
    dueAt: number,
    newRids: (count: number) => number,
    plain: boolean,
  ): Promise<Refusals | undefined> {
    const body = encodeEnvelope(envelope);
    if (plain && isShort(envelope, body)) this.#addPlain(lane, envelope, body);
    else this.#addIndexed(lane, envelope, dueAt, newRids(1), body);
    this.#characters += body.length;
    this.#publishing ??= new Deferred();
    return this.#publishing.promise;
  }

  #addPlain(lane: EmbeddedLane, envelope: Envelope, body: string): void {
    let page = this.#open.get(lane);
    if (page === undefined || page.full) {
      page = new Page(lane, this.envelopes.length);
      this.pages.push(page);
      this.#open.set(lane, page);
    }
    page.add(envelope, body);
    this.#plain += 1;
  }

  #addIndexed(lane: EmbeddedLane, envelope: Envelope, dueAt: number, rid: number, body: string): void {
    // what comes after it in its queue has a place behind it
    if (dueAt === 0) this.#open.delete(lane);
    this.envelopes.push(envelope);
    this.lanes.push(lane);
    this.dues.push(dueAt);
    this.rids.push(rid);
    this.bodies.push(body);
    if (envelope.queueKey !== undefined) this.#keyed = true;
    if (envelope.id.length === ID_LENGTH) this.#seeks = true;
  }

  /** Gives the pages their numbers: what is published from here on has higher ones. */
  seal(newRids: (count: number) => number): void {
    this.#open.clear();
    for (const page of this.pages) if (page.seq < 0) page.seq = newRids(page.envelopes.length);
  }

  /** Its enqueues in an order that keeps that of each queue. */
  inOrder(indexed: (at: number) => void, paged: (page: Page) => void): void {
    let next = 0;
    for (let at = 0; at <= this.envelopes.length; at++) {
      for (let page = this.pages[next]; page !== undefined && page.before === at; page = this.pages[++next])
        paged(page);
      if (at < this.envelopes.length) indexed(at);
    }
  }

  /** Resolves with the commit. */
  get durable(): Promise<void> {
    this.#durable ??= new Deferred();
    return this.#durable.promise;
  }

  end(row: Row): void {
    this.ended.push(row.rid, row.lane.number);
    if (row.big) this.big.push(row.rid);
  }

  published(refusals: Refusals | undefined): void {
    this.#publishing?.resolve(refusals);
    this.#publishing = undefined;
  }

  notPublished(error: Error): void {
    this.#publishing?.reject(error);
    this.#publishing = undefined;
  }

  committed(): void {
    this.#durable?.resolve();
    for (const after of this.after) after();
  }

  failed(error: Error): void {
    this.notPublished(error);
    this.#durable?.reject(error);
    this.#refuse(error);
  }

  /** Chores and reads, whose outcome nobody asks twice for. */
  #refuse(error: Error): void {
    for (const { answer } of [...this.chores, ...this.reads]) answer.reject(error);
    this.chores.length = 0;
    this.reads.length = 0;
  }

  /**
   * What is to be done again when the outcome of this batch is not known: settled jobs must not run once
   * more. Enqueues, chores and reads are answered with the error.
   */
  again(unknown: Error, lost: Error): Batch {
    this.notPublished(unknown);
    this.#refuse(lost);
    const next = new Batch();
    next.#durable = this.#durable;
    next.after.push(...this.after);
    next.moves.push(...this.moves);
    next.stopped.push(...this.stopped);
    next.gone.push(...this.gone, ...this.ended.filter((_, at) => at % 2 === 0));
    return next;
  }

  /** Without its enqueues, which were refused. */
  withoutInserts(): Batch {
    const next = new Batch();
    next.#durable = this.#durable;
    next.ended.push(...this.ended);
    next.big.push(...this.big);
    next.stopped.push(...this.stopped);
    next.moves.push(...this.moves);
    next.gone.push(...this.gone);
    next.chores.push(...this.chores);
    next.reads.push(...this.reads);
    next.after.push(...this.after);
    return next;
  }

  /** Its enqueues were refused: the places they were given are the next ones again. */
  giveBackPlaces(): void {
    for (const [at, lane] of this.lanes.entries()) if (this.dues[at] === 0) lane.next -= 1;
    for (const { lane, envelopes } of this.pages) lane.next -= envelopes.length;
  }

  /** Where a job is about to be, as far as this batch changes that. */
  outcomeOf(rid: number): "gone" | Move["to"] | undefined {
    for (let i = 0; i < this.ended.length; i += 2) if (this.ended[i] === rid) return "gone";
    if (this.gone.includes(rid)) return "gone";
    return this.moves.find((move) => move.rid === rid)?.to;
  }

  /** The message of this batch; gives its jobs their places. */
  toWork(now: number): Work {
    const insert = new Float64Array(this.envelopes.length * 5);
    this.ords = [];
    this.inOrder(
      (at) => this.#place(at, insert),
      (page) => {
        page.first = page.lane.next;
        page.lane.next += page.envelopes.length;
      },
    );
    return {
      kind: "work",
      now,
      ended: this.ended,
      big: this.big,
      stopped: this.stopped,
      insert,
      ids: this.envelopes.map((envelope) => envelope.id),
      keys: this.#keyed ? this.envelopes.map((envelope) => envelope.queueKey ?? null) : undefined,
      bodies: this.bodies,
      plain: this.pages.map((page) => page.toRow()),
      seeks: this.#seeks,
      moves: this.moves,
      chores: this.#choresNow(),
      frontiers: [],
      takes: [],
      reads: this.reads.map((one) => one.read),
    };
  }

  #place(at: number, insert: Float64Array): void {
    const lane = this.lanes[at];
    const envelope = this.envelopes[at];
    if (lane === undefined || envelope === undefined) throw new Error("an enqueue without its lane");
    const due = this.dues[at] ?? 0;
    const ord = due === 0 ? lane.next++ : due;
    this.ords.push(ord);
    insert[at * 5] = this.rids[at] ?? 0;
    insert[at * 5 + 1] = lane.number;
    insert[at * 5 + 2] = ord;
    insert[at * 5 + 3] = due === 0 ? AVAILABLE : SCHEDULED;
    insert[at * 5 + 4] = envelope.attempt;
  }

  /** In the order of their answers; nobody waits for the last one. */
  #choresNow(): Chore[] {
    const chores = this.chores.map((chore) => chore.make());
    if (this.gone.length > 0) chores.push({ do: "ended", rids: this.gone });
    return chores;
  }
}
