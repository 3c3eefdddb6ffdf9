/**
 * Plain jobs, a row for all of one lane and commit: what is not looked for is not indexed.
 *
 * Owns the tables `journal` and `ends` and what of them has not ended. Whatever must find a job by its id, its lane or its
 * number, and cannot wait for its end, has its row moved into `jobs` first, in the same transaction; so does a job that
 * stays. After a crash all of it is moved at open: a row's places are those its jobs had, so who may have run is known.
 */
import { decodeEnvelope } from "../../jobs/codec.ts";
import type { Database, Value } from "./driver.ts";
import type { LaneTable } from "./lane-table.ts";
import type { PlainRow } from "./protocol.ts";

/** Jobs that are moved for their age in one transaction, and some of the last row more. */
const MOVED_AT_ONCE = 500;
/** On a disk that has no room nothing is moved for its age meanwhile. */
const REST_MS = 10_000;

type Run = (...args: Value[]) => number;

/** A row of the journal. */
interface Page {
  /** The `rid` of its first job; the others follow. */
  readonly seq: number;
  readonly lane: number;
  /** The place of its first job; the others follow. */
  readonly first: number;
  readonly count: number;
  readonly bornAt: number;
  /** A bit for each job that has ended. */
  readonly done: Uint8Array;
  left: number;
  touched: boolean;
  /** It has a row in `ends`. */
  noted: boolean;
}

/** seq, lane, first, count, done. */
type Stored = readonly [number, number, number, number, Uint8Array | null];

export class Journal {
  readonly #lanes: LaneTable;
  readonly #staysMs: number;
  readonly #insert: Run;
  readonly #insertJob: Run;
  readonly #delete: Run;
  readonly #note: Run;
  readonly #forget: Run;
  readonly #body: (...args: Value[]) => { body: string } | undefined;
  readonly #stored: () => Stored[];
  /** By `seq`. */
  #pages: Page[] = [];
  #touched: Page[] = [];
  /** Where the last job was found: the next is mostly in the same row. */
  #hint: Page | undefined;
  #live = 0;
  #restUntil = 0;

  /** What has not ended after `staysMs` is moved. */
  constructor(db: Database, lanes: LaneTable, staysMs: number, now: number) {
    this.#lanes = lanes;
    this.#staysMs = staysMs;
    this.#insert = db.run("INSERT INTO journal VALUES(?,?,?,?,?)");
    this.#insertJob = db.run("INSERT INTO jobs VALUES(?,?,?,0,?,?,0,0,NULL,NULL,?) ON CONFLICT DO NOTHING");
    this.#delete = db.run("DELETE FROM journal WHERE seq=?");
    this.#note = db.run("INSERT OR REPLACE INTO ends VALUES(?,?)");
    this.#forget = db.run("DELETE FROM ends WHERE seq=?");
    this.#body = db.get<{ body: string }>("SELECT body FROM journal WHERE seq=?");
    this.#stored = db.rows<Stored>(
      "SELECT j.seq, j.lane, j.first, j.count, e.done FROM journal j LEFT JOIN ends e ON e.seq=j.seq ORDER BY j.seq",
    );
    this.load(now);
  }

  /** Jobs that are in it and have not ended. */
  get live(): number {
    return this.#live;
  }

  /** When the first of them is to be moved. */
  get nextMove(): number | undefined {
    const [oldest] = this.#pages;
    return oldest === undefined ? undefined : Math.max(oldest.bornAt + this.#staysMs, this.#restUntil);
  }

  /** As the tables have it: at open, and after a transaction that was rolled back. */
  load(now: number): void {
    this.#touched = [];
    this.#hint = undefined;
    this.#pages = this.#stored().map(([seq, lane, first, count, ended]) => {
      const page = newPage({ seq, lane, first, count }, now);
      if (ended !== null) page.done.set(ended);
      for (let at = 0; at < count; at++) if (isDone(page, at)) page.left -= 1;
      page.noted = ended !== null;
      return page;
    });
    this.#live = this.#pages.reduce((sum, page) => sum + page.left, 0);
  }

  add(row: PlainRow, now: number): void {
    const { seq, lane: number, first, count, body } = row;
    this.#insert(seq, number, first, count, body);
    const lane = this.#lanes.touch(number);
    lane.available += count;
    lane.next = Math.max(lane.next, first + count);
    const page = newPage(row, now);
    // they come in order, but for what waited for a store that was opened anew
    const last = this.#pages.at(-1);
    this.#pages.push(page);
    if (last !== undefined && last.seq > seq) this.#pages.sort((a, b) => a.seq - b.seq);
    this.#live += count;
  }

  /** Takes a job out; `false` when it is not here. Its lane's counts are the caller's. */
  end(rid: number): boolean {
    const page = this.#find(rid);
    if (page === undefined) return false;
    const at = rid - page.seq;
    if (isDone(page, at)) return false;
    page.done[at >> 3] = (page.done[at >> 3] ?? 0) | (1 << (at & 7));
    page.left -= 1;
    this.#live -= 1;
    if (!page.touched) {
      page.touched = true;
      this.#touched.push(page);
    }
    return true;
  }

  /** This job, and with it what else is left of its row, is in `jobs` from here on. */
  moveOf(rid: number): void {
    const page = this.#find(rid);
    if (page !== undefined) this.#move([page]);
  }

  /** Of one lane, what has a place behind `after`. */
  moveLane(lane: number, after: number): void {
    if (this.#pages.length > 0)
      this.#move(this.#pages.filter((page) => page.lane === lane && page.first + page.count - 1 > after));
  }

  moveAll(): void {
    if (this.#pages.length > 0) this.#move(this.#pages);
  }

  /** What has stayed too long, oldest first, some at a time. */
  moveOld(now: number): void {
    if (now < this.#restUntil) return;
    const old: Page[] = [];
    let jobs = 0;
    for (const page of this.#pages) {
      if (page.bornAt + this.#staysMs > now || jobs >= MOVED_AT_ONCE) break;
      old.push(page);
      jobs += page.left;
    }
    this.#move(old);
  }

  /** The disk is full: what can wait does. */
  rest(now: number): void {
    this.#restUntil = now + REST_MS;
  }

  /** Writes what has ended since; before the COMMIT. */
  flush(): void {
    if (this.#touched.length === 0) return;
    let gone = false;
    for (const page of this.#touched) {
      page.touched = false;
      if (page.left > 0) {
        this.#note(page.seq, page.done);
        page.noted = true;
      } else {
        this.#remove(page);
        gone = true;
      }
    }
    this.#touched = [];
    if (gone) this.#drop((page) => page.left === 0);
  }

  #move(pages: readonly Page[]): void {
    if (pages.length === 0) return;
    for (const page of pages) {
      this.#index(page);
      this.#remove(page);
      this.#live -= page.left;
    }
    const moved = new Set(pages);
    this.#drop((page) => moved.has(page));
    this.#touched = this.#touched.filter((page) => !moved.has(page));
  }

  /** Its jobs become rows of `jobs`, with their numbers and places. */
  #index({ seq, lane, first, count, done }: Page): void {
    const lines = this.#body(seq)?.body.split("\n");
    if (lines?.length !== 2 * count) throw damaged(seq, count);
    const { part } = this.#lanes.look(lane);
    for (let at = 0; at < count; at++) {
      if (((done[at >> 3] ?? 0) & (1 << (at & 7))) !== 0) continue;
      const rid = seq + at;
      const body = `${lines[2 * at]}\n${lines[2 * at + 1]}`;
      const decoded = decodeEnvelope(body);
      // what can't be read is buried under this name when it is handed out
      const nameless = `journal-${rid}`;
      const id = decoded.ok ? decoded.envelope.id : nameless;
      if (this.#insertJob(rid, id, part, lane, first + at, body) === 1) continue;
      if (this.#insertJob(rid, nameless, part, lane, first + at, body) !== 1)
        throw new Error(`job ${rid} of the journal has a number that another job has`);
    }
  }

  #remove({ seq, noted }: Page): void {
    this.#delete(seq);
    if (noted) this.#forget(seq);
  }

  #drop(which: (page: Page) => boolean): void {
    this.#hint = undefined;
    this.#pages = this.#pages.filter((page) => !which(page));
  }

  #find(rid: number): Page | undefined {
    if (this.#hint !== undefined && holds(this.#hint, rid)) return this.#hint;
    let low = 0;
    let high = this.#pages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#pages[middle]?.seq ?? 0) <= rid) low = middle + 1;
      else high = middle;
    }
    const page = this.#pages[low - 1];
    if (page === undefined || !holds(page, rid)) return undefined;
    this.#hint = page;
    return page;
  }
}

function newPage({ seq, lane, first, count }: Omit<PlainRow, "body">, bornAt: number): Page {
  const done = new Uint8Array((count + 7) >> 3);
  return { seq, lane, first, count, bornAt, done, left: count, touched: false, noted: false };
}

function holds({ seq, count }: Page, rid: number): boolean {
  return rid >= seq && rid < seq + count;
}

function isDone({ done }: Page, at: number): boolean {
  return ((done[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
}

function damaged(seq: number, count: number): Error {
  return Object.assign(new Error(`row ${seq} of the journal does not hold the ${count} jobs that it had`), {
    code: "SQLITE_CORRUPT",
  });
}
