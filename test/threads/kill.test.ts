/**
 * Bodies that do not end: each is ended for them, with the line where it hung, and nothing else is harmed.
 *
 * The kinds of hanging are those of the kill ladder's own table. Timings are generous: the machine is shared.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { KillReport } from "../../src/jobs/failure.ts";
import type { Outcome } from "../../src/threads/types.ts";
import { completed, failed, fixture, nativeIterations, startPool } from "./support.ts";

function reportOf(outcome: Outcome): KillReport {
  const report = outcome.kind === "failed" ? outcome.failure.report : undefined;
  expect(report).toBeDefined();
  return report as KillReport;
}

test.each([
  ["loop", "hangsHere", 12],
  ["finally", undefined, undefined],
  ["generator", "stubborn", undefined],
  ["regexp", "regexp", undefined],
  ["atomics", "atomics", undefined],
  ["wasm", undefined, undefined],
  ["microtasks", undefined, undefined],
  ["immediates", undefined, undefined],
  ["never", undefined, undefined],
])("a body that hangs (%s) is killed at its time limit", async (way, name, line) => {
  const pool = await startPool({ captureStack: true });
  const given = pool.give(pool.type("hangs"), { way }, { maxExecutionTimeMs: 100 });
  const next = pool.give(pool.type("noop"));
  const outcome = await given.outcome;
  expect(outcome).toEqual(failed({ kind: "timeout", name: "Timeout", final: false }));
  const { frames, steps } = reportOf(outcome);
  expect(steps.at(-1)).toMatchObject({ step: "exit", outcome: "gone" });
  if (name !== undefined) {
    const frame = frames.find((one) => one.function === name);
    expect(frame?.file).toMatch(/fixtures\/jobs\/hangs\.mjs$/);
    if (line !== undefined) expect(frame?.line).toBe(line);
  }
  expect(await next.outcome).toEqual(completed(undefined));
});

test("the message and the stack of a timeout say where the body hung", async () => {
  const pool = await startPool({ captureStack: true });
  const outcome = await pool.run(pool.type("hangs"), { way: "loop" }, { maxExecutionTimeMs: 100 });
  expect(outcome).toEqual(
    failed({
      message: expect.stringMatching(/in hangsHere \(.*hangs\.mjs:12\) after its limit of 100 ms/),
      stack: expect.stringMatching(/at hangsHere \(.*hangs\.mjs:12:\d+\)\n {4}at loop/),
    }),
  );
});

test("the second and third kill find the right thread too", async () => {
  const pool = await startPool({ captureStack: true, threads: 2, spares: 1 });
  const type = pool.type("hangs");
  for (const _ of [1, 2, 3]) {
    const outcome = await pool.run(type, { way: "loop" }, { maxExecutionTimeMs: 100 });
    expect(reportOf(outcome).frames[0]).toMatchObject({ function: "hangsHere", line: 12 });
  }
});

test("a job written in TypeScript is shown by its own lines", async () => {
  const pool = await startPool({ captureStack: true });
  const type = pool.type("typed", fixture("typed.ts"));
  const outcome = await pool.run(type, { mode: "spin", numbers: [] }, { maxExecutionTimeMs: 100 });
  expect(reportOf(outcome).frames[0]).toMatchObject({
    function: "spinInTypescript",
    file: expect.stringMatching(/typed\.ts$/),
    line: 15,
  });
});

test("a child process that the body waits for is killed with it", async () => {
  const pool = await startPool({ captureStack: true });
  const outcome = await pool.run(pool.type("hangs"), { way: "child" }, { maxExecutionTimeMs: 300 });
  const { children } = reportOf(outcome);
  expect(children.length).toBeGreaterThanOrEqual(1);
  for (const pid of children) expect(isAlive(pid)).toBe(false);
});

test("a native call is wedged: the slot is replaced, the job is settled when the call returns", async () => {
  const pool = await startPool();
  const noop = pool.type("noop");
  // Long enough that the call has begun, also on a busy machine.
  const limit = { maxExecutionTimeMs: 300 };
  const given = pool.give(pool.type("hangs"), { way: "native", iterations: nativeIterations(4_000) }, limit);
  expect(await given.wedged).toMatchObject({ state: { doing: expect.any(String) } });
  expect(given.ends).toBe(0);
  expect(pool.pool.threads).toContainEqual(
    expect.objectContaining({ state: "wedged", running: given.task.id }),
  );
  expect(await pool.run(noop)).toEqual(completed(undefined));
  expect(given.ends).toBe(0);
  expect(await given.outcome).toEqual(failed({ kind: "timeout" }));
  expect(pool.events).toContainEqual(
    expect.objectContaining({ type: "thread.wedged", jobId: given.task.id }),
  );
});

test("stop names the job in a wedged thread and does not wait for it; more than maxWedged is an event", async () => {
  const pool = await startPool({ maxWedged: 0 });
  // Long enough that the call has begun, also on a busy machine.
  const limit = { maxExecutionTimeMs: 300 };
  const given = pool.give(pool.type("hangs"), { way: "native", iterations: nativeIterations(4_000) }, limit);
  const over = pool.event("threads.wedged-limit");
  expect(await given.wedged).toMatchObject({ state: {} });
  expect(await over).toEqual({ type: "threads.wedged-limit", wedged: 1 });
  expect(await pool.pool.stop()).toEqual([given.task.id]);
  expect(await given.outcome).toEqual(failed({ kind: "timeout" }));
});

test("jobs that waited behind a stuck one run elsewhere, unharmed and uncharged", async () => {
  const pool = await startPool();
  const stuck = pool.give(pool.type("hangs"), { way: "loop" }, { maxExecutionTimeMs: 30 });
  const behind = Array.from({ length: 40 }, (_, n) => pool.give(pool.type("echo"), n, { attempt: 3 }));
  expect(await stuck.outcome).toEqual(failed({ kind: "timeout" }));
  for (const [n, given] of behind.entries()) {
    expect(await given.outcome).toMatchObject({ kind: "completed", value: { args: n, attempt: 3 } });
    expect(given.ends).toBe(1);
  }
});

/** A zombie that its new parent has not reaped is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
