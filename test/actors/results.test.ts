import { expect, test } from "vitest";
import { type Ended, Results, type Told, Waiter } from "../../src/actors/results.ts";

class Listener extends Waiter {
  constructor(readonly tell: (told: Told) => void) {
    super();
  }
}

const done = (value: unknown): Ended => ({ kind: "completed", value });

test("an end is remembered for whoever comes later, by partition", () => {
  const results = new Results(() => 0);
  results.ended("p", "1", done("a"));
  expect(results.get("p", "1")).toEqual(done("a"));
  expect(results.get("other", "1")).toBeUndefined();
});

test("who waits is told once, all of them", () => {
  const results = new Results(() => 0);
  const told: unknown[] = [];
  results.wait("p", "1", new Listener((ended) => told.push(ended)));
  results.wait("p", "1", new Listener((ended) => told.push(ended)));
  const third = new Listener((ended) => told.push(ended));
  results.wait("p", "1", third);
  results.giveUp("p", "1", third);
  results.ended("p", "1", done(1));
  results.ended("p", "1", done(2));
  expect(told).toEqual([done(1), done(1)]);
});

test("ten thousand ends are remembered at most, the oldest go first", () => {
  const results = new Results(() => 0);
  for (let i = 0; i < 30_000; i++) results.ended("p", `${i}`, done(undefined));
  expect(results.get("p", "29999")).toBeDefined();
  expect(results.get("p", "25001")).toBeDefined();
  expect(results.get("p", "19999")).toBeUndefined();
});

test("large results are forgotten sooner: 16 MiB in all", () => {
  const results = new Results(() => 0);
  for (let i = 0; i < 64; i++) results.ended("p", `${i}`, done("x".repeat(512 * 1024)));
  expect(results.get("p", "63")).toBeDefined();
  expect(results.get("p", "40")).toBeUndefined();
});

test("an end is forgotten after a minute, while others go on ending", () => {
  let now = 0;
  const results = new Results(() => now);
  results.ended("p", "old", done(1));
  for (let minute = 1; minute <= 2; minute++) {
    now += 31_000;
    for (let i = 0; i < 64; i++) results.ended("p", `${minute}-${i}`, done(1));
  }
  expect(results.get("p", "old")).toBeUndefined();
});

test("who waits for a job that is nowhere at two sweeps is told so; one that is somewhere goes on waiting", async () => {
  const results = new Results(() => 0);
  const told: unknown[] = [];
  results.wait("p", "nowhere", new Listener((ended) => told.push(["nowhere", ended])));
  results.wait("p", "scheduled", new Listener((ended) => told.push(["scheduled", ended])));
  const find = async (_partition: string, id: string) => (id === "nowhere" ? "absent" : "scheduled");
  for (let i = 0; i < 2; i++) await results.sweep(find);
  expect(told).toEqual([]);
  for (let i = 0; i < 3; i++) await results.sweep(find);
  expect(told).toEqual([["nowhere", "unknown"]]);
});

test("who still waits when the runtime stops is told that nobody will know", () => {
  const results = new Results(() => 0);
  const told: unknown[] = [];
  results.wait("p", "1", new Listener((ended) => told.push(ended)));
  results.close();
  expect(told).toEqual([undefined]);
});

test("the hundred and first who waits is looked at too, however long the others before it wait", async () => {
  const results = new Results(() => 0);
  const told: string[] = [];
  for (let i = 0; i <= 100; i++)
    results.wait("p", `${i}`, new Listener((ended) => told.push(`${i}: ${String(ended)}`)));
  const find = (_partition: string, id: string) => Promise.resolve(id === "100" ? "absent" : "scheduled");
  for (let sweep = 0; sweep < 10; sweep++) await results.sweep(find);
  expect(told).toEqual(["100: unknown"]);
});

test("who was told while a sweep asked for others is not kept, and not told again", async () => {
  const results = new Results(() => 0);
  const told: unknown[] = [];
  for (const id of ["1", "2"]) results.wait("p", id, new Listener((ended) => told.push(ended)));
  const find = (_partition: string, id: string) => {
    if (id === "1") results.ended("p", "2", done(2));
    return Promise.resolve("scheduled");
  };
  for (let sweep = 0; sweep < 3; sweep++) await results.sweep(find);
  results.close();
  expect(told).toEqual([done(2), undefined]);
});

test("who asks after the close is told at once that nobody will know", () => {
  const results = new Results(() => 0);
  results.close();
  const told: unknown[] = [];
  results.wait("p", "1", new Listener((ended) => told.push(ended)));
  expect(told).toEqual([undefined]);
});
