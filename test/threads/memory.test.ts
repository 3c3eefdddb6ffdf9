/** The soft memory limit, and threads that are replaced before they grow old. */
import { expect, test } from "vitest";
import type { Outcome } from "../../src/threads/types.ts";
import { completed, failed, startPool, type TestPool } from "./support.ts";

const MEGABYTE = 1_048_576;
const memoryLimitBytes = 96 * MEGABYTE;

function reportOf(outcome: Outcome) {
  const report = outcome.kind === "failed" ? outcome.failure.report : undefined;
  expect(report).toBeDefined();
  return report;
}

/** Jobs one after another: memory and age are looked at while bodies run. */
async function runUntil(pool: TestPool, over: Promise<unknown>): Promise<void> {
  const noop = pool.type("noop");
  let ran = 0;
  let isOver = false;
  over.then(() => {
    isOver = true;
  });
  for (; !isOver && ran < 1_000_000; ran++) expect(await pool.run(noop)).toEqual(completed(undefined));
}

test.each(["heap", "buffers"])(
  "a body that spins with too much of %s is killed for it, and says where",
  async (way) => {
    const pool = await startPool({ memoryLimitBytes, captureStack: true });
    const outcome = await pool.run(pool.type("grows"), { way, megabytes: 160 });
    expect(outcome).toEqual(
      failed({
        kind: "memory",
        name: "MemoryLimit",
        final: false,
        message: expect.stringMatching(/limit is 96 MB/),
      }),
    );
    const report = reportOf(outcome);
    expect(report?.frames.map((frame) => frame.function)).toContainEqual(
      expect.stringMatching(/spinsWith|Of$/),
    );
    expect(report?.state).toMatchObject({ heapBytes: expect.any(Number), externalBytes: expect.any(Number) });
    expect(report?.steps.map(({ step }) => step)).toContain("terminate");
    expect(await pool.run(pool.type("noop"))).toEqual(completed(undefined));
  },
);

test("a body that only waits with too much memory is killed for it too", async () => {
  const pool = await startPool({ memoryLimitBytes });
  expect(await pool.run(pool.type("grows"), { way: "waits", megabytes: 160 })).toEqual(
    failed({ kind: "memory" }),
  );
});

test("garbage is not held against a body: only what it keeps counts", async () => {
  const pool = await startPool({ memoryLimitBytes });
  const outcome = await pool.run(pool.type("grows"), { way: "garbage", megabytes: 60, ms: 3_500 });
  expect(outcome).toEqual(completed("done"));
});

test("another thread's memory is not held against a body", async () => {
  const pool = await startPool({ threads: 2, memoryLimitBytes });
  const type = pool.type("grows");
  const small = pool.give(type, { way: "garbage", megabytes: 1, ms: 3_000 });
  const large = pool.give(type, { way: "buffers", megabytes: 160 });
  expect(await large.outcome).toEqual(failed({ kind: "memory" }));
  expect(await small.outcome).toEqual(completed("done"));
});

test("a thread whose modules keep too much is replaced while it is idle, and fails nobody", async () => {
  const pool = await startPool({ spares: 1, memoryLimitBytes });
  const type = pool.type("grows");
  const ended = pool.event("thread.ended");
  for (let n = 1; n <= 120; n++)
    expect(await pool.run(type, { way: "keeps", megabytes: 1 })).toEqual(completed(n));
  await runUntil(pool, ended);
  expect(await ended).toMatchObject({ reason: expect.stringMatching(/^recycled: .*12\d MB of buffers/) });
  expect(await pool.run(type, { way: "keeps", megabytes: 1 })).toEqual(completed(1));
});

test("a thread is replaced after so many jobs: by the spare, with no job delayed or run twice", async () => {
  const pool = await startPool({ spares: 1, recycle: { jobs: 100 } });
  const type = pool.type("echo");
  const first = pool.pool.threads.find(({ state }) => state !== "spare")?.threadId;
  const ended = pool.event("thread.ended");
  const given = Array.from({ length: 500 }, (_, n) => pool.give(type, n));
  for (const [n, one] of given.entries()) {
    expect(await one.outcome).toMatchObject({ kind: "completed", value: { args: n } });
    expect(one.ends).toBe(1);
  }
  expect(await ended).toMatchObject({
    threadId: first,
    reason: expect.stringMatching(/^recycled: it has run \d+ jobs/),
  });
});

test("a thread in the middle of a body is replaced only when that has ended; others run meanwhile", async () => {
  const pool = await startPool({ threads: 2, spares: 1, recycle: { jobs: 1 } });
  const noop = pool.type("noop");
  await Promise.all([pool.run(noop), pool.run(noop)]);
  const held = pool.give(pool.type("listens"), { way: "polls" });
  const threadId = await held.started;
  const gone = () => pool.events.flatMap((event) => (event.type === "thread.ended" ? event.threadId : []));
  for (let i = 0; i < 200; i++) expect(await pool.run(noop)).toEqual(completed(undefined));
  expect(gone()).not.toContain(threadId);
  pool.pool.abort(held.task, "cancel");
  expect(await held.outcome).toMatchObject({ kind: "aborted" });
  for (let i = 0; i < 10_000 && !gone().includes(threadId); i++) await pool.run(noop);
  expect(gone()).toContain(threadId);
});

test("a thread without a spare is replaced too: its successor is built first", async () => {
  const pool = await startPool({ spares: 0, recycle: { jobs: 10 } });
  const ended = pool.event("thread.ended");
  await runUntil(pool, ended);
  expect(await ended).toMatchObject({ reason: expect.stringMatching(/^recycled/) });
  expect(pool.pool.threads.length).toBeLessThanOrEqual(2);
});

test.each([
  ["its age", { ageMs: 50 }],
  ["what it keeps", { heapBytes: 2 * MEGABYTE }],
])("a thread is replaced for %s", async (_, recycle) => {
  const pool = await startPool({ spares: 1, recycle });
  const ended = pool.event("thread.ended");
  await runUntil(pool, ended);
  expect(await ended).toMatchObject({ reason: expect.stringMatching(/^recycled/) });
});
