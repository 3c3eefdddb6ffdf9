/**
 * Bodies that do not end: each is ended for them, with the line where it hung, and nothing else is harmed.
 *
 * The kinds of hanging are those of the kill ladder's own table. Timings are generous: the machine is shared.
 */
import { expect, test } from "vitest";
import type { KillReport } from "../../src/jobs/failure.ts";
import type { Outcome } from "../../src/threads/types.ts";
import { isAlive } from "./alive.ts";
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
  ["ticks", undefined, undefined],
  ["never", undefined, undefined],
  ["catches", undefined, undefined],
  ["shrugs", undefined, undefined],
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
    expect(frame?.file, JSON.stringify(steps)).toMatch(/fixtures\/jobs\/hangs\.mjs$/);
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

test.each(["spoilsError", "spoilsGlobals"])(
  "a body that has spoiled what its thread tells its stack by (%s) is shown all the same",
  async (way) => {
    const pool = await startPool({ captureStack: true });
    const outcome = await pool.run(pool.type("hangs"), { way }, { maxExecutionTimeMs: 100 });
    expect(reportOf(outcome).frames[0]).toMatchObject({ function: "hangsHere", line: 12 });
  },
);

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

test("a capture that gets no stack in its time does not keep the thread from ending", async () => {
  const pool = await startPool({ captureStack: true });
  const limit = { maxExecutionTimeMs: 300 };
  const given = pool.give(pool.type("hangs"), { way: "native", iterations: nativeIterations(2_500) }, limit);
  const outcome = await given.outcome;
  expect(outcome).toEqual(failed({ kind: "timeout" }));
  const { steps, frames } = reportOf(outcome);
  expect(frames).toEqual([]);
  expect(steps.find(({ step }) => step === "capture")?.outcome).toMatch(
    /^no JavaScript ran to be paused within/,
  );
  expect(steps.at(-1)).toMatchObject({ step: "exit", outcome: "gone" });
  expect(await pool.run(pool.type("noop"))).toEqual(completed(undefined));
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
