/** Threads that are kept for some job types. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { RuntimeOptions } from "../../src/runtime/options.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { brokers, next, Place, start } from "./support.ts";

const [memory] = brokers;

/** Runs until a file is there. */
const body = (name: string, more = "") => `import { existsSync } from "node:fs";
import { threadId } from "node:worker_threads";
export default { name: "${name}", ${more} async perform({ until } = {}) {
  while (until !== undefined && !existsSync(until)) await new Promise((resolve) => setTimeout(resolve, 5));
  return threadId;
} };`;

const grows = `export default { name: "grows", pool: "image", perform() {
  const held = Array.from({ length: 120 }, (_, i) => Buffer.alloc(1_048_576, i + 1));
  for (;;) held.length;
} };`;

function startPools(place: Place, options: RuntimeOptions = {}): Promise<Runtime> {
  const folder = join(place.folder, "jobs");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "heavy.mjs"), body("heavy", 'pool: "image",'));
  writeFileSync(join(folder, "light.mjs"), body("light"));
  writeFileSync(join(folder, "grows.mjs"), grows);
  return start(memory, place, { jobs: folder, threads: 1, pools: { image: { threads: 1 } }, ...options });
}

test("heavy jobs that wait for their pool hold up no light one, in the same queue", async () => {
  const place = new Place();
  const runtime = await startPools(place);
  const until = place.path();
  const started = next(runtime, "job.started");
  const heavy = await runtime.enqueueMany("heavy", [{ until }, { until }, { until }], { partition: "p" });
  const { threadId } = await started;
  for (let i = 0; i < 20; i++)
    expect(await runtime.execute("light", {}, { partition: "p" })).not.toBe(threadId);
  expect(await runtime.node.counts()).toMatchObject({
    watermark: 2,
    pools: { image: { watermark: 1, running: 1, waiting: 2 } },
  });
  place.open(until);
  expect(await Promise.all(heavy.map((handle) => handle.result()))).toEqual([threadId, threadId, threadId]);
});

test("light jobs that fill their threads hold up no heavy one", async () => {
  const place = new Place();
  const runtime = await startPools(place);
  const until = place.path();
  const started = next(runtime, "job.started");
  const light = await runtime.enqueueMany("light", [{ until }, { until }], { partition: "p" });
  const { threadId } = await started;
  expect(await runtime.execute("heavy", {}, { partition: "p" })).not.toBe(threadId);
  place.open(until);
  expect(await Promise.all(light.map((handle) => handle.result()))).toEqual([threadId, threadId]);
});

test("a pool has limits of its own", async () => {
  const runtime = await startPools(new Place(), { pools: { image: { threads: 1, memoryLimit: "64 MB" } } });
  const killed = next(runtime, "job.killed");
  const handle = await runtime.enqueue("grows", undefined, { partition: "p" });
  await expect(handle.result()).rejects.toMatchObject({ code: "JobBuried", cause: { kind: "memory" } });
  expect(await killed).toMatchObject({ reason: "memory" });
});

test("a job that waits for its pool is cancelled, and a stop gives back what waits there", async () => {
  const place = new Place();
  const runtime = await startPools(place);
  const until = place.path();
  const started = next(runtime, "job.started");
  const given = await runtime.enqueueMany("heavy", [{ until }, { until }], { partition: "p" });
  await started;
  const [, second] = given;
  expect(await second?.cancel()).toEqual({ was: "queued" });
  expect(await runtime.stop()).toEqual({ wedged: [] });
});

test("a definition that asks for a pool which is not there keeps the runtime from starting", async () => {
  const wrong = startPools(new Place(), { pools: { images: { threads: 1 } } });
  await expect(wrong).rejects.toMatchObject({
    code: "InvalidOptions",
    problems: expect.arrayContaining([
      'jobs: "heavy" asks for the pool "image", which pools does not have; did you mean "images"?',
    ]),
  });
  await expect(startPools(new Place(), { pools: {} })).rejects.toMatchObject({
    problems: expect.arrayContaining([expect.stringContaining('add pools: { "image": { threads: 2 } }')]),
  });
});
