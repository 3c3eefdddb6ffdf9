/** Where tasks go: batches, taking back, moving, spares, kills in a row, starting and stopping. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Pool } from "../../src/threads/pool.ts";
import { broken, completed, failed, startPool, TestPool } from "./support.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "spillway-threads-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test("jobs of one thread run in the order they were given, across batches and full rings", async () => {
  const pool = await startPool();
  const echo = pool.type("echo");
  const ends: number[] = [];
  const given = Array.from({ length: 3_000 }, (_, n) => {
    const one = pool.give(echo, n);
    one.outcome.then(() => ends.push(n));
    return one.outcome;
  });
  const outcomes = await Promise.all(given);
  expect(
    outcomes.map((one) => (one.kind === "completed" ? (one.value as { args: number }).args : -1)),
  ).toEqual(Array.from({ length: 3_000 }, (_, n) => n));
  expect(ends).toEqual(ends.toSorted((a, b) => a - b));
});

test("no outcome comes from within give, revoke or abort", async () => {
  const pool = await startPool();
  const noop = pool.type("noop");
  let inside = true;
  const ends: boolean[] = [];
  const note = { ended: () => ends.push(inside) };
  const first = pool.task(noop, null, note);
  const second = pool.task(noop, null, note);
  const third = pool.task(noop, null, note);
  for (const { task } of [first, second, third]) pool.pool.give(task);
  pool.pool.revoke(second.task);
  pool.pool.abort(third.task, "cancel");
  inside = false;
  await pool.run(noop);
  expect(ends).toEqual([false, false, false]);
});

test("a task can be taken back until it starts, and then never runs", async () => {
  const pool = await startPool();
  const path = join(folder(), "gate");
  const lines = join(folder(), "lines");
  const gate = pool.give(pool.type("gate"), { path });
  const counts = pool.type("counts");
  const kept = pool.give(counts, { path: lines, mark: "kept" });
  const revoked = pool.give(counts, { path: lines, mark: "revoked" });
  const cancelled = pool.give(counts, { path: lines, mark: "cancelled" });
  await gate.started;
  expect(pool.pool.revoke(gate.task)).toBe(false);
  expect(pool.pool.revoke(revoked.task)).toBe(true);
  expect(pool.pool.revoke(revoked.task)).toBe(false);
  pool.pool.abort(cancelled.task, "cancel");
  expect(await revoked.outcome).toEqual({ kind: "returned" });
  expect(await cancelled.outcome).toEqual({ kind: "aborted", reason: "cancel", report: undefined });
  writeFileSync(path, "");
  expect(await kept.outcome).toEqual(completed(undefined));
  expect(readFileSync(lines, "utf8")).toBe("kept\n");
});

test("a cancelled body whose end lies unread on the port is aborted, also when the next one is cancelled then", async () => {
  const pool = await startPool({ graceMs: { timeout: 0, cancel: 60_000, shutdown: 0 } });
  const listens = pool.type("listens");
  const first = pool.give(listens, { way: "throws" });
  const second = pool.give(listens, { way: "polls" });
  await first.started;
  pool.pool.abort(first.task, "cancel");
  // without a turn of the event loop, so that nothing is read from the port meanwhile
  const deadline = Date.now() + 10_000;
  while (pool.pool.threads[0]?.running !== second.task.id && Date.now() < deadline);
  pool.pool.abort(second.task, "cancel");
  expect(first.ends, "no outcome comes from within abort").toBe(0);
  expect(await first.outcome).toEqual({ kind: "aborted", reason: "cancel", report: undefined });
  expect(await second.outcome).toEqual({ kind: "aborted", reason: "cancel", report: undefined });
});

test("jobs behind a long body move to a thread that has nothing to do", async () => {
  const pool = await startPool({ threads: 2 });
  const path = join(folder(), "gate");
  const gate = pool.type("gate");
  const echo = pool.type("echo");
  // Both threads blocked; then one gate opens, and all that waited behind the other runs there.
  const other = join(folder(), "other");
  const long = pool.give(gate, { path });
  const short = pool.give(gate, { path: other });
  await Promise.all([long.started, short.started]);
  const behind = Array.from({ length: 40 }, (_, n) => pool.give(echo, n));
  expect(pool.pool.threads.map((thread) => thread.queued)).toEqual([20, 20]);
  writeFileSync(other, "");
  const outcomes = await Promise.all(behind.map((one) => one.outcome));
  expect(outcomes.every((one) => one.kind === "completed")).toBe(true);
  expect(behind.every((one) => one.ends === 1)).toBe(true);
  expect(long.ends).toBe(0);
  writeFileSync(path, "");
  expect(await long.outcome).toEqual(completed(undefined));
});

test("jobs behind a long body move even if no thread is ever without a job", async () => {
  const pool = await startPool({ threads: 2 });
  const noop = pool.type("noop");
  const path = join(folder(), "gate");
  let busy = true;
  const keepBusy = () => {
    if (busy) pool.give(noop).outcome.then(keepBusy);
  };
  const gate = pool.give(pool.type("gate"), { path });
  const behind = Array.from({ length: 20 }, () => pool.give(noop));
  for (let i = 0; i < 8; i++) keepBusy();
  await Promise.all(behind.map((one) => one.outcome));
  expect(gate.ends).toBe(0);
  busy = false;
  writeFileSync(path, "");
  await gate.outcome;
});

test("a new job is not put behind a long body when another thread is free of one", async () => {
  const pool = await startPool({ threads: 2 });
  const path = join(folder(), "gate");
  const gate = pool.give(pool.type("gate"), { path });
  const blocked = await gate.started;
  const noop = pool.type("noop");
  // Those of them that lie behind the gate end only once it is known to be a long one.
  await Promise.all(Array.from({ length: 10 }, () => pool.run(noop)));
  const given = Array.from({ length: 10 }, () => pool.give(noop));
  const queued = pool.pool.threads.find((thread) => thread.threadId === blocked)?.queued;
  expect(queued).toBe(0);
  await Promise.all(given.map((one) => one.outcome));
  writeFileSync(path, "");
  await gate.outcome;
});

test("a job is not put behind one that is not known to be short", async () => {
  const pool = await startPool({ threads: 2 });
  const path = join(folder(), "gate");
  const noop = pool.type("noop");
  const gate = pool.give(pool.type("gate"), { path }, { short: false });
  const given = Array.from({ length: 10 }, () => pool.give(noop, null, { short: true }));
  expect(pool.pool.threads.map((thread) => thread.queued).toSorted()).toEqual([1, 10]);
  await Promise.all(given.map((one) => one.outcome));
  writeFileSync(path, "");
  await gate.outcome;
});

test("completions without a value are told while a later body blocks the thread", async () => {
  const pool = await startPool();
  const path = join(folder(), "gate");
  const before = Array.from({ length: 5 }, () => pool.give(pool.type("noop")));
  const gate = pool.give(pool.type("gate"), { path });
  await Promise.all(before.map((one) => one.outcome));
  expect(gate.ends).toBe(0);
  writeFileSync(path, "");
  expect(await gate.outcome).toEqual(completed(undefined));
});

test("after a kill the spare takes the slot, and another spare is built", async () => {
  const pool = await startPool({ spares: 1 });
  if (!pool.pool.threads.some((thread) => thread.state === "spare")) await pool.event("thread.started");
  const spare = pool.pool.threads.find((thread) => thread.state === "spare")?.threadId;
  const rebuilt = pool.event("thread.started");
  await pool.run(pool.type("hangs"), { way: "loop" }, { maxExecutionTimeMs: 20 });
  expect(pool.pool.threads).toMatchObject([{ threadId: spare, state: "idle" }]);
  const { threadId } = await rebuilt;
  // it is a spare once it has loaded what the other threads have
  while (pool.pool.threads.at(-1)?.state !== "spare") await new Promise(setImmediate);
  expect(pool.pool.threads).toMatchObject([{ threadId: spare }, { threadId }]);
});

// A hundred threads are built for it: on a machine with other work that takes its time.
test("100 kills in batches: the culprit is named each time, nothing is lost or run twice", async () => {
  const pool = await startPool({ threads: 2, spares: 2 });
  const counts = pool.type("counts");
  const path = join(folder(), "lines");
  const culprits = join(folder(), "culprits");
  writeFileSync(culprits, "");
  const expected: string[] = [];
  for (let round = 0; round < 100; round++) {
    const size = 2 + ((round * 7) % 40);
    const culprit = (round * 13) % size;
    const batch = Array.from({ length: size }, (_, n) => {
      const mark = `${round}/${n}`;
      const spin = n === culprit;
      // A culprit may be killed before its first line.
      if (!spin) expected.push(mark);
      return pool.give(
        counts,
        { path: spin ? culprits : path, mark, spin },
        { maxExecutionTimeMs: spin ? 1 : 0 },
      );
    });
    const outcomes = await Promise.all(batch.map((one) => one.outcome));
    for (const [n, outcome] of outcomes.entries()) {
      if (n === culprit) expect(outcome).toEqual(failed({ kind: "timeout" }));
      else expect(outcome).toEqual(completed(undefined));
    }
    expect(batch.every((one) => one.ends === 1)).toBe(true);
  }
  expect(readFileSync(path, "utf8").trim().split("\n").sort()).toEqual(expected.sort());
  const spun = readFileSync(culprits, "utf8").trim().split("\n");
  expect(new Set(spun).size).toBe(spun.length);
  while (pool.pool.threads.length < 4) await pool.event("thread.started");
  expect(pool.events.filter((event) => event.type === "thread.ended").length).toBe(100);
}, 180_000);

test("a job that waited long for its first thread has its time limit kept", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const pool = new TestPool();
  const given = pool.give(pool.type("hangs"), { way: "loop" }, { maxExecutionTimeMs: 50 });
  vi.advanceTimersByTime(60_000);
  vi.useRealTimers();
  await pool.pool.start();
  expect(await given.outcome).toEqual(failed({ kind: "timeout" }));
  await pool.pool.stop();
});

test("jobs given before the start, and more than all threads can hold, run", async () => {
  const pool = new TestPool({ threads: 2 });
  const noop = pool.type("noop");
  const given = Array.from({ length: 2_500 }, () => pool.give(noop));
  await pool.pool.start();
  const outcomes = await Promise.all(given.map((one) => one.outcome));
  expect(outcomes.every((one) => one.kind === "completed")).toBe(true);
  await pool.pool.stop();
});

test("threads that die before they are ready reject the start with the reason", async () => {
  const pool = new TestPool({ resourceLimits: { maxOldGenerationSizeMb: 4 } });
  await expect(pool.pool.start()).rejects.toMatchObject({
    code: "ThreadsUnavailable",
    reason: expect.stringContaining("memory"),
  });
  expect(pool.events).toContainEqual(expect.objectContaining({ type: "threads.failing", failures: 5 }));
  await pool.pool.stop();
});

test("a module that takes its thread down when it is loaded ahead does not stop the pool", async () => {
  const pool = await startPool({ spares: 1 });
  const type = pool.type("exits", broken("exits.mjs"));
  expect(await pool.run(type)).toEqual(failed({ kind: "exit", message: "called process.exit(3)" }));
  // Each new spare loads the module that was used, and dies of it; with backoff, not in a loop.
  expect(await pool.run(pool.type("noop"))).toEqual(completed(undefined));
  await pool.event("thread.ended");
  await pool.event("thread.ended");
  expect(await pool.run(pool.type("noop"))).toEqual(completed(undefined));
  expect(pool.events.length).toBeLessThan(20);
});

test("a task of a type that was never registered is refused at once", async () => {
  const pool = await startPool();
  expect(() => pool.give(99)).toThrow("never registered");
});

test("heaps tells what each thread uses", async () => {
  const pool = await startPool({ threads: 2 });
  const heaps = await (pool.pool as Pool).heaps();
  expect(heaps.length).toBe(2);
  for (const { heapBytes } of heaps) expect(heapBytes).toBeGreaterThan(1_000_000);
});

test("stop aborts what runs, returns what has not started, and leaves nothing behind", async () => {
  const pool = new TestPool({ threads: 2, spares: 1 });
  await pool.pool.start();
  const running = [1, 2].map(() => pool.give(pool.type("hangs"), { way: "never" }));
  await Promise.all(running.map((one) => one.started));
  const waiting = Array.from({ length: 10 }, () => pool.give(pool.type("noop")));
  const stopped = pool.pool.stop();
  const late = pool.give(pool.type("noop"));
  expect(await stopped).toEqual([]);
  expect(await pool.pool.stop()).toEqual([]);
  for (const one of running) {
    expect(await one.outcome).toMatchObject({ kind: "aborted", reason: "shutdown", report: {} });
  }
  for (const one of [...waiting, late]) expect(await one.outcome).toEqual({ kind: "returned" });
  expect(pool.pool.threads).toEqual([]);
  await expect.poll(resources, { timeout: 20_000 }).toEqual([]);
});

test("a pool that is stopped while it starts leaves nothing behind", async () => {
  const pool = new TestPool({ threads: 2 });
  const started = pool.pool.start();
  await pool.pool.stop();
  await expect(started).rejects.toMatchObject({ code: "ThreadsUnavailable" });
  await expect.poll(resources, { timeout: 20_000 }).toEqual([]);
});

test("a pool that was never started stops", async () => {
  const pool = new TestPool();
  const given = pool.give(pool.type("noop"));
  expect(await pool.pool.stop()).toEqual([]);
  expect(await given.outcome).toEqual({ kind: "returned" });
});

/** Threads and ports of this process. A closed port goes some turns after its close; nothing tells when. */
function resources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => name === "MessagePort" || name === "Worker");
}

test("a SharedArrayBuffer in a result is the same memory on both sides", async () => {
  const pool = await startPool();
  const type = pool.type("shares");
  const outcome = await pool.run(type, { way: "shared" });
  const value = outcome.kind === "completed" ? outcome.value : undefined;
  expect(value).toBeInstanceOf(SharedArrayBuffer);
  new Int32Array(value as SharedArrayBuffer)[0] = 42;
  expect(await pool.run(type, { way: "reads" })).toEqual(completed(42));
});
