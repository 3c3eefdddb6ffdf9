/** What no thread survives being told: a native call. Its slot is replaced, its job is nobody's before it returns. */
import { expect, test } from "vitest";
import { completed, failed, nativeIterations, startPool } from "./support.ts";

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
