/**
 * The journal's writer: what it groups, when it says "stored", and that whatever it leaves behind is the state again.
 *
 * SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { judge } from "../../../src/amqp/coordinator/journal.ts";
import { NOTHING, readRecord, type StateRecord } from "../../../src/amqp/coordinator/records.ts";
import type { Change } from "../../../src/amqp/coordinator/requests.ts";
import { Tape } from "../../../src/amqp/coordinator/tape.ts";
import { JOURNAL_LIMITS, type JournalLimits, Writer } from "../../../src/amqp/coordinator/writer.ts";
import { VirtualClock } from "../../../src/testing/index.ts";
import { apply, set, stateOf } from "./history.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 1_000 : 50_000;

/** A queue that confirms and delivers when it is told to. */
class Desk {
  readonly clock = new VirtualClock();
  readonly state = new Map<string, string>();
  readonly failures: string[] = [];
  /** In the queue, by delivery tag once they were delivered. */
  records: StateRecord[] = [];
  isBlocked = false;
  readonly tape: Tape;
  readonly writer: Writer;
  readonly #confirms: (() => void)[] = [];
  readonly #undelivered: StateRecord[] = [];
  readonly #byTag = new Map<number, StateRecord>();
  #tag = 0;

  constructor(limits: Partial<JournalLimits> = {}) {
    const failed = (error: Error) => {
      this.failures.push(error.message);
      this.writer.end(error);
    };
    this.tape = new Tape({
      clock: this.clock,
      isBlocked: () => this.isBlocked,
      failed,
      publish: (bytes, _seq, confirmed) => this.#published(bytes, confirmed),
    });
    this.writer = new Writer({
      tape: this.tape,
      clock: this.clock,
      head: { epoch: 1, writer: "w" },
      limits: { ...JOURNAL_LIMITS, ...limits },
      snapshot: () => this.snapshot(),
      letGo: (tags) => this.#acknowledged(tags),
      failed,
    });
  }

  *snapshot(): Generator<readonly Change[]> {
    for (const [key, id] of this.state) yield [set(key, id)];
  }

  #published(bytes: Buffer, confirmed: () => void): void {
    const record = readRecord(bytes);
    if (record === undefined || record.kind === "marker") throw new Error("no record");
    this.records.push(record);
    this.#undelivered.push(record);
    this.#confirms.push(confirmed);
  }

  #acknowledged(tags: readonly number[]): void {
    const gone = new Set(tags.map((tag) => this.#byTag.get(tag)));
    this.records = this.records.filter((one) => !gone.has(one));
  }

  confirm(count = this.#confirms.length): void {
    for (const confirmed of this.#confirms.splice(0, count)) confirmed();
  }

  deliver(count = this.#undelivered.length): void {
    for (const record of this.#undelivered.splice(0, count)) {
      this.#byTag.set(++this.#tag, record);
      if (!this.tape.came(record.seq, this.#tag)) this.failures.push("out of order");
    }
  }

  /** The last of what was neither confirmed nor delivered: it never got to the broker. */
  lose(count: number): void {
    const most = Math.min(count, this.#confirms.length, this.#undelivered.length);
    this.records.splice(this.records.length - most, most);
  }

  /** Until nothing is on the way. */
  async settle(): Promise<void> {
    do {
      this.confirm();
      this.deliver();
      await this.clock.settle();
    } while (this.#confirms.length > 0);
  }

  put(key: string, id?: string): Promise<void> {
    const change = set(key, id);
    apply(this.state, change);
    const stored = this.writer.append([change]);
    stored.catch(() => {});
    return stored;
  }

  async open(): Promise<this> {
    const opened = this.writer.open(NOTHING);
    await this.settle();
    await opened;
    return this;
  }

  get changes(): number[] {
    return this.records.filter(({ kind }) => kind === "changes").map(({ changes }) => changes.length);
  }
}

let desk: Desk;
beforeEach(async () => {
  desk = await new Desk().open();
});

describe("changes", () => {
  test("go out at once, and what comes meanwhile goes together", async () => {
    const all = ["a", "b", "c", "d"].map((key) => desk.put(key, "x"));
    expect(desk.changes).toEqual([1]);
    await desk.settle();
    await Promise.all(all);
    expect(desk.changes).toEqual([1, 3]);
  });

  test("are stored when their record is confirmed and has come back, and not before", async () => {
    let stored = 0;
    const count = () => {
      stored += 1;
    };
    const first = desk.put("a", "x").then(count);
    desk.confirm();
    await desk.clock.settle();
    expect(stored).toBe(0);
    desk.deliver();
    await first;
    const second = desk.put("b", "x").then(count);
    desk.deliver();
    await desk.clock.settle();
    expect(stored).toBe(1);
    desk.confirm();
    await second;
  });

  test("of one append are never parted, and a record is no longer than its limit", async () => {
    const small = await new Desk({ recordBytes: 200 }).open();
    const many = Array.from({ length: 20 }, (_, n) => set(`key-${n}`, "x"));
    void small.writer.append(many).catch(() => {});
    void small.writer.append(many);
    for (const change of many) void small.writer.append([change]);
    await small.settle();
    const [first, second, ...rest] = small.changes;
    expect([first, second]).toEqual([20, 20]);
    expect(rest.length).toBeGreaterThan(3);
    expect(rest.reduce((sum, n) => sum + n, 0)).toBe(20);
  });

  test("that are none are stored", async () => {
    await desk.writer.append([]);
  });

  test("reject when the term ends, those that wait for their record too", async () => {
    const all = [desk.put("a", "x"), desk.put("b", "x")];
    desk.writer.end(new Error("over"));
    for (const one of [...all, desk.put("c", "x")]) await expect(one).rejects.toThrow("over");
    expect(desk.clock.pending).toBe(0);
  });

  test("that nobody stores within 30 s end the term; an alarm's time does not count", async () => {
    const stored = desk.put("a", "x");
    desk.isBlocked = true;
    await desk.clock.advance(100_000);
    desk.isBlocked = false;
    expect(desk.failures).toEqual([]);
    await desk.clock.advance(60_000);
    expect(desk.failures).toEqual(["the journal took no record for 30 s"]);
    await expect(stored).rejects.toThrow("no record");
  });
});

describe("a record that comes back", () => {
  test("a second time, or before another, is refused", async () => {
    void desk.put("a", "x");
    expect(desk.tape.came(1, 99)).toBe(false);
    expect(desk.tape.came(3, 99)).toBe(false);
    expect(desk.tape.came(2, 99)).toBe(true);
  });
});

describe("a compaction", () => {
  test("is due by number, once the changes are larger than the snapshot", async () => {
    const due = await new Desk({ compactAt: 5, compactAtLatest: 50 }).open();
    const put = async (key: string) => {
      void due.put(key, "x");
      await due.settle();
    };
    for (let n = 0; n < 5; n++) await put("a");
    expect(due.tape.size).toBeLessThan(3);
    for (let n = 0; n < 5; n++) await put(`long-${"x".repeat(100)}-${n}`);
    expect(due.tape.size).toBeLessThan(3);
    for (let n = 0; n < 6; n++) await put("a");
    expect(due.tape.size).toBeGreaterThanOrEqual(6); // they are less than what a snapshot would be
    for (let n = 0; n < 60; n++) await put("a");
    expect(due.tape.size).toBeLessThan(50);
    expect(stateOf(judge(due.records))).toEqual(due.state);
  });

  test("holds up changes at the bound, and lets them go on", async () => {
    const full = await new Desk({ compactAt: 1e9, compactAtLatest: 8, most: 8 }).open();
    const stored: Promise<void>[] = [];
    for (let n = 0; n < 60; n++) {
      stored.push(full.put(`k${n % 5}`, `${n}`));
      full.confirm();
      full.deliver();
      await Promise.resolve();
      expect(full.tape.size).toBeLessThanOrEqual(8 + 3);
    }
    await full.settle();
    await Promise.all(stored);
    expect(stateOf(judge(full.records))).toEqual(full.state);
  });

  test("comes every ten minutes, since the broker takes back what is held for long", async () => {
    void desk.put("a", "x");
    await desk.settle();
    const [before] = desk.records;
    await desk.clock.advance(599_000);
    expect(desk.records).toContain(before);
    await desk.clock.advance(1_000);
    await desk.settle();
    expect(desk.records).not.toContain(before);
    expect(desk.records).toHaveLength(1);
    expect(stateOf(judge(desk.records))).toEqual(desk.state);
  });

  test("leaves the event loop to others after 5 ms, and takes what they change", async () => {
    let now = 0;
    for (let n = 0; n < 100; n++) desk.state.set(`k${n}`, "x");
    const { clock } = desk;
    clock.now = () => now;
    let turns = 0;
    const turn = clock.turn.bind(clock);
    clock.turn = (callback) => {
      turns += 1;
      turn(callback);
    };
    desk.snapshot = function* () {
      for (const [key, id] of this.state) {
        now += 1;
        yield [set(key, id)];
      }
    };
    const done = desk.writer.compact();
    for (let n = 0; n < 3; n++) {
      void desk.put(`k${n}`);
      void desk.put(`new-${n}`, "y");
      await Promise.resolve();
    }
    await desk.settle();
    await done;
    expect(turns).toBeGreaterThan(10);
    expect(stateOf(judge(desk.records))).toEqual(desk.state);
  });

  test("whose owner throws ends the term", async () => {
    desk.snapshot = () => {
      throw new Error("a mistake");
    };
    await desk.writer.compact();
    expect(desk.failures).toEqual(["a mistake"]);
  });
});

type Step =
  | { readonly t: "put"; readonly key: string; readonly id: string | undefined }
  | { readonly t: "compact" }
  | { readonly t: "turn" }
  | { readonly t: "hear"; readonly what: "confirm" | "deliver"; readonly count: number };

const count = fc.integer({ min: 1, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      t: fc.constant("put" as const),
      key: fc.constantFrom("a", "b", "c", "d", "e", "f"),
      id: fc.option(fc.constantFrom("1", "2", "3"), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ t: "compact" as const }) },
  { weight: 10, arbitrary: fc.constant({ t: "turn" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      t: fc.constant("hear" as const),
      what: fc.constantFrom("confirm" as const, "deliver" as const),
      count,
    }),
  },
);

/** The state after each of the changes, and how many of them are stored. */
class Witness {
  readonly states: ReadonlyMap<string, string>[] = [new Map()];
  stored = 0;

  put(desk_: Desk, key: string, id: string | undefined): void {
    const at = this.states.length;
    desk_.put(key, id).then(
      () => {
        this.stored = Math.max(this.stored, at);
      },
      () => {},
    );
    this.states.push(new Map(desk_.state));
  }
}

test(`whoever dies at any moment leaves a state with all that was stored, and nothing out of order (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 100 }), fc.nat(4), async (steps, lost) => {
      const one = await new Desk({ recordBytes: 60, turnMs: 0, compactAt: 6, most: 30 }).open();
      const witness = new Witness();
      for (const now of steps) {
        if (now.t === "put") witness.put(one, now.key, now.id);
        else if (now.t === "compact") void one.writer.compact();
        else if (now.t === "hear") one[now.what](now.count);
        else await new Promise((resolve) => setImmediate(resolve));
      }
      await new Promise((resolve) => setImmediate(resolve));
      one.lose(lost);
      const left = stateOf(judge(one.records));
      const text = (state: ReadonlyMap<string, string> | undefined) =>
        JSON.stringify(state === undefined ? undefined : [...state].sort());
      const possible = witness.states.slice(witness.stored).map(text);
      expect(possible).toContain(text(left));
      expect(one.failures).toEqual([]);
      one.writer.end(new Error("over"));
    }),
    { numRuns: RUNS, seed: SEED },
  );
});
