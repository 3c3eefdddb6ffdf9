/**
 * One transaction of the store: everything that main gathered, in an order that makes ids free before they
 * are taken again.
 *
 * Owns the statements of the hot path. A transaction that fails is rolled back whole, counters included; what
 * main sent is then as if it had never been sent, unless the disk itself failed (`IOERR`).
 */
import { Chores } from "./chores.ts";
import type { CommitCount } from "./commit-count.ts";
import type { Database, Value } from "./driver.ts";
import type { Journal } from "./journal.ts";
import type { LaneTable } from "./lane-table.ts";
import type { OpenStore } from "./open.ts";
import type { Answer, Done, Faults, Move, Read, Refused, Taken, Work } from "./protocol.ts";
import type { Reader } from "./read.ts";
import { AVAILABLE, INLINE_CHARACTERS, SCHEDULED } from "./schema.ts";
import { troubleOf } from "./trouble.ts";

/** Scheduled jobs that become available in one transaction. */
const PROMOTED_AT_ONCE = 500;

type Run = (...args: Value[]) => number;

export class Committer {
  readonly #db: Database;
  readonly #lanes: LaneTable;
  readonly #journal: Journal;
  readonly #count: CommitCount;
  readonly #reader: Reader;
  readonly #chores: Chores;
  readonly #faults: Faults | undefined;
  readonly #insert: Run;
  readonly #putBody: Run;
  readonly #delete: Run;
  readonly #deleteBodies: Run;
  readonly #deleteBody: Run;
  readonly #deleteRuns: Run;
  readonly #deleteRun: Run;
  readonly #schedule: Run;
  readonly #bury: Run;
  readonly #buryAsIs: Run;
  readonly #promote: Run;
  readonly #due: (...args: Value[]) => { rid: number; lane: number }[];
  readonly #next: () => { ord: number } | undefined;
  readonly #holderById: (...args: Value[]) => { id: string } | undefined;
  readonly #holderByKey: (...args: Value[]) => { id: string } | undefined;
  #nextDue: number | undefined;
  /** Commits that are still to fail on purpose; `undefined` before the first. */
  #failing: number | undefined;

  constructor({ db, lanes, journal, commits }: OpenStore, reader: Reader, faults: Faults | undefined) {
    this.#db = db;
    this.#lanes = lanes;
    this.#journal = journal;
    this.#count = commits;
    this.#reader = reader;
    this.#faults = faults;
    this.#chores = new Chores(db, lanes, journal);
    this.#insert = db.run("INSERT INTO jobs VALUES(?,?,?,?,?,?,?,0,?,NULL,?) ON CONFLICT DO NOTHING");
    this.#putBody = db.run("INSERT OR REPLACE INTO bodies VALUES(?,?)");
    this.#delete = db.run("DELETE FROM jobs WHERE rid IN (SELECT value FROM json_each(?))");
    this.#deleteBodies = db.run("DELETE FROM bodies WHERE rid IN (SELECT value FROM json_each(?))");
    this.#deleteBody = db.run("DELETE FROM bodies WHERE rid=?");
    this.#deleteRuns = db.run("DELETE FROM run WHERE rid IN (SELECT value FROM json_each(?))");
    this.#deleteRun = db.run("DELETE FROM run WHERE rid=?");
    // one crash may have been a neighbour's: an attempt that ended otherwise clears it
    this.#schedule = db.run(
      `UPDATE jobs SET state=1, ord=?, attempt=?, crashes=CASE WHEN crashes<2 THEN 0 ELSE crashes END, body=?
       WHERE rid=? AND state=0`,
    );
    this.#bury = db.run(
      "UPDATE jobs SET state=2, ord=?, attempt=?, qkey=NULL, reason=?, body=? WHERE rid=? AND state=0",
    );
    this.#buryAsIs = db.run("UPDATE jobs SET state=2, ord=?, qkey=NULL, reason=? WHERE rid=? AND state=0");
    this.#promote = db.run("UPDATE jobs SET state=0, ord=? WHERE rid=?");
    this.#due = db.all("SELECT rid, lane FROM jobs WHERE state=1 AND ord<=? ORDER BY ord, lane, rid LIMIT ?");
    this.#next = db.get<{ ord: number }>("SELECT ord FROM jobs WHERE state=1 ORDER BY ord LIMIT 1");
    this.#holderById = db.get<{ id: string }>("SELECT id FROM jobs WHERE id=? AND part=?");
    this.#holderByKey = db.get<{ id: string }>("SELECT id FROM jobs WHERE qkey=? AND part=?");
    this.#nextDue = this.#next()?.ord;
  }

  /** When a commit is due that nobody asks for. */
  get nextDue(): number | undefined {
    const { nextMove } = this.#journal;
    if (nextMove === undefined) return this.#nextDue;
    return Math.min(nextMove, this.#nextDue ?? nextMove);
  }

  /** @throws what SQLite says; everything is rolled back then. With `full` the inserts are left out. */
  commit(work: Work, full: number | undefined): Done {
    if (!this.#writes(work)) return this.#done(work, [], [], [], full);
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      this.#end(work);
      const refused = full === undefined ? this.#insertAll(work) : [];
      if (full !== undefined) this.#journal.rest(work.now);
      for (const move of work.moves) this.#move(move);
      const results = work.chores.map((chore) => this.#chores.carryOut(chore, work.now));
      this.#promoteDue(work.now);
      const takes = this.#takeAll(work);
      this.#moveFor(work);
      this.#journal.flush();
      this.#lanes.flush();
      this.#commit(work);
      return this.#done(work, refused, results, takes, full);
    } catch (error) {
      this.#rollback(work.now);
      throw error;
    }
  }

  #writes(work: Work): boolean {
    const { nextDue } = this;
    const due = nextDue !== undefined && nextDue <= work.now;
    const { ended, stopped, ids, plain, moves, chores, frontiers, takes, reads } = work;
    const lists = [ended, stopped, ids, plain, moves, chores, frontiers, takes];
    return due || lists.some((list) => list.length > 0) || (this.#journal.live > 0 && reads.some(needsIndex));
  }

  /** What the reads of this work are to find, and what has stayed in the journal for long. */
  #moveFor({ reads, now }: Work): void {
    for (const read of reads) {
      if (read.read === "find") this.#journal.moveAll();
      else if (read.read === "list") this.#journal.moveLane(read.lane, -1);
      else if (read.read === "rows") for (const rid of read.rids) this.#journal.moveOf(rid);
    }
    this.#journal.moveOld(now);
  }

  #commit({ ids, plain }: Work): void {
    const fault = this.#faults?.failCommit;
    const carries = (id: string) =>
      ids.includes(id) || plain.some(({ body }) => body.includes(`"id":"${id}"`));
    if (fault !== undefined && carries(fault.id)) this.#failing ??= fault.times ?? 1;
    const fails = this.#failing !== undefined && this.#failing > 0;
    if (fails) this.#failing = (this.#failing ?? 0) - 1;
    if (fails && fault?.kind === "EXIT") process.exit(7);
    const made = () => Object.assign(new Error("made on purpose"), { code: `SQLITE_${fault?.kind}` });
    if (fails && fault?.after !== true) throw made();
    this.#count.add();
    this.#db.exec("COMMIT");
    this.#count.committed(1);
    if (fails) throw made();
  }

  #rollback(now: number): void {
    try {
      this.#db.exec("ROLLBACK");
    } catch {
      // SQLite rolls back by itself on FULL and IOERR, and then says that no transaction is active
    }
    this.#lanes.rollback();
    this.#nextDue = undefined;
    try {
      this.#journal.load(now);
      this.#nextDue = this.#next()?.ord;
    } catch {
      // the store is about to be opened anew
    }
  }

  #done(work: Work, refused: Refused[], results: unknown[], takes: Taken[], full: number | undefined): Done {
    const answers = work.reads.map((read): Answer => {
      try {
        return { value: this.#reader.answer(read) };
      } catch (error) {
        return { failed: troubleOf(error) };
      }
    });
    const lanes = this.#lanes.settle();
    const { nextDue } = this;
    return {
      kind: "done",
      lanes,
      refused,
      full,
      results,
      takes,
      answers,
      nextDue,
      journal: this.#journal.live,
    };
  }

  #end({ ended, big, stopped }: Work): void {
    if (stopped.length > 0) this.#deleteRuns(JSON.stringify(stopped));
    if (big.length > 0) this.#deleteBodies(JSON.stringify(big));
    if (ended.length === 0) return;
    const rids: number[] = [];
    for (let i = 0; i < ended.length; i += 2) {
      const rid = ended[i] ?? 0;
      this.#lanes.touch(ended[i + 1] ?? 0).available -= 1;
      if (!this.#journal.end(rid)) rids.push(rid);
    }
    if (rids.length === 0) return;
    const gone = this.#delete(JSON.stringify(rids));
    if (gone !== rids.length) throw new Error(`${rids.length} jobs ended, ${gone} were there`);
  }

  #insertAll({ insert, ids, keys, bodies, plain, seeks, now }: Work): Refused[] {
    const refused: Refused[] = [];
    if (seeks) this.#journal.moveAll();
    for (const row of plain) this.#journal.add(row, now);
    for (let at = 0; at < ids.length; at++) {
      const rid = insert[at * 5] ?? 0;
      const number = insert[at * 5 + 1] ?? 0;
      const ord = insert[at * 5 + 2] ?? 0;
      const state = insert[at * 5 + 3] ?? 0;
      const id = ids[at] ?? "";
      const body = bodies[at] ?? "";
      const key = keys?.[at] ?? null;
      const big = body.length > INLINE_CHARACTERS;
      const lane = this.#lanes.touch(number);
      // a refused one leaves its place empty: main counts them the same way
      if (state !== SCHEDULED) lane.next = Math.max(lane.next, ord + 1);
      const attempt = insert[at * 5 + 4] ?? 0;
      if (this.#insert(rid, id, lane.part, state, number, ord, attempt, key, big ? null : body) === 0) {
        refused.push(this.#refusal(at, id, key, lane.part));
        continue;
      }
      if (big) this.#putBody(rid, body);
      if (state === SCHEDULED) {
        lane.scheduled += 1;
        this.#scheduled(ord);
      } else lane.available += 1;
    }
    return refused;
  }

  #refusal(at: number, id: string, key: string | null, part: number): Refused {
    const byId = this.#holderById(id, part);
    if (byId !== undefined) return { at, by: "id", holder: byId.id };
    const byKey = key === null ? undefined : this.#holderByKey(key, part);
    if (byKey !== undefined) return { at, by: "queueKey", holder: byKey.id };
    throw new Error(`job ${id} was refused, and nobody holds its id or key`);
  }

  #move(move: Move): void {
    const lane = this.#lanes.touch(move.lane);
    const big = move.body !== undefined && move.body.length > INLINE_CHARACTERS;
    const inline = big ? null : (move.body ?? null);
    this.#outOfJournal(move, lane.part);
    const changed =
      move.to === "scheduled"
        ? this.#schedule(move.due, move.attempt, inline, move.rid)
        : move.body === undefined
          ? this.#buryAsIs(lane.burials, move.reason, move.rid)
          : this.#bury(lane.burials, move.attempt, move.reason, inline, move.rid);
    if (changed === 0) return; // done before, by a commit whose outcome was unknown
    if (big) this.#putBody(move.rid, move.body ?? null);
    else if (move.body !== undefined) this.#deleteBody(move.rid);
    this.#deleteRun(move.rid);
    lane.available -= 1;
    if (move.to === "scheduled") {
      lane.scheduled += 1;
      this.#scheduled(move.due);
    } else {
      lane.buried += 1;
      lane.burials += 1;
    }
  }

  /** A plain job whose attempt ended otherwise is an indexed one from here on. */
  #outOfJournal({ rid, id, lane, attempt, body }: Move, part: number): void {
    if (body === undefined) this.#journal.moveOf(rid);
    else if (this.#journal.end(rid)) this.#insert(rid, id, part, AVAILABLE, lane, 0, attempt, null, null);
  }

  #scheduled(due: number): void {
    if (this.#nextDue === undefined || due < this.#nextDue) this.#nextDue = due;
  }

  #promoteDue(now: number): void {
    if (this.#nextDue === undefined) return;
    if (this.#nextDue <= now) {
      for (const { rid, lane: number } of this.#due(now, PROMOTED_AT_ONCE)) {
        const lane = this.#lanes.touch(number);
        this.#promote(lane.next, rid);
        lane.next += 1;
        lane.scheduled -= 1;
        lane.available += 1;
      }
      this.#nextDue = this.#next()?.ord;
    }
  }

  /** Reads for hand-out, and moves the frontiers past what may be handed out before the next commit. */
  #takeAll({ takes, frontiers }: Work): Taken[] {
    for (let i = 0; i < frontiers.length; i += 2) {
      const lane = this.#lanes.touch(frontiers[i] ?? 0);
      lane.frontier = Math.max(lane.frontier, frontiers[i + 1] ?? 0);
    }
    return takes.map((take) => {
      this.#journal.moveLane(take.lane, take.after);
      const taken = this.#reader.take(take);
      const rows = taken.ids.length;
      const last = taken.numbers[4 * (Math.min(rows, take.room) - 1) + 1];
      const lane = this.#lanes.touch(take.lane);
      if (last !== undefined) lane.frontier = Math.max(lane.frontier, last);
      return taken;
    });
  }
}

function needsIndex({ read }: Read): boolean {
  return read === "find" || read === "list" || read === "rows";
}
