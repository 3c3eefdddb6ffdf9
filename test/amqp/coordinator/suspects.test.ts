/**
 * What is counted against a job that may have taken a process down, on a coordinator that may be elected anew at any time.
 */
import { beforeEach, expect, test } from "vitest";
import type { NodeId, Request } from "../../../src/amqp/coordinator/requests.ts";
import { a, b, Desk } from "./desk.ts";

const DAY_MS = 24 * 3_600_000;

let desk: Desk;
beforeEach(() => {
  desk = new Desk(a, b);
});

const countOf = (id: string) => desk.asks(a, { t: "suspect", id });
const starts = (id: string, alone = false, on: NodeId = a) => desk.asks(on, { t: "started", id, alone });
const clears = (id: string, kept: boolean) => desk.asks(a, { t: "cleared", id, kept });
const crashes = (id: string): Request => ({ t: "crashed", id });

test("nothing is counted against a job that ends", () => {
  starts("1");
  clears("1", false);
  expect(countOf("1")).toEqual({ crashes: 0 });
  desk.goes(a);
  expect(countOf("1")).toEqual({ crashes: 0 });
});

test("its own process that dies is counted each time, and a new election forgets none", () => {
  expect(desk.asks(a, crashes("1"))).toEqual({ crashes: 1 });
  starts("1", true);
  desk.elect();
  expect(desk.asks(a, crashes("1"))).toEqual({ crashes: 2 });
  expect(countOf("1")).toEqual({ crashes: 2 });
});

test("a node that dies counts one for each suspect that ran there, once, since it may have been a neighbour's", () => {
  for (let n = 0; n < 3; n++) {
    starts("1");
    starts("2");
    desk.goes(a);
    desk.comes(a);
  }
  expect([countOf("1"), countOf("2")]).toEqual([{ crashes: 1 }, { crashes: 1 }]);
});

test("a node that dies counts each time for one that ran alone there", () => {
  for (let n = 0; n < 3; n++) {
    starts("1", true);
    desk.goes(a);
    desk.comes(a);
  }
  expect(countOf("1")).toEqual({ crashes: 3 });
});

test("one that lets others in runs alone no more", () => {
  desk.asks(a, crashes("1"));
  starts("1", true);
  starts("1", false);
  desk.goes(a);
  expect(countOf("1")).toEqual({ crashes: 1 });
});

test("a node that says farewell counts nothing", () => {
  starts("1", true);
  desk.leaves(a);
  expect(countOf("1")).toEqual({ crashes: 0 });
  expect(desk.state.crashedAt).toBe(0);
});

test("what ran on another node is left alone", () => {
  starts("1", true, b);
  desk.goes(a);
  expect(countOf("1")).toEqual({ crashes: 0 });
});

test("one that is handed back keeps what is counted against it", () => {
  desk.asks(a, crashes("1"));
  starts("1", true);
  clears("1", true);
  desk.goes(a);
  expect(countOf("1")).toEqual({ crashes: 1 });
});

test("a process that comes back under its name is the end of the one before, which has said no farewell", () => {
  starts("1", true);
  desk.comes({ node: "a", boot: "a2" });
  expect(countOf("1")).toEqual({ crashes: 1 });
  expect(desk.state.crashedAt).toBe(desk.now);
});

test("all nodes are told who is on the list, and when somebody was last gone without a word", () => {
  desk.notices();
  desk.goes(a);
  const told = desk.notices().filter(({ t }) => t === "roll");
  expect(told).toEqual([{ t: "roll", roll: { nodes: [["b", "b1"]], crashedAt: desk.now } }]);
  desk.elect();
  expect(desk.asks(b, { t: "replica" })).toMatchObject({ replica: { roll: { crashedAt: desk.now } } });
});

test("what nobody has heard of for a day is forgotten", () => {
  desk.asks(a, crashes("1"));
  desk.passes(DAY_MS + 120_000);
  expect(desk.state.suspects.size).toBe(0);
});
