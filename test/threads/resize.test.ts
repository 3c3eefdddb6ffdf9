/** More and fewer threads while bodies run. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { completed, startPool, type TestPool } from "./support.ts";

function gatePath(): string {
  const path = mkdtempSync(join(tmpdir(), "spillway-resize-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return join(path, "gate");
}

const states = (pool: TestPool) => pool.pool.threads.map(({ state }) => state).sort();

test("more threads are in service when it resolves, and run bodies at once", async () => {
  const pool = await startPool();
  await pool.pool.resize(3);
  expect(states(pool)).toEqual(["idle", "idle", "idle"]);
  const path = gatePath();
  const gates = [1, 2, 3].map(() => pool.give(pool.type("gate"), { path }));
  expect(new Set(await Promise.all(gates.map(({ started }) => started))).size).toBe(3);
  writeFileSync(path, "");
  for (const { outcome } of gates) expect(await outcome).toEqual(completed(undefined));
});

test("of threads that are too many the idle ones go at once, and a body that runs ends in peace", async () => {
  const pool = await startPool({ threads: 3 });
  const path = gatePath();
  const gates = [1, 2].map(() => pool.give(pool.type("gate"), { path }));
  await Promise.all(gates.map(({ started }) => started));
  const ended = pool.event("thread.ended");
  await pool.pool.resize(1);
  expect((await ended).reason).toBe("there are fewer threads now");
  expect(states(pool)).toEqual(["busy", "busy"]);
  const second = pool.event("thread.ended");
  writeFileSync(path, "");
  for (const { outcome, ends } of gates) {
    expect(await outcome).toEqual(completed(undefined));
    expect(ends).toBeLessThanOrEqual(1);
  }
  await second;
  expect(await pool.run(pool.type("noop"))).toEqual(completed(undefined));
  expect(states(pool)).toEqual(["idle"]);
});

test("a thread that was to go stays when it is wanted again: none is built for it", async () => {
  const pool = await startPool({ threads: 2 });
  const path = gatePath();
  const gates = [1, 2].map(() => pool.give(pool.type("gate"), { path }));
  await Promise.all(gates.map(({ started }) => started));
  await pool.pool.resize(1);
  await pool.pool.resize(2);
  writeFileSync(path, "");
  for (const { outcome } of gates) await outcome;
  expect(states(pool)).toEqual(["idle", "idle"]);
  expect(pool.events.filter(({ type }) => type === "thread.started")).toHaveLength(2);
});

test("what stands behind a body in a thread that goes moves to another", async () => {
  const pool = await startPool({ threads: 2 });
  const path = gatePath();
  const gates = [1, 2].map(() => pool.give(pool.type("gate"), { path }));
  await Promise.all(gates.map(({ started }) => started));
  const behind = Array.from({ length: 8 }, (_, n) => pool.give(pool.type("echo"), n));
  await pool.pool.resize(1);
  writeFileSync(path, "");
  for (const { outcome } of behind) expect(await outcome).toMatchObject({ kind: "completed" });
});

test("whatever sizes follow each other under load, every task has one end, and the last size is what is left", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 8 }),
      async (sizes) => {
        const pool = await startPool({ threads: 2, spares: 1 });
        const types = [pool.type("noop"), pool.type("echo")];
        const given = sizes.flatMap((size, turn) => {
          const some = Array.from({ length: 60 }, (_, n) => pool.give(types[(n + turn) % 2] ?? 0, n));
          void pool.pool.resize(size);
          return some;
        });
        for (const { outcome } of given) expect(await outcome).toMatchObject({ kind: "completed" });
        expect(given.every(({ ends }) => ends === 1)).toBe(true);
        const last = sizes.at(-1) ?? 0;
        await pool.pool.resize(last);
        const serving = pool.pool.threads.filter(({ state }) => state === "idle" || state === "busy");
        expect(serving.length).toBeGreaterThanOrEqual(last);
        await pool.pool.stop();
      },
    ),
    { numRuns: 5 },
  );
}, 120_000);
