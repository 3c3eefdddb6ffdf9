/**
 * Bodies that no thread lets go of, or survives: in a process each ends in time, alone.
 *
 * The kinds of hanging are those of `kill.test.ts`, which `in-processes.test.ts` runs for processes too, and the native
 * ones, which have no other end than SIGKILL.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { KillReport } from "../../src/jobs/failure.ts";
import type { Outcome } from "../../src/threads/types.ts";
import { isAlive } from "./alive.ts";
import { completed, defineFor, failed, startPool, TestPool } from "./support.ts";

beforeAll(() => defineFor("process"));
afterAll(() => defineFor("thread"));

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "spillway-processes-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function fifo(): string {
  const path = join(folder(), "fifo");
  execFileSync("mkfifo", [path]);
  return path;
}

function reportOf(outcome: Outcome): KillReport {
  if (outcome.kind === "aborted" && outcome.report !== undefined) return outcome.report;
  if (outcome.kind === "failed" && outcome.failure.report !== undefined) return outcome.failure.report;
  throw new Error(`no report: ${JSON.stringify(outcome)}`);
}

test.each(["pbkdf2", "scrypt", "parse", "fifo", "pool", "wait", "catches"])(
  "a body that cannot be interrupted (%s) is killed at its time limit, and the next one runs",
  async (way) => {
    const pool = await startPool({ captureStack: true, processes: { spares: 1 } });
    const type = pool.type("natives");
    const args = { way, path: way === "fifo" ? fifo() : "" };
    const given = pool.give(type, args, { maxExecutionTimeMs: 300 });
    const next = pool.give(type, { way: "pid" });
    const pid = await given.started;
    const outcome = await given.outcome;
    expect(outcome).toEqual(failed({ kind: "timeout", name: "Timeout", final: false }));
    const { steps, state } = reportOf(outcome);
    expect(steps.map(({ step }) => step)).toEqual([
      "signal",
      "grace",
      "inspect",
      "capture",
      "sigkill",
      "children",
      "exit",
    ]);
    expect(steps.at(-1)?.outcome).toBe("gone");
    if (process.platform === "linux") expect(state.doing).toEqual(expect.any(String));
    expect(isAlive(pid)).toBe(false);
    expect(await next.outcome).toEqual(completed(expect.any(Number)));
  },
);

test("a process that does not answer at all is killed without being asked", async () => {
  const pool = await startPool({ graceMs: { timeout: 0, cancel: 0, shutdown: 0 } });
  const given = pool.give(pool.type("natives"), { way: "stops" });
  await pool.event("process.started");
  await expect.poll(() => stateOf(pool.pool.threads[0]?.pid ?? 0), { timeout: 20_000 }).toBe("T");
  pool.pool.abort(given.task, "cancel");
  const outcome = await given.outcome;
  expect(outcome).toMatchObject({ kind: "aborted", reason: "cancel", report: { state: { state: "T" } } });
  expect(reportOf(outcome).steps[0]).toMatchObject({ step: "signal", outcome: "cancel; no answer" });
});

test.each([
  ["segfault", { kind: "crash", name: "ProcessCrash", code: "SIGSEGV" }],
  ["aborts", { kind: "crash", code: "SIGABRT" }],
  ["killed", { kind: "crash", code: "SIGKILL", message: expect.stringContaining("not by this runtime") }],
  // Node itself refuses it in a thread, and the body is in one there too.
  ["abort", { kind: "error", code: "ERR_WORKER_UNSUPPORTED_OPERATION" }],
  ["closes", { kind: "crash", code: "SIGKILL" }],
  ["garbage", { kind: "crash", message: expect.stringContaining("it said what cannot be read") }],
])(
  "a body that takes its process down (%s) is one failed job, and its neighbours go on",
  async (way, failure) => {
    const pool = await startPool({ threads: 2, processes: { spares: 1 } });
    const type = pool.type("natives");
    const path = join(folder(), "gate");
    const beside = pool.give(type, { way: "gate", path });
    await beside.started;
    expect(await pool.run(type, { way })).toMatchObject({
      kind: "failed",
      failure: { ...failure, final: false },
    });
    expect(await pool.run(type, { way: "pid" })).toEqual(completed(expect.any(Number)));
    expect(beside.ends).toBe(0);
    writeFileSync(path, "");
    expect(await beside.outcome).toEqual(completed(await beside.started));
  },
);

test("what a crashing process wrote last to its standard error is told with the crash", async () => {
  const pool = await startPool();
  const outcome = await pool.run(pool.type("natives"), { way: "printsAndCrashes" });
  expect(outcome).toEqual({
    ...failed({ kind: "crash", stack: expect.stringContaining("the addon's last words") }),
    processDied: true,
  });
});

test("one allocation far past V8's limit takes one process down, and is of kind memory", async () => {
  const pool = await startPool({ resourceLimits: { maxOldGenerationSizeMb: 64 } });
  const type = pool.type("natives");
  expect(await pool.run(type, { way: "allocates" })).toEqual({
    ...failed({ kind: "memory", stack: expect.stringContaining("JavaScript heap out of memory") }),
    processDied: true,
  });
  expect(await pool.run(type, { way: "pid" })).toEqual(completed(expect.any(Number)));
});

test("buffers that fill up the memory of a process end it at its limit, with the line that took them", async () => {
  const memoryLimitBytes = 256 * 1_048_576;
  const pool = await startPool({ captureStack: true, processes: { spares: 0, memoryLimitBytes } });
  const type = pool.type("natives");
  const outcome = await pool.run(type, { way: "leaks" });
  expect(outcome).toEqual(
    failed({ kind: "memory", message: expect.stringMatching(/\d+ MB in its process, the limit is 256 MB/) }),
  );
  const { stack, steps } = reportOf(outcome);
  expect(stack, JSON.stringify(steps)).toMatch(/natives\.mjs/);
  expect(await pool.run(type, { way: "pid" })).toEqual(completed(expect.any(Number)));
});

test("all that a killed body has started ends with it, also what left its group", async () => {
  const pool = await startPool();
  const path = join(folder(), "pids");
  const given = pool.give(pool.type("natives"), { way: "family", path });
  await given.started;
  await expect.poll(() => existsSync(path), { timeout: 20_000 }).toBe(true);
  pool.pool.abort(given.task, "shutdown");
  const outcome = await given.outcome;
  const [parent, ...children] = readFileSync(path, "utf8").trim().split("\n").map(Number);
  expect(reportOf(outcome).children).toEqual(expect.arrayContaining(children));
  for (const pid of [parent ?? 0, ...children]) expect(isAlive(pid)).toBe(false);
});

test("a killed body's child that takes its time to die is gone when the job is settled", async () => {
  const pool = await startPool({ graceMs: { timeout: 0, cancel: 0, shutdown: 0 } });
  const path = join(folder(), "pid");
  const given = pool.give(pool.type("owns"), { way: "heavy", path });
  await expect.poll(() => existsSync(path), { timeout: 20_000 }).toBe(true);
  pool.pool.abort(given.task, "cancel");
  const outcome = await given.outcome;
  const pid = Number(readFileSync(path, "utf8"));
  expect(isAlive(pid)).toBe(false);
  expect(reportOf(outcome).children).toEqual([pid]);
});

test("no process is there before the first body, then a hot one beside it, and no more bodies at once than threads", async () => {
  const pool = await startPool({ threads: 2, processes: { spares: 1 } });
  const type = pool.type("natives");
  expect(pool.pool.threads).toEqual([]);
  const path = join(folder(), "gate");
  const given = Array.from({ length: 5 }, () => pool.give(type, { way: "gate", path }));
  while (pool.pool.threads.length < 3 || pool.pool.threads.some((child) => child.state === "starting"))
    await pool.event("process.started");
  expect(pool.pool.threads.map((child) => child.state).toSorted()).toEqual(["busy", "busy", "idle"]);
  writeFileSync(path, "");
  for (const one of given) expect(await one.outcome).toEqual(completed(expect.any(Number)));
  expect(new Set(pool.events.map((event) => event.type))).toEqual(new Set(["process.started"]));
});

test("after a kill the hot process has the next body, and another one is started behind it", async () => {
  const pool = await startPool({ processes: { spares: 1 } });
  const type = pool.type("natives");
  await pool.run(type, { way: "pid" });
  while (pool.pool.threads.filter((child) => child.state === "idle").length < 2)
    await pool.event("process.started");
  const given = pool.give(type, { way: "pbkdf2" }, { maxExecutionTimeMs: 100 });
  const killed = await given.started;
  const hot = pool.pool.threads.find((child) => child.state === "idle")?.pid;
  const restarted = pool.event("process.started");
  await given.outcome;
  const path = join(folder(), "gate");
  const next = pool.give(type, { way: "gate", path });
  expect(await next.started).toBe(hot);
  expect((await restarted).pid).not.toBe(killed);
  writeFileSync(path, "");
  await next.outcome;
});

test("a process is recycled as a thread is, between two bodies", async () => {
  const pool = await startPool({ recycle: { jobs: 3 } });
  const type = pool.type("natives");
  const ended = pool.event("process.ended");
  const pids: unknown[] = [];
  while (new Set(pids).size < 2) {
    const outcome = await pool.run(type, { way: "pid" });
    pids.push(outcome.kind === "completed" ? outcome.value : outcome);
  }
  expect(pids.indexOf(pids.at(-1)), "bodies in the first").toBeGreaterThanOrEqual(3);
  expect(await ended).toMatchObject({
    pid: pids[0],
    reason: expect.stringMatching(/recycled: it has run \d+ jobs/),
  });
});

test("what is more than the spares is ended when it has nothing to do", async () => {
  const pool = await startPool({ threads: 2, processes: { spares: 1, idleMs: 100 } });
  const type = pool.type("natives");
  const ended = pool.event("process.ended");
  await Promise.all([1, 2].map(() => pool.run(type, { way: "pid" })));
  expect((await ended).reason).toBe("was ended: nothing to do");
  await expect
    .poll(() => pool.pool.threads.map((child) => child.state), { timeout: 20_000 })
    .toEqual(["idle"]);
});

test("a task that waits for a process is taken back or cancelled, and never runs", async () => {
  const pool = await startPool();
  const type = pool.type("natives");
  const path = join(folder(), "gate");
  const gate = pool.give(type, { way: "gate", path });
  const [revoked, cancelled] = [1, 2].map(() => pool.give(type, { way: "pid" }));
  await gate.started;
  expect(pool.pool.revoke(gate.task)).toBe(false);
  if (revoked === undefined || cancelled === undefined) throw new Error("two were given");
  expect(pool.pool.revoke(revoked.task)).toBe(true);
  pool.pool.abort(cancelled.task, "cancel");
  expect(await revoked.outcome).toEqual({ kind: "returned" });
  expect(await cancelled.outcome).toEqual({ kind: "aborted", reason: "cancel", report: undefined });
  writeFileSync(path, "");
  expect(await gate.outcome).toEqual(completed(expect.any(Number)));
});

test("stop ends native calls, names none as wedged, returns what waits, and leaves no process", async () => {
  const pool = new TestPool({ threads: 2, processes: { spares: 1 } });
  const type = pool.type("natives");
  const running = ["pbkdf2", "fifo"].map((way) => pool.give(type, { way, path: fifo() }));
  const pids = await Promise.all(running.map((one) => one.started));
  const waiting = Array.from({ length: 3 }, () => pool.give(type, { way: "pid" }));
  const stopped = pool.pool.stop();
  const late = pool.give(type, { way: "pid" });
  expect(await stopped).toEqual([]);
  expect(await pool.pool.stop()).toEqual([]);
  for (const one of running) expect(await one.outcome).toMatchObject({ kind: "aborted", reason: "shutdown" });
  for (const one of [...waiting, late]) expect(await one.outcome).toEqual({ kind: "returned" });
  expect(pool.pool.threads).toEqual([]);
  for (const pid of pids) expect(isAlive(pid)).toBe(false);
});

test("ten kills in a row leave no handle, and the stop behind them none at all", async () => {
  const before = handles();
  const pool = new TestPool({ processes: { spares: 1 } });
  const type = pool.type("natives");
  await pool.run(type, { way: "pid" });
  for (let i = 0; i < 10; i++) {
    const outcome = await pool.run(
      type,
      { way: i % 2 === 0 ? "pbkdf2" : "spins" },
      { maxExecutionTimeMs: 20 },
    );
    expect(outcome).toEqual(failed({ kind: "timeout" }));
    expect(pool.pool.threads.length).toBeLessThanOrEqual(2);
  }
  await pool.pool.stop();
  // At its begin the pipes of the test before may have been closing still.
  await expect.poll(() => handles().length, { timeout: 10_000 }).toBeLessThanOrEqual(before.length);
});

test("a stop while the first process starts leaves none", async () => {
  const pool = new TestPool();
  const given = pool.give(pool.type("natives"), { way: "pid" });
  await expect.poll(() => pool.pool.threads.length).toBe(1);
  const pid = pool.pool.threads[0]?.pid ?? 0;
  await pool.pool.stop();
  expect(await given.outcome).toEqual({ kind: "returned" });
  expect(isAlive(pid)).toBe(false);
});

test("processes that die before they are ready fail the bodies that wait, with the reason", async () => {
  const pool = await startPool({ resourceLimits: { maxOldGenerationSizeMb: 4 } });
  expect(await pool.run(pool.type("natives"), { way: "pid" })).toEqual(
    failed({ kind: "crash", name: "ProcessesUnavailable", message: expect.stringContaining("memory") }),
  );
  expect(pool.events).toContainEqual(expect.objectContaining({ type: "threads.failing", failures: 5 }));
});

/** Processes and pipes of ours. A closed one goes some turns after its close. */
function handles(): string[] {
  return process.getActiveResourcesInfo().filter((name) => name === "ProcessWrap" || name === "PipeWrap");
}

/** R, S, T …: of its main thread. */
function stateOf(pid: number): string | undefined {
  try {
    return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
  } catch {
    return undefined;
  }
}
