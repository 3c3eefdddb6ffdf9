/**
 * One queue of the embedded broker as main sees it: what is in memory of it, and what the store last said of
 * it.
 *
 * Owns the list of jobs that are ready to be handed out and the list of those that were. A place beyond the
 * durable frontier is not handed out, so that after a crash what may have run is known. Dies with the
 * connection: `reset` makes every delivery void, the store has all of it.
 */
import type { QueueCounts, QueueRef } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { type Linked, OrderedList } from "./ordered-list.ts";
import { type Consumer, Handed, Outlet, type Pump, type Source } from "./subscription.ts";
import { FRONTIER_AHEAD, FRONTIER_MOST, READ_BELOW, READ_CHARACTERS_BELOW } from "./tuning.ts";

/** A job of the store that is in memory. */
export class Row implements Linked<Row> {
  before: Row | undefined = undefined;
  behind: Row | undefined = undefined;
  handed: Handed<Row> | undefined = undefined;
  constructor(
    readonly lane: EmbeddedLane,
    readonly rid: number,
    public ord: number,
    readonly envelope: Envelope,
    /** Of its text; what is kept in memory is bounded by the sum. */
    readonly characters: number,
    /** It has a row in `bodies`. */
    readonly big: boolean,
    public crashes: number,
    readonly suspect: boolean,
    public redelivered: boolean,
  ) {}
}

/** What a lane asks of the commits. */
export interface Needs {
  /** Jobs are wanted from the store; `now` = nobody has anything to do until they are here. */
  read(lane: EmbeddedLane, now: boolean): void;
  /** The durable frontier is to be moved with the next commit, or by one at once. */
  frontier(lane: EmbeddedLane, now: boolean): void;
  /** Jobs that were put aside and given back are wanted first. */
  fetch(lane: EmbeddedLane): void;
  /** Characters kept in memory, of all lanes. */
  keep(characters: number): void;
  readonly kept: number;
}

export class EmbeddedLane implements Source<Row> {
  readonly outlet: Outlet<Row>;
  readonly ready = new OrderedList<Row>();
  readonly handed = new OrderedList<Row>();
  /** As the store has them; `available` includes what is handed out or about to end. */
  available = 0;
  scheduled = 0;
  buried = 0;
  next = 0;
  frontier = -1;
  paused = false;
  /** Settled, and its commit is not known yet. */
  ending = 0;
  /** The place up to which the store was read; nothing is behind it when `atEnd`. */
  cursor = -1;
  atEnd = false;
  /** Rows below this `rid` are being purged; nothing is read meanwhile. */
  purging: number | undefined;
  /** Numbers of jobs that were put aside: in the store, and not handed out. */
  readonly aside = new Set<number>();
  /** Of those, the ones that were given back and are not in memory yet. */
  back: readonly number[] = [];
  fetching = false;
  /** Grows with each loss of the store. */
  losses = 0;
  suspectUpTo = -1;
  redeliveredUpTo = -1;
  /**
   * The frontier is moved this far past what there is room for, so that hand-out need not wait for each
   * commit.
   */
  #ahead = FRONTIER_AHEAD;
  /** Handed out since the frontier was last looked at. */
  #recent = 0;
  /** Up to this place all that was given back is in memory. */
  #frontUpTo = -1;

  constructor(
    readonly number: number,
    readonly ref: QueueRef,
    pump: Pump,
    readonly needs: Needs,
  ) {
    this.outlet = new Outlet(this, pump);
  }

  take(): Row | undefined {
    if (this.paused) return undefined;
    const row = this.ready.head;
    if (this.back.length > 0 && (row === undefined || row.ord > this.#frontUpTo)) {
      if (!this.fetching) this.needs.fetch(this);
      return undefined;
    }
    if (this.wantsMore) this.needs.read(this, row === undefined);
    if (row === undefined) return undefined;
    if (row.ord > this.frontier) {
      this.needs.frontier(this, true);
      return undefined;
    }
    if (row.ord + this.#ahead / 2 > this.frontier) this.needs.frontier(this, false);
    this.#recent += 1;
    this.ready.remove(row);
    this.needs.keep(-row.characters);
    this.handed.push(row);
    return row;
  }

  /** Whether to read on: at the last moment, or ahead while little is in memory. */
  get wantsMore(): boolean {
    if (this.atEnd || this.purging !== undefined) return false;
    const { size } = this.ready;
    return size === 0 || (size < READ_BELOW && this.needs.kept < READ_CHARACTERS_BELOW);
  }

  /** What is published now goes from memory to whoever takes it, as far as there is room. */
  get kept(): boolean {
    return this.atEnd && this.outlet.consumed && this.purging === undefined;
  }

  handOver(row: Row, to: Consumer<Row>): Handed<Row> {
    const suspect =
      row.suspect || row.crashes > 0 ? { crashes: row.crashes, alone: row.crashes > 0 } : undefined;
    row.handed = new Handed<Row>(row, row.envelope, row.redelivered, suspect, to);
    row.redelivered = true;
    return row.handed;
  }

  /** How many may be handed out before the next commit, at the pace since the last one. */
  get span(): number {
    return this.outlet.room + this.#ahead;
  }

  /** Where the durable frontier should be; `undefined` when it is far enough. Asked once a commit. */
  nextFrontier(): number | undefined {
    this.#ahead = Math.min(FRONTIER_MOST, Math.max(FRONTIER_AHEAD, 2 * this.#recent));
    this.#recent = 0;
    // with nothing in memory the next one is the first that is unread: the backlog behind it was not handed out
    const first = this.ready.head?.ord ?? (this.atEnd ? this.next : this.cursor + 1);
    const needed = first + this.outlet.room + this.#ahead / 2;
    return this.outlet.consumed && needed > this.frontier ? first + this.span : undefined;
  }

  add(row: Row): void {
    this.ready.push(row);
    this.cursor = row.ord;
    this.needs.keep(row.characters);
  }

  /** A delivery is over; its row is about to end or to move. */
  ends(row: Row): void {
    this.handed.remove(row);
    row.handed = undefined;
    this.ending += 1;
  }

  putBack(row: Row): void {
    this.handed.remove(row);
    row.handed = undefined;
    this.ready.insert(row);
    this.needs.keep(row.characters);
  }

  /** A delivery is over, and its row waits in the store until it is asked for. */
  putAside(row: Row): void {
    this.handed.remove(row);
    row.handed = undefined;
    this.aside.add(row.rid);
  }

  putInFront(row: Row): void {
    this.#frontUpTo = Math.max(this.#frontUpTo, row.ord);
    this.ready.insert(row);
    this.needs.keep(row.characters);
  }

  /** Takes a row out of the ready list; `false` when it is not there. */
  drop(rid: number): boolean {
    for (const row of this.ready) {
      if (row.rid === rid) {
        this.#forget(row);
        return true;
      }
    }
    return false;
  }

  /** Everything older than `below` is about to be purged. */
  dropBelow(below: number): void {
    for (const row of [...this.ready]) if (row.rid < below) this.#forget(row);
  }

  isHanded(rid: number): boolean {
    for (const row of this.handed) if (row.rid === rid) return true;
    return false;
  }

  counts(): QueueCounts {
    return {
      available: this.available - this.outlet.unsettled - this.ending,
      scheduled: this.scheduled,
      buried: this.buried,
      unsettled: this.outlet.unsettled,
      paused: this.paused,
    };
  }

  /** The store is gone: nothing is in memory any more, and what was handed out comes again. */
  reset(): void {
    for (const row of this.ready) this.needs.keep(-row.characters);
    this.outlet.reset([...this.handed].flatMap((row) => row.handed ?? []));
    this.ready.clear();
    this.handed.clear();
    this.aside.clear();
    this.back = [];
    this.#frontUpTo = -1;
    this.losses += 1;
    this.ending = 0;
    this.cursor = -1;
    this.atEnd = false;
    this.purging = undefined;
  }

  #forget(row: Row): void {
    this.ready.remove(row);
    this.needs.keep(-row.characters);
  }
}
