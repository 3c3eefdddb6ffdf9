/**
 * The rare changes of a transaction: each has an answer of its own, all are undone with it.
 *
 * Owns their statements. A chore finds its row by `rid` and state, so that one that comes too late changes
 * nothing and says so.
 */
import type { Database, Value } from "./driver.ts";
import type { Journal } from "./journal.ts";
import type { LaneTable } from "./lane-table.ts";
import type { Chore } from "./protocol.ts";
import { AVAILABLE, BURIED, INLINE_CHARACTERS, SCHEDULED } from "./schema.ts";

interface Place {
  readonly rid: number;
  readonly id: string;
  readonly state: number;
  readonly lane: number;
  readonly part: number;
}

type Run = (...args: Value[]) => number;

export class Chores {
  readonly #lanes: LaneTable;
  readonly #journal: Journal;
  readonly #byRid: (...args: Value[]) => Place | undefined;
  readonly #byKey: (...args: Value[]) => { id: string } | undefined;
  readonly #purgeable: (...args: Value[]) => Place[];
  readonly #delete: Run;
  readonly #deleteBody: Run;
  readonly #putBody: Run;
  readonly #requeue: Run;
  readonly #pause: Run;
  readonly #mark: Run;
  readonly #unmark: Run;
  readonly #start: Run;
  readonly #stop: Run;
  readonly #count: (...args: Value[]) => { crashes: number } | undefined;
  readonly #free: Run;
  readonly #epoch: Run;
  readonly #readEpoch: (...args: Value[]) => { value: number } | undefined;

  constructor(db: Database, lanes: LaneTable, journal: Journal) {
    this.#lanes = lanes;
    this.#journal = journal;
    this.#byRid = db.get<Place>("SELECT rid, id, state, lane, part FROM jobs WHERE rid=?");
    this.#byKey = db.get<{ id: string }>("SELECT id FROM jobs WHERE qkey=? AND part=?");
    this.#purgeable = db.all<Place>(
      `SELECT rid, id, state, lane, part FROM jobs WHERE state=0 AND lane=? AND rid<?
         AND rid NOT IN (SELECT value FROM json_each(?))
       UNION ALL SELECT rid, id, state, lane, part FROM jobs WHERE state=1 AND lane=? AND rid<? LIMIT ?`,
    );
    this.#delete = db.run("DELETE FROM jobs WHERE rid=?");
    this.#deleteBody = db.run("DELETE FROM bodies WHERE rid=?");
    this.#putBody = db.run("INSERT OR REPLACE INTO bodies VALUES(?,?)");
    this.#requeue = db.run(
      `UPDATE OR IGNORE jobs SET state=0, ord=?, qkey=?, attempt=0, crashes=0, reason=NULL, body=?
       WHERE rid=? AND state=2`,
    );
    this.#pause = db.run("UPDATE lanes SET paused=? WHERE lane=?");
    this.#mark = db.run("INSERT OR IGNORE INTO marks VALUES(?,?,?)");
    this.#unmark = db.run("DELETE FROM marks WHERE part=? AND id=?");
    this.#free = db.run("UPDATE jobs SET qkey=NULL WHERE qkey=? AND part=?");
    this.#start = db.run("INSERT OR REPLACE INTO run VALUES(?,?,?)");
    this.#stop = db.run("DELETE FROM run WHERE rid=?");
    this.#count = db.get<{ crashes: number }>(
      "UPDATE jobs SET crashes=crashes+1 WHERE rid=? RETURNING crashes",
    );
    this.#epoch = db.run("UPDATE meta SET value=value+1 WHERE key='epoch'");
    this.#readEpoch = db.get<{ value: number }>("SELECT value FROM meta WHERE key='epoch'");
  }

  carryOut(chore: Chore, now: number): unknown {
    switch (chore.do) {
      case "declare":
        return this.#declare(chore.queues);
      case "pause":
        return this.#pause(chore.paused ? 1 : 0, chore.lane);
      case "mark":
        return this.#mark(this.#lanes.partNumber(chore.partition), chore.id, chore.at);
      case "unmark":
        return this.#unmark(this.#lanes.part(chore.partition) ?? -1, chore.id);
      case "free":
        return this.#freeKey(chore.key, this.#lanes.part(chore.partition) ?? -1);
      case "started":
        this.#journal.moveOf(chore.rid);
        return this.#start(chore.rid, now, chore.alone ? 1 : 0);
      case "crashed":
        return this.#crash(chore.rid);
      case "cancel":
        return this.#remove(chore.rid, AVAILABLE, SCHEDULED);
      case "ended":
        return chore.rids.map((rid) => this.#remove(rid, AVAILABLE));
      case "drop":
        return chore.rids.map((rid) => this.#remove(rid, BURIED)?.id).filter((id) => id !== undefined);
      case "requeue":
        return this.#requeueOne(chore);
      case "purge":
        return this.#purge(chore);
      case "epoch":
        this.#epoch();
        return this.#readEpoch()?.value;
    }
  }

  /** By hand: its job goes on without it. */
  #freeKey(key: string, part: number): string | undefined {
    const holder = this.#byKey(key, part)?.id;
    if (holder !== undefined) this.#free(key, part);
    return holder;
  }

  #declare(queues: { partition: string; queue: string }[]): unknown {
    return queues.map(({ partition, queue }) => {
      const { lane, part } = this.#lanes.declare(partition, queue);
      return { lane, part, partition, queue };
    });
  }

  /** Its own process has died under it, which is known already: its start counts no more. */
  #crash(rid: number): number | undefined {
    this.#journal.moveOf(rid);
    this.#stop(rid);
    return this.#count(rid)?.crashes;
  }

  /** Deletes the row if it is in one of these states. */
  #remove(rid: number, ...states: number[]): Place | undefined {
    this.#journal.moveOf(rid);
    const place = this.#byRid(rid);
    if (place === undefined || !states.includes(place.state)) return undefined;
    this.#delete(rid);
    this.#deleteBody(rid);
    const lane = this.#lanes.touch(place.lane);
    if (place.state === AVAILABLE) lane.available -= 1;
    else if (place.state === SCHEDULED) lane.scheduled -= 1;
    else lane.buried -= 1;
    return place;
  }

  #requeueOne(chore: Extract<Chore, { do: "requeue" }>): unknown {
    const place = this.#byRid(chore.rid);
    if (place?.state !== BURIED) return { gone: true };
    const big = chore.body.length > INLINE_CHARACTERS;
    const lane = this.#lanes.touch(place.lane);
    if (this.#requeue(lane.next, chore.key, big ? null : chore.body, chore.rid) === 0) {
      return { holder: chore.key === null ? "" : (this.#byKey(chore.key, place.part)?.id ?? "") };
    }
    if (big) this.#putBody(chore.rid, chore.body);
    else this.#deleteBody(chore.rid);
    lane.next += 1;
    lane.buried -= 1;
    lane.available += 1;
    return {};
  }

  #purge({ lane, below, held, limit }: Extract<Chore, { do: "purge" }>): string[] {
    this.#journal.moveLane(lane, -1);
    const rows = this.#purgeable(lane, below, JSON.stringify(held), lane, below, limit);
    for (const { rid, state } of rows) this.#remove(rid, state);
    return rows.map(({ id }) => id);
  }
}
