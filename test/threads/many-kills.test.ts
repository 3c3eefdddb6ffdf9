/** `for (;;) {}` again and again: each is ended in time, slots come back, and nothing is left over. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { captureStack } from "../../src/threads/kill/capture.ts";
import { completed, failed, startPool, type TestPool } from "./support.ts";

const KILLS = process.env.SPILLWAY_LONG === "1" ? 1_000 : 100;
const BODIES = 2 * KILLS;
/** As much as is warm after it. */
const WARM_UP = 20;
const MEGABYTE = 1_048_576;

const threadsOfProcess = () => (process.platform === "linux" ? readdirSync("/proc/self/task").length : 0);

/** Handles by kind, and what listens to the process. */
function kept(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1;
  for (const name of process.eventNames()) counts[`on ${String(name)}`] = process.listenerCount(name);
  return counts;
}

async function settled(pool: TestPool, threads: number): Promise<void> {
  const noop = pool.type("noop");
  while (pool.pool.threads.filter(({ state }) => state === "idle" || state === "spare").length < threads)
    expect(await pool.run(noop)).toEqual(completed(undefined));
}

test(`${KILLS} endless bodies in a row are all ended in time, and nothing is left of them`, async () => {
  const pool = await startPool({ threads: 2, spares: 1 });
  const type = pool.type("hangs");
  const lateMs: number[] = [];
  const kill = async () => {
    const outcome = await pool.run(type, { way: "loop" }, { maxExecutionTimeMs: 20 });
    expect(outcome).toEqual(failed({ kind: "timeout" }));
    if (outcome.kind === "failed") lateMs.push(outcome.durationMs - 20);
  };
  for (let i = 0; i < WARM_UP; i++) await kill();
  await settled(pool, 3);
  const before = { kept: kept(), threads: threadsOfProcess(), rss: process.memoryUsage.rss() };
  for (let i = 0; i < KILLS; i++) await kill();
  await settled(pool, 3);
  expect(pool.pool.threads.map(({ state }) => state).sort()).toEqual(["idle", "idle", "spare"]);
  expect(threadsOfProcess()).toBe(before.threads);
  const { Timeout: _, ...after } = kept();
  const { Timeout: __, ...first } = before.kept;
  expect(after).toEqual(first);
  expect((process.memoryUsage.rss() - before.rss) / MEGABYTE).toBeLessThan(64);
  // generous: the machine is shared; the bench has the figures
  const late = lateMs.sort((a, b) => a - b)[Math.floor(lateMs.length / 2)];
  expect(late).toBeLessThan(1_000);
}, 900_000);

test("an answer that is there before its question has been sent off is heard: 300 stacks in a row", async () => {
  const pool = await startPool();
  const given = pool.give(pool.type("hangs"), { way: "atomics" });
  const threadId = await given.started;
  const outcomes = new Map<string, number>();
  for (let n = 0; n < 300; n++) {
    const { outcome, frames } = await captureStack(threadId, 0);
    const told = `${outcome}, in ${frames[0]?.function}`;
    outcomes.set(told, (outcomes.get(told) ?? 0) + 1);
  }
  expect(Object.fromEntries(outcomes)).toEqual({ "captured, in atomics": 300 });
  pool.pool.abort(given.task, "shutdown");
  expect(await given.outcome).toMatchObject({ kind: "aborted" });
});

test("bodies that end about when they are to be killed, while other threads come and go, each have one end", async () => {
  // in threads that are asked for their stack, looked after for their memory, and recycled
  const more = { captureStack: true, memoryLimitBytes: 64 * MEGABYTE, recycle: { jobs: 40 } };
  const pool = await startPool({ threads: 2, spares: 1, maxWedged: 4, ...more });
  const type = pool.type("edge");
  const ways = ["spins", "waits", "exits", "throws", "turns"];
  const kinds = new Set<string>();
  let given = 0;
  const line = async () => {
    while (given < BODIES) {
      const how = ways[given++ % ways.length];
      const outcome = await pool.run(type, { how, ms: 15 + (given % 13) }, { maxExecutionTimeMs: 20 });
      kinds.add(outcome.kind === "failed" ? outcome.failure.kind : outcome.kind);
    }
  };
  await Promise.all([line(), line(), line()]);
  expect([...kinds].filter((kind) => !["completed", "timeout", "exit", "crash"].includes(kind))).toEqual([]);
}, 300_000);
