/**
 * A runtime in memory for tests, drained and asked.
 */
import { expect, onTestFinished, test } from "vitest";
import { memory } from "../../src/embedded/index.ts";
import type { RuntimeOptions } from "../../src/runtime/options.ts";
import type { Runtime, RuntimeParts } from "../../src/runtime/runtime.ts";
import { assertEnqueued, drain, enqueued, startTestRuntime, VirtualClock } from "../../src/testing/index.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const job = (name: string) => new URL(`../fixtures/jobs/${name}.mjs`, import.meta.url);

async function start(options: RuntimeOptions, parts?: RuntimeParts): Promise<Runtime> {
  const runtime = await startTestRuntime({ logger: quiet, threads: 1, ...options }, parts);
  onTestFinished(async () => void (await runtime.stop()));
  return runtime;
}

test("drain waits until all that was enqueued has run", async () => {
  const runtime = await start({ jobs: [job("echo")], partitions: { p: { default: 1, other: 1 } } });
  const done: string[] = [];
  runtime.on("job.completed", ({ id }) => void done.push(id));
  const handles = await runtime.enqueueMany("echo", Array(50).fill("hello"), { partition: "p" });
  handles.push(await runtime.enqueue("echo", "bye", { partition: "p", queue: "other" }));
  await drain(runtime, "p");
  expect(done.sort()).toEqual(handles.map(({ id }) => id).sort());
  expect(await enqueued(runtime, "p")).toEqual([]);
});

test("drain does not wait for what is scheduled; the clock brings it nearer", async () => {
  const clock = new VirtualClock(1_000);
  const runtime = await start({ jobs: [job("echo")], partitions: { p: { default: 1 } } }, { clock });
  const handle = await runtime.enqueue("echo", "later", { partition: "p", delay: "1 hour" });
  await drain(runtime, "p");
  expect(await enqueued(runtime, "p")).toMatchObject([
    { id: handle.id, state: "scheduled", dueAt: 3_601_000 },
  ]);
  await clock.advance(3_600_000);
  expect(await handle.result()).toMatchObject({ args: "later" });
  await drain(runtime, "p");
  expect(await enqueued(runtime, "p")).toEqual([]);
});

test("drain of a queue that nobody consumes fails with what is left there", async () => {
  const runtime = await start({ partitions: { p: { default: 0 } }, jobs: [] });
  const { default: echo } = (await import(job("echo").href)) as { default: never };
  await runtime.enqueue(echo, "x", { partition: "p" });
  await expect(drain(runtime, "p", { timeoutMs: 20 })).rejects.toThrow(
    /"p" was not drained.*default: 1 ready/,
  );
});

test("drain of a partition that is not there is refused", async () => {
  const runtime = await start({});
  await expect(drain(runtime, "nowhere")).rejects.toMatchObject({ code: "UnknownPartition" });
});

test("assertEnqueued finds a job by name, id and args, and else shows what waits", async () => {
  const runtime = await start({ broker: memory(), partitions: { p: { default: 0 } } });
  const { default: echo } = (await import(job("echo").href)) as { default: never };
  await runtime.enqueue(echo, { n: 1 }, { partition: "p", id: "e1" });
  await runtime.enqueue(echo, { n: 2 }, { partition: "p", id: "e2" });
  expect(await assertEnqueued(runtime, { partition: "p", job: "echo", args: { n: 2 } })).toMatchObject({
    id: "e2",
    job: "echo",
    attempt: 0,
    state: "available",
  });
  expect((await assertEnqueued(runtime, { partition: "p", id: "e1" })).args).toEqual({ n: 1 });
  const missed = await assertEnqueued(runtime, { partition: "p", args: { n: 3 } }).catch(
    (error: unknown) => error,
  );
  expect(missed).toMatchObject({
    code: "ERR_ASSERTION",
    message: "no such job waits in p.default",
    actual: [
      { id: "e1", job: "echo", args: { n: 1 } },
      { id: "e2", job: "echo", args: { n: 2 } },
    ],
  });
});
