/** What a body can say, and what it hears. */
import { expect, test } from "vitest";
import { completed, failed, place, startPool } from "./support.ts";

test("progress is coalesced: the first value, the last, and little between", async () => {
  const pool = await startPool();
  const given = pool.give(pool.type("talks"), { way: "progress" });
  expect(await given.outcome).toEqual(completed(undefined));
  expect(given.progress[0]).toBe(1);
  expect(given.progress.at(-1)).toBe(10_000);
  expect(given.progress.length).toBeLessThan(100);
});

test("a million progress reports cost main a few messages and no memory", async () => {
  const pool = await startPool();
  const before = process.memoryUsage().heapUsed;
  const given = pool.give(pool.type("talks"), { way: "million" });
  let turns = 0;
  let over = false;
  given.outcome.then(() => {
    over = true;
  });
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  expect(await given.outcome).toEqual(completed(undefined));
  expect(given.progress[0]).toEqual({ i: 1, text: "so far" });
  expect(given.progress.at(-1)).toEqual({ i: 1_000_000, text: "so far" });
  expect(given.progress.length).toBeLessThan(1_000);
  expect(turns).toBeGreaterThan(10);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1_048_576);
});

test.each(["timeout", "cancel", "shutdown"] as const)("the signal says why: %s", async (reason) => {
  const pool = await startPool({ graceMs: { timeout: 5_000, cancel: 5_000, shutdown: 5_000 } });
  const limit = reason === "timeout" ? { maxExecutionTimeMs: 50 } : {};
  const given = pool.give(pool.type("listens"), { way: "says" }, limit);
  await given.started;
  if (reason !== "timeout") pool.pool.abort(given.task, reason);
  await given.outcome;
  expect(given.logs).toEqual([{ level: "info", text: reason, data: undefined }]);
});

test("progress comes while a synchronous body runs, in order and at most every 50 ms", async () => {
  const pool = await startPool();
  const given = pool.give(pool.type("talks"), { way: "progressLoop" });
  await given.outcome;
  const numbers = given.progress.slice(0, -1) as number[];
  expect(given.progress.at(-1)).toBe("last");
  expect(numbers.length).toBeGreaterThanOrEqual(2);
  expect(numbers.length).toBeLessThanOrEqual(5);
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
});

test("log lines keep their level, order and data, and come before the outcome", async () => {
  const pool = await startPool();
  const given = pool.give(pool.type("talks"), { way: "logs" });
  expect(await given.outcome).toEqual(completed("said"));
  expect(given.logs).toEqual([
    { level: "info", text: "one", data: { n: 1 } },
    { level: "error", text: "two", data: undefined },
    { level: "debug", text: "three", data: expect.stringContaining("[Function: f]") },
  ]);
});

test("console lines of a body are its log, also the last words before it hangs", async () => {
  const pool = await startPool();
  const type = pool.type("talks");
  const speaks = pool.give(type, { way: "console" });
  const hangs = pool.give(type, { way: "consoleThenHang" }, { maxExecutionTimeMs: 30 });
  await speaks.outcome;
  expect(speaks.logs).toEqual([
    { level: "info", text: "a 1 { b: 2 }", data: undefined },
    { level: "warn", text: "careful", data: undefined },
  ]);
  expect(await hangs.outcome).toEqual(failed({ kind: "timeout" }));
  expect(hangs.logs).toEqual([{ level: "info", text: "last words", data: undefined }]);
});

test("a body that prints without end neither stops main nor outlives its limit; what is too much is dropped", async () => {
  const pool = await startPool();
  const texts = new Set<string>();
  let lines = 0;
  const log = (_: unknown, text: string) => {
    lines++;
    texts.add(text.replace(/^\d+/, "n"));
  };
  const given = pool.give(pool.type("talks"), { way: "floods" }, { maxExecutionTimeMs: 300, log });
  let turns = 0;
  let over = false;
  given.outcome.then(() => {
    over = true;
  });
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  expect(await given.outcome).toEqual(failed({ kind: "timeout" }));
  expect(turns).toBeGreaterThan(10);
  expect(lines).toBeGreaterThan(1_000);
  expect([...texts]).toContain("and again");
});

test("services of the options answer, fail, and are not found by inherited names", async () => {
  const services = {
    add: (a: unknown, b: unknown) => Number(a) + Number(b),
    fail: () => {
      throw new TypeError("not today");
    },
  };
  const pool = await startPool({ services });
  const type = pool.type("talks");
  expect(await pool.run(type, { way: "service" })).toEqual(completed(5));
  expect(await pool.run(type, { way: "noService" })).toEqual(
    failed({ message: expect.stringContaining('no service "toString"') }),
  );
  expect(await pool.run(type, { way: "failingService" })).toEqual(
    failed({ name: "TypeError", message: "not today" }),
  );
});

test.each(["polls", "waits", "throws"])("a body that heeds its cancel (%s) keeps its thread", async (way) => {
  const pool = await startPool();
  const given = pool.give(pool.type("listens"), { way });
  const threadId = await given.started;
  pool.pool.abort(given.task, "cancel");
  expect(await given.outcome).toEqual({ kind: "aborted", reason: "cancel", report: undefined });
  expect(pool.pool.threads).toMatchObject([{ threadId, state: "idle" }]);
});

test("a body that heeds its time limit within the grace has failed by timeout, and keeps its thread", async () => {
  const pool = await startPool({ graceMs: { timeout: 2_000, cancel: 0, shutdown: 0 } });
  const given = pool.give(pool.type("listens"), { way: "polls" }, { maxExecutionTimeMs: 20 });
  const threadId = await given.started;
  const outcome = await given.outcome;
  expect(outcome).toEqual(failed({ kind: "timeout", name: "Timeout" }));
  expect(outcome).not.toHaveProperty("failure.report");
  expect(pool.pool.threads).toMatchObject([{ threadId, state: "idle" }]);
});

test("a body that ignores its cancel is killed after the grace", async () => {
  const pool = await startPool({ graceMs: { timeout: 0, cancel: 150, shutdown: 0 } });
  const given = pool.give(pool.type("listens"), { way: "ignores" });
  await given.started;
  pool.pool.abort(given.task, "cancel");
  const outcome = await given.outcome;
  expect(outcome).toMatchObject({ kind: "aborted", reason: "cancel" });
  const steps = (outcome as unknown as { report: { steps: { step: string; ms: number }[] } }).report.steps;
  expect(steps.map(({ step }) => step)).toEqual([
    "signal",
    "grace",
    "inspect",
    "capture",
    place() === "process" ? "sigkill" : "terminate",
    "children",
    "exit",
  ]);
  expect(steps[1]?.ms).toBeGreaterThan(140);
});

test("a body whose thread does not answer gets no grace", async () => {
  const pool = await startPool({ graceMs: { timeout: 0, cancel: 60_000, shutdown: 0 } });
  const given = pool.give(pool.type("hangs"), { way: "loop" });
  await given.started;
  pool.pool.abort(given.task, "cancel");
  expect(await given.outcome).toMatchObject({ kind: "aborted", reason: "cancel", report: {} });
});
