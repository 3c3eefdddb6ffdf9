/**
 * What is read from the store: jobs to hand out, lists, buried pages, one job by id.
 *
 * Owns the statements, all of them index searches. Reads only; a page that turns out to be damaged fails its
 * own answer and nothing else.
 */
import type { Database, Value } from "./driver.ts";
import type { LaneTable } from "./lane-table.ts";
import type { FoundRow, Read, Take, Taken, Tuning } from "./protocol.ts";

interface Row extends Omit<FoundRow, "body" | "big"> {
  readonly body: string | Uint8Array | null;
}

/** rid, id, ord, crashes, body: what hand-out needs, read for each job of a backlog. */
type Next = readonly [number, string, number, number, string | Uint8Array | null];

const COLUMNS = "rid, id, state, lane, ord, crashes, reason, body";

export class Reader {
  readonly #tuning: Tuning;
  readonly #lanes: LaneTable;
  readonly #next: (...args: Value[]) => Next[];
  readonly #available: (...args: Value[]) => Row[];
  readonly #body: (...args: Value[]) => { body: string | Uint8Array } | undefined;
  readonly #byId: (...args: Value[]) => Row | undefined;
  readonly #byRid: (...args: Value[]) => Row | undefined;
  readonly #byKey: (...args: Value[]) => { id: string } | undefined;
  readonly #scheduled: (...args: Value[]) => Row[];
  readonly #buried: (...args: Value[]) => Row[];
  readonly #check: () => { quick_check: string }[];

  constructor(db: Database, lanes: LaneTable, tuning: Tuning) {
    this.#tuning = tuning;
    this.#lanes = lanes;
    const available = "FROM jobs WHERE state=0 AND lane=? AND ord>? ORDER BY ord LIMIT ?";
    this.#next = db.rows<Next>(`SELECT rid, id, ord, crashes, body ${available}`);
    this.#available = db.all<Row>(`SELECT ${COLUMNS} ${available}`);
    this.#body = db.get<{ body: string | Uint8Array }>("SELECT body FROM bodies WHERE rid=?");
    this.#byId = db.get<Row>(`SELECT ${COLUMNS} FROM jobs WHERE id=? AND part=?`);
    this.#byRid = db.get<Row>(`SELECT ${COLUMNS} FROM jobs WHERE rid=?`);
    this.#byKey = db.get<{ id: string }>("SELECT id FROM jobs WHERE qkey=? AND part=?");
    this.#scheduled = db.all<Row>(
      `SELECT ${COLUMNS} FROM jobs WHERE state=1 AND lane=? ORDER BY ord, lane, rid LIMIT ?`,
    );
    this.#buried = db.all<Row>(
      `SELECT ${COLUMNS} FROM jobs WHERE state=2 AND lane=? AND ord>? ORDER BY ord LIMIT ?`,
    );
    this.#check = db.all<{ quick_check: string }>("PRAGMA quick_check");
  }

  /** The next rows of a lane, bounded in number and in text. */
  take({ lane, after }: Take): Taken {
    const { takeJobs, takeCharacters } = this.#tuning;
    const rows = this.#next(lane, after, takeJobs);
    const taken: Taken = { lane, numbers: [], ids: [], bodies: [], end: rows.length < takeJobs };
    let characters = 0;
    for (const [rid, id, ord, crashes, inline] of rows) {
      if (characters >= takeCharacters) return { ...taken, end: false };
      const body = inline ?? this.#bodyOf(rid);
      characters += body.length;
      taken.numbers.push(rid, ord, crashes, inline === null ? 1 : 0);
      taken.ids.push(id);
      taken.bodies.push(body);
    }
    return taken;
  }

  answer(read: Read): unknown {
    switch (read.read) {
      case "find":
        return this.#one(this.#byId(read.id, this.#lanes.part(read.partition) ?? -1));
      case "holder":
        return this.#byKey(read.key, this.#lanes.part(read.partition) ?? -1)?.id;
      case "rows":
        return read.rids.flatMap((rid) => this.#one(this.#byRid(rid)) ?? []);
      case "list":
        return this.#list(read.lane, read.limit);
      case "buried":
        return read.ids === undefined ? this.#page(read) : this.#named(read.lane, read.ids);
      case "check":
        return this.#check().map((row) => row.quick_check);
    }
  }

  #list(lane: number, limit: number): FoundRow[] {
    const available = this.#available(lane, -1, limit);
    const rest = limit - available.length;
    const rows = rest > 0 ? [...available, ...this.#scheduled(lane, rest)] : available;
    return rows.map((row) => this.#whole(row));
  }

  #page({ lane, limit, after }: Extract<Read, { read: "buried" }>): FoundRow[] {
    const from = typeof after === "string" ? this.#inLane(lane, after)?.ord : after;
    return this.#buried(lane, from ?? -1, limit).map((row) => this.#whole(row));
  }

  #named(lane: number, ids: string[]): FoundRow[] {
    return ids.flatMap((id) => {
      const row = this.#inLane(lane, id);
      return row === undefined ? [] : [this.#whole(row)];
    });
  }

  /** The buried job of this id, if it lies in this lane. */
  #inLane(lane: number, id: string): Row | undefined {
    const row = this.#byId(id, this.#lanes.look(lane).part);
    return row?.state === 2 && row.lane === lane ? row : undefined;
  }

  #one(row: Row | undefined): FoundRow | undefined {
    return row === undefined ? undefined : this.#whole(row);
  }

  #whole(row: Row): FoundRow {
    return { ...row, body: row.body ?? this.#bodyOf(row.rid), big: row.body === null };
  }

  #bodyOf(rid: number): string | Uint8Array {
    return this.#body(rid)?.body ?? "";
  }
}
