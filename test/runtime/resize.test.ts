/** `runtime.node.resize`: threads and bodies of a running node. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { brokers, collect, next, Place, start } from "./support.ts";

const [memory] = brokers;

test("a lower watermark holds at once: what runs goes on, and nothing starts until there is a slot below it", async () => {
  const place = new Place();
  const runtime = await start(memory, place, { threads: 3 });
  const gates = [1, 2, 3, 4].map(() => place.path());
  const handles = [];
  for (const until of gates.slice(0, 3)) {
    const started = next(runtime, "job.started");
    handles.push(await runtime.enqueue("hold", { until }, { partition: "p" }));
    await started;
  }
  expect(await runtime.node.resize({ watermark: 1 })).toEqual({ threads: 3, watermark: 1 });
  handles.push(await runtime.enqueue("hold", { until: gates[3] }, { partition: "p" }));
  expect(await runtime.node.counts()).toMatchObject({ watermark: 1, running: 3, waiting: 1 });
  for (const at of [0, 1]) {
    place.open(gates[at] ?? "");
    await handles[at]?.result();
  }
  expect(await runtime.node.counts()).toMatchObject({ watermark: 1, running: 1, waiting: 1 });
  const started = next(runtime, "job.started", handles[3]?.id);
  place.open(gates[2] ?? "");
  await started;
  place.open(gates[3] ?? "");
  await Promise.all(handles.map((handle) => handle.result()));
});

test("a higher one admits what waits, in threads that are there", async () => {
  const place = new Place();
  const runtime = await start(memory, place, { threads: 1 });
  const until = place.path();
  const started = collect(runtime, "job.started");
  const first = next(runtime, "job.started");
  const handles = await runtime.enqueueMany("hold", [{ until }, { until }, { until }], { partition: "p" });
  await first;
  expect(await runtime.node.resize({ threads: 3 })).toEqual({ threads: 3, watermark: 3 });
  while (started.length < 3) await next(runtime, "job.started");
  expect(new Set(started.map(({ threadId }) => threadId)).size).toBe(3);
  place.open(until);
  await Promise.all(handles.map((handle) => handle.result()));
});

test("admission that is restarted has the size that was asked for last", async () => {
  const runtime = await start(memory, new Place());
  await runtime.node.resize({ threads: 3, watermark: 2 });
  const admission = runtime.kernel.whereis("admission");
  const again = next(runtime, "partition.running");
  if (admission !== undefined) await runtime.kernel.kill(admission);
  await again;
  expect(await runtime.node.counts()).toMatchObject({ watermark: 2 });
});

test("what cannot be is refused, every problem at once, and nothing has changed", async () => {
  const runtime = await start(memory, new Place(), { watermark: 1 });
  const wrong = [
    { threads: 0 },
    { threads: 257 },
    { threads: 1.5 },
    { watermark: 3 },
    { threads: 1, watermark: 2 },
    { thread: 2 },
  ];
  for (const size of wrong)
    await expect(runtime.node.resize(size)).rejects.toMatchObject({ code: "InvalidOptions" });
  await expect(runtime.node.resize({ thread: 2 } as object)).rejects.toThrow('did you mean "threads"');
  expect(await runtime.node.resize({})).toEqual({ threads: 2, watermark: 1 });
  expect(await runtime.node.counts()).toMatchObject({ watermark: 1 });
  await runtime.stop();
  await expect(runtime.node.resize({ threads: 1 })).rejects.toMatchObject({ code: "RuntimeStopped" });
});

describe.each(brokers)("on $kind", (kind) => {
  test("whatever sizes follow each other under load, every job ends once, at its first attempt", async () => {
    const size = fc.record({
      threads: fc.integer({ min: 1, max: 4 }),
      watermark: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(size, { minLength: 3, maxLength: 6 }), async (sizes) => {
        const runtime = await start(kind, new Place());
        const ends = new Map<string, number>();
        runtime.on("job.completed", ({ id }) => void ends.set(id, (ends.get(id) ?? 0) + 1));
        const failed = collect(runtime, "job.failed");
        const rescued = collect(runtime, "job.rescued");
        const handles = [];
        for (const { threads, watermark } of sizes) {
          const args = Array.from({ length: 40 }, (_, n) => (n % 4 === 0 ? {} : { name: `${n}` }));
          handles.push(...(await runtime.enqueueMany("hold", args, { partition: "p" })));
          await runtime.node.resize({ threads, watermark: Math.min(threads, watermark) });
        }
        await Promise.all(handles.map((handle) => handle.result()));
        expect([...ends.values()].filter((count) => count !== 1)).toEqual([]);
        expect(ends.size).toBe(handles.length);
        expect([...failed, ...rescued]).toEqual([]);
        await runtime.stop();
      }),
      { numRuns: 3 },
    );
  }, 120_000);
});
