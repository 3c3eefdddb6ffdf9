/**
 * The `lanes` rows, kept in the store thread and written with whatever changes them.
 *
 * Owns the counters, next places and frontiers of all lanes. What a transaction changed is undone by
 * `rollback`; the rows on disk and these are the same after every commit, so counts never have to be counted.
 */
import type { Database } from "./driver.ts";
import type { LaneRow } from "./protocol.ts";

export class Lane {
  available = 0;
  scheduled = 0;
  buried = 0;
  next = 0;
  frontier = -1;
  /** Number of the next burial; not stored, since the rows say it. */
  burials = 0;
  #saved: readonly [number, number, number, number, number] | undefined;
  constructor(
    readonly lane: number,
    readonly part: number,
    readonly partition: string,
    readonly queue: string,
  ) {}

  /** True at the first touch since the last commit. */
  save(): boolean {
    if (this.#saved !== undefined) return false;
    this.#saved = [this.available, this.scheduled, this.buried, this.next, this.frontier];
    return true;
  }

  settle(): void {
    this.#saved = undefined;
  }

  restore(): void {
    if (this.#saved === undefined) return;
    [this.available, this.scheduled, this.buried, this.next, this.frontier] = this.#saved;
    this.#saved = undefined;
  }
}

interface Row extends Omit<LaneRow, "partition" | "paused"> {
  readonly paused: number;
}

export class LaneTable {
  readonly #lanes = new Map<number, Lane>();
  readonly #parts = new Map<string, number>();
  readonly #write: (...args: number[]) => number;
  readonly #add: (...args: (number | string)[]) => number;
  readonly #name: (...args: (number | string)[]) => number;
  readonly #rows: () => Row[];
  #touched: Lane[] = [];
  #added: Lane[] = [];
  #named: string[] = [];

  constructor(db: Database) {
    this.#write = db.run(
      "UPDATE lanes SET available=?, scheduled=?, buried=?, next=?, frontier=? WHERE lane=?",
    );
    this.#add = db.run("INSERT INTO lanes VALUES(?,?,?,0,0,0,0,0,0,-1)");
    this.#name = db.run("INSERT INTO meta(key,value) VALUES(?,?)");
    this.#rows = db.all<Row>("SELECT * FROM lanes ORDER BY lane");
    const parts = db.all<{ key: string; value: number }>(
      "SELECT key, value FROM meta WHERE key LIKE 'part:%'",
    );
    for (const { key, value } of parts()) this.#parts.set(key.slice(5), Number(value));
    const lastBuried = db.get<{ ord: number }>(
      "SELECT ord FROM jobs WHERE state=2 AND lane=? ORDER BY ord DESC LIMIT 1",
    );
    const names = new Map([...this.#parts].map(([name, part]) => [part, name]));
    for (const row of this.#rows()) {
      const lane = new Lane(row.lane, row.part, names.get(row.part) ?? "", row.queue);
      Object.assign(lane, { available: row.available, scheduled: row.scheduled, buried: row.buried });
      // a place is never used twice, or a new job would look like one that had been handed out before a crash
      lane.next = Math.max(row.next, row.frontier + 1);
      lane.frontier = row.frontier;
      lane.burials = (lastBuried(row.lane)?.ord ?? -1) + 1;
      this.#lanes.set(row.lane, lane);
    }
  }

  /** To change it within the transaction. */
  touch(number: number): Lane {
    const lane = this.#lanes.get(number);
    if (lane === undefined) throw new Error(`no lane ${number}`);
    if (lane.save()) this.#touched.push(lane);
    return lane;
  }

  /** To look at it. */
  look(number: number): Lane {
    const lane = this.#lanes.get(number);
    if (lane === undefined) throw new Error(`no lane ${number}`);
    return lane;
  }

  part(partition: string): number | undefined {
    return this.#parts.get(partition);
  }

  /** Makes the partition's number and the lane, where they are not there. */
  declare(partition: string, queue: string): Lane {
    for (const lane of this.#lanes.values()) {
      if (lane.partition === partition && lane.queue === queue) return lane;
    }
    const part = this.partNumber(partition);
    const lane = new Lane(this.#lanes.size + 1, part, partition, queue);
    this.#add(lane.lane, part, queue);
    this.#lanes.set(lane.lane, lane);
    this.#added.push(lane);
    return lane;
  }

  partNumber(partition: string): number {
    const known = this.#parts.get(partition);
    if (known !== undefined) return known;
    const part = this.#parts.size + 1;
    this.#name(`part:${partition}`, part);
    this.#parts.set(partition, part);
    this.#named.push(partition);
    return part;
  }

  /** Writes what the transaction touched; before its COMMIT. */
  flush(): void {
    for (const { available, scheduled, buried, next, frontier, lane } of this.#touched) {
      this.#write(available, scheduled, buried, next, frontier, lane);
    }
  }

  /** After the COMMIT: the lanes that changed, six numbers each. */
  settle(): number[] {
    const numbers: number[] = [];
    for (const lane of this.#touched) {
      lane.settle();
      numbers.push(lane.lane, lane.available, lane.scheduled, lane.buried, lane.next, lane.frontier);
    }
    this.#forget();
    return numbers;
  }

  rollback(): void {
    for (const lane of this.#touched) lane.restore();
    for (const lane of this.#added) this.#lanes.delete(lane.lane);
    for (const name of this.#named) this.#parts.delete(name);
    this.#forget();
  }

  #forget(): void {
    this.#touched = [];
    this.#added = [];
    this.#named = [];
  }

  rows(): LaneRow[] {
    const paused = new Map(this.#rows().map((row) => [row.lane, row.paused !== 0]));
    return [...this.#lanes.values()].map(({ lane, part, partition, queue, ...counts }) => ({
      lane,
      part,
      partition,
      queue,
      available: counts.available,
      scheduled: counts.scheduled,
      buried: counts.buried,
      next: counts.next,
      frontier: counts.frontier,
      paused: paused.get(lane) ?? false,
    }));
  }
}
