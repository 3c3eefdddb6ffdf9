/**
 * Who takes over a journal has all of it, or waits: in whatever order it comes, and whatever of it is missing.
 *
 * SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judge } from "../../../src/amqp/coordinator/journal.ts";
import {
  changesBytes,
  markerBytes,
  NOTHING,
  readRecord,
  type StateRecord,
  sliceBytes,
} from "../../../src/amqp/coordinator/records.ts";
import { History, type Op, set, stateOf } from "./history.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 1_500 : 100_000;

const key = fc.constantFrom("a", "b", "c", "d", "e");
const slices = fc.integer({ min: 1, max: 4 });
const dies = fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 2 });
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ t: fc.constant("change" as const), key, id: fc.option(key, { nil: undefined }) }),
  },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("compact" as const), slices, dies, key }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("elect" as const), slices, dies }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("late" as const), key }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("rival" as const) }) },
);
const history = fc.array(op, { maxLength: 40 }).map((ops) => {
  const first: Op = { t: "elect", slices: 1, dies: undefined };
  return new History().run([first, ...ops]);
});

/** The last that anybody wrote who counts: what came before it may be missing, that is what has to show. */
const newestOf = ({ queue, late }: History) => queue.findLast((one) => !late.includes(one));

describe("a journal", () => {
  test(`is the same state in whatever order it comes, with what was acknowledged in vain (seed ${SEED})`, () => {
    fc.assert(
      fc.property(history, fc.nat(), fc.infiniteStream(fc.nat()), (made, back, order) => {
        const returned = made.acked.slice(made.acked.length - (back % (made.acked.length + 1)));
        const mixed = [...made.queue, ...returned]
          .map((record) => ({ record, at: order.next().value ?? 0 }))
          .sort((a, b) => a.at - b.at)
          .map(({ record }) => record);
        expect(stateOf(judge(mixed))).toEqual(made.state);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test(`that has lost its beginning, or any part before its end, is never another state (seed ${SEED})`, () => {
    let waited = 0;
    const holes = fc.oneof(
      fc.nat(60).map((count) => (at: number) => at < count),
      fc
        .array(fc.boolean(), { minLength: 1, maxLength: 60 })
        .map((lost) => (at: number) => lost[at % lost.length] === true),
    );
    fc.assert(
      fc.property(history, holes, fc.boolean(), (made, isLost, withAcked) => {
        const newest = newestOf(made);
        const all = withAcked ? [...made.acked, ...made.queue] : made.queue;
        const verdict = judge(all.filter((one, at) => one === newest || !isLost(at)));
        if (verdict.t === "partial") waited += 1;
        else expect(stateOf(verdict)).toEqual(made.state);
      }),
      { numRuns: RUNS, seed: SEED },
    );
    expect(waited).toBeGreaterThan(RUNS / 10);
  });

  test(`that has come from one of two holders alone is waited for (seed ${SEED})`, () => {
    const held = fc.record({
      first: fc.integer({ min: 1, max: 20 }),
      second: fc.integer({ min: 1, max: 20 }),
    });
    fc.assert(
      fc.property(held, ({ first, second }) => {
        const made = new History().run([
          { t: "elect", slices: 1, dies: undefined },
          ...Array.from({ length: first + second }, (_, n): Op => ({ t: "change", key: `k${n}`, id: "x" })),
        ]);
        const [one, other] = [made.queue.slice(0, first + 1), made.queue.slice(first + 1)];
        expect(judge(other).t).toBe("partial");
        expect(stateOf(judge([...other, ...one]))).toEqual(made.state);
      }),
      { numRuns: 200, seed: SEED },
    );
  });
});

const slice = (epoch: number, seq: number, more: Partial<StateRecord> = {}): StateRecord =>
  ({
    kind: "slice",
    epoch,
    seq,
    writer: "w",
    from: 1,
    last: true,
    base: NOTHING,
    changes: [],
    ...more,
  }) as StateRecord;
const change = (epoch: number, seq: number, writer = "w"): StateRecord => ({
  kind: "changes",
  epoch,
  seq,
  writer,
  changes: [set(`k${seq}`, writer)],
});

describe("a verdict", () => {
  test("nothing is a fresh journal, and so is a first snapshot that was cut short", () => {
    expect(judge([])).toEqual({ t: "fresh", base: NOTHING, highest: 0 });
    const cut = slice(1, 1, { last: false } as Partial<StateRecord>);
    expect(judge([cut])).toEqual({ t: "fresh", base: NOTHING, highest: 1 });
  });

  test("changes without a snapshot are never fresh", () => {
    expect(judge([change(1, 2)])).toMatchObject({ t: "partial" });
    expect(judge([change(1, 1)])).toMatchObject({ t: "partial" });
  });

  test("a later snapshot that was cut short is passed over, if what it was made from is all there", () => {
    const opening = (seq: number) =>
      slice(2, 1, { last: false, base: { epoch: 1, seq } } as Partial<StateRecord>);
    expect(judge([slice(1, 1), change(1, 2), opening(2)])).toMatchObject({ t: "complete", highest: 2 });
    expect(judge([slice(1, 1), change(1, 2), opening(3)])).toMatchObject({ t: "partial" });
    expect(judge([opening(2)])).toMatchObject({ t: "partial" });
  });

  test("records of a lower epoch behind a newer snapshot are left out", () => {
    const verdict = judge([slice(2, 1), change(2, 2), change(1, 7), slice(1, 1)]);
    expect(verdict).toMatchObject({ t: "complete", base: { epoch: 2, seq: 2 } });
    expect([...(stateOf(verdict) ?? [])]).toEqual([["k2", "w"]]);
  });

  test("of two writers of one epoch the one that has served counts", () => {
    const rival = slice(2, 1, { writer: "r" } as Partial<StateRecord>);
    const verdict = judge([rival, slice(2, 1), change(2, 2)]);
    expect([...(stateOf(verdict) ?? [])]).toEqual([["k2", "w"]]);
    expect(judge([rival, change(2, 2, "r"), slice(2, 1), change(2, 2)])).toMatchObject({ t: "partial" });
  });
});

describe("a record", () => {
  const head = { epoch: 3, writer: "w" };
  const changes = [set("k", 'with "quotes" and ü'), set("l", undefined)];
  const texts = changes.map((one) => JSON.stringify(one));

  test("is read as it was written", () => {
    expect(readRecord(markerBytes("n"))).toEqual({ kind: "marker", nonce: "n" });
    expect(readRecord(changesBytes(head, 7, texts))).toEqual({ kind: "changes", ...head, seq: 7, changes });
    const more = { from: 5, last: true, base: { epoch: 2, seq: 9 } };
    expect(readRecord(sliceBytes(head, 7, more, texts))).toEqual({
      kind: "slice",
      ...head,
      seq: 7,
      changes,
      ...more,
    });
    expect(readRecord(sliceBytes(head, 7, { ...more, last: false }, []))).toMatchObject({
      last: false,
      changes: [],
    });
  });

  test(`reads whatever bytes there are without a throw (seed ${SEED})`, () => {
    const bytes = fc.oneof(
      fc.uint8Array().map((array) => Buffer.from(array)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .tuple(fc.constantFrom("marker", "changes", "slice", "x"), fc.array(fc.jsonValue(), { maxLength: 9 }))
        .map(([kind, rest]) => Buffer.from(JSON.stringify([kind, ...rest]))),
    );
    fc.assert(
      fc.property(bytes, (some) => void readRecord(some)),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test.each([
    "{",
    "null",
    "[]",
    '["changes",0,1,"w",[]]',
    '["changes",1,1.5,"w",[]]',
    '["changes",1,1,"w",[1]]',
    '["changes",1,1,7,[]]',
    '["slice",1,1,"w",[],2,1,0,0]',
    '["slice",1,1,"w",[]]',
    '["more",1,1,"w",[]]',
  ])("that is none is nothing: %s", (text) => {
    expect(readRecord(Buffer.from(text))).toBeUndefined();
  });
});
