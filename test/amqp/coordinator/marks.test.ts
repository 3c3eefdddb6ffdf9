/**
 * Marks of cancelled ids, pauses, and what a replica is made of.
 *
 * Everything is durable at once here; `coordinator.simulation.test.ts` loses what is not.
 */
import { beforeEach, expect, test } from "vitest";
import { a, b, Desk } from "./desk.ts";

const DAY_MS = 24 * 3_600_000;
const ok = { ok: true };
let desk: Desk;
const marks = (id: string) => desk.asks(a, { t: "mark", id });
const pauses = (paused: boolean) => desk.asks(a, { t: "pause", queue: "q", paused });
const replica = () => desk.asks(b, { t: "replica" });

beforeEach(() => {
  desk = new Desk(a, b);
});

test("a mark is written, answered and told to all", () => {
  expect(desk.changesOf(() => expect(marks("1")).toEqual(ok))).toEqual([
    { c: "mark", id: "1", at: desk.now },
  ]);
  expect(desk.notices()).toEqual([{ t: "marked", ids: ["1"] }]);
  expect(replica()).toMatchObject({ replica: { marks: ["1"], paused: [] } });
});

test("a mark that is there is not made again, and does not become younger", () => {
  marks("1");
  desk.passes(20 * DAY_MS);
  desk.notices();
  expect(desk.changesOf(() => expect(marks("1")).toEqual(ok))).toEqual([]);
  expect(desk.notices()).toEqual([]);
  desk.passes(11 * DAY_MS);
  expect(replica()).toMatchObject({ replica: { marks: [], paused: [] } });
});

test("marks are taken away, those that are there", () => {
  for (const id of ["1", "2", "3"]) marks(id);
  desk.notices();
  const taken = () => expect(desk.asks(b, { t: "unmark", ids: ["1", "3", "4"] })).toEqual(ok);
  expect(desk.changesOf(taken)).toEqual([{ c: "unmark", ids: ["1", "3"] }]);
  expect(desk.notices()).toEqual([{ t: "unmarked", ids: ["1", "3"] }]);
  expect(desk.changesOf(taken)).toEqual([]);
  expect(replica()).toMatchObject({ replica: { marks: ["2"], paused: [] } });
});

test("a mark ends after 30 days, and all are told", () => {
  marks("1");
  desk.passes(30 * DAY_MS - 60_000);
  expect(replica()).toMatchObject({ replica: { marks: ["1"], paused: [] } });
  desk.notices();
  desk.passes(120_000);
  expect(desk.notices()).toEqual([{ t: "unmarked", ids: ["1"] }]);
});

test("above 100,000 marks the next is refused and none is dropped; the old ones make room", () => {
  marks("old");
  desk.passes(DAY_MS);
  for (let n = 1; n < 100_000; n++) marks(`${n}`);
  expect(desk.changesOf(() => expect(marks("one more")).toEqual({ tooMany: 100_000 }))).toEqual([]);
  expect(marks("old")).toEqual(ok);
  desk.now += 29 * DAY_MS;
  expect(marks("one more")).toEqual(ok);
  expect(desk.state.marks.size).toBe(100_000);
});

test("a queue is paused and resumed once, and all are told", () => {
  expect(desk.changesOf(() => [pauses(true), pauses(true)])).toEqual([
    { c: "pause", queue: "q", paused: true },
  ]);
  expect(desk.notices()).toEqual([{ t: "paused", queue: "q", paused: true }]);
  expect(replica()).toMatchObject({ replica: { marks: [], paused: ["q"] } });
  expect(desk.changesOf(() => [pauses(false), pauses(false)])).toHaveLength(1);
  expect(desk.notices()).toEqual([{ t: "paused", queue: "q", paused: false }]);
  expect(replica()).toMatchObject({ replica: { marks: [], paused: [] } });
});

test("a purge is written with its time, told to all, and counts for what was put off before", () => {
  expect(desk.changesOf(() => desk.asks(a, { t: "purge", queue: "q" }))).toEqual([
    { c: "purged", queue: "q", at: desk.now },
  ]);
  expect(desk.notices()).toEqual([{ t: "purged", queue: "q", at: desk.now }]);
  expect(desk.changesOf(() => desk.asks(b, { t: "purge", queue: "q" }))).toEqual([]);
  desk.elect();
  expect(replica()).toMatchObject({ replica: { purged: [["q", desk.now]] } });
});

test("the next coordinator knows all of it", () => {
  marks("1");
  pauses(true);
  desk.elect();
  expect(replica()).toMatchObject({ replica: { marks: ["1"], paused: ["q"] } });
});
