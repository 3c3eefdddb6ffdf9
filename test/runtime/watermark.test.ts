import { describe, expect, test } from "vitest";
import { brokers, collect, next, Place, start } from "./support.ts";

describe.each(brokers)("on $kind", (kind) => {
  test("ROH: two tasks run when the watermark lets two run", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const until = place.path();
    const handles = await runtime.enqueueMany("hold", [{ until }, { until }], { partition: "p" });
    await running(runtime, handles.length);
    expect(await runtime.node.counts()).toEqual({ watermark: 2, running: 2, waiting: 0, accepted: 2 });
    await Promise.all(handles.map((h) => h.cancel()));
    await Promise.allSettled(handles.map((h) => h.result()));
    expect(await runtime.node.counts()).toMatchObject({ running: 0, waiting: 0 });
  });

  test("ROH: at a limit of 1 one runs and one waits; stop one → 1 / 0; stop the other → 0 / 0", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { watermark: 1 });
    const until = place.path();
    const waiting = next(runtime, "job.waiting");
    const [first, second] = await runtime.enqueueMany("hold", [{ until }, { until }], { partition: "p" });
    await running(runtime, 1);
    expect((await waiting).size).toBe(1);
    expect(await runtime.node.counts()).toMatchObject({ running: 1, waiting: 1 });
    await first?.cancel();
    await first?.result().catch(() => {});
    await running(runtime, 1, second?.id);
    expect(await runtime.node.counts()).toMatchObject({ running: 1, waiting: 0 });
    await second?.cancel();
    await second?.result().catch(() => {});
    expect(await runtime.node.counts()).toMatchObject({ running: 0, waiting: 0, accepted: 2 });
  });

  test("a queue's concurrency caps that queue, and what is above it stays with the broker", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { partitions: { p: { default: 1, other: 1 } } });
    const until = place.path();
    const handles = await runtime.enqueueMany("hold", [{ until }, { until }, { until }], { partition: "p" });
    await running(runtime, 1);
    expect(await runtime.node.counts()).toMatchObject({ running: 1, waiting: 0 });
    expect((await runtime.node.partitions()).p?.default).toMatchObject({
      ready: 2,
      running: 1,
      waiting: 0,
      concurrency: 1,
    });
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p", queue: "other" })).toBe(2);
    place.open(until);
    await Promise.all(handles.map((h) => h.result()));
  });

  test("more concurrency than the watermark allows is told once, with both numbers", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { partitions: {} });
    const told = collect(runtime, "concurrency.unreachable");
    await runtime.partitions.start("a", { default: 2 });
    expect(told).toEqual([]);
    await runtime.partitions.start("b", { default: 3 });
    await runtime.partitions.start("c", { default: 3 });
    expect(told.map(({ concurrency, watermark }) => ({ concurrency, watermark }))).toEqual([
      { concurrency: 5, watermark: 2 },
    ]);
  });

  test("a backlog in one partition delays the next partition's job by no more than one job a slot", async () => {
    const place = new Place();
    const runtime = await start(kind, place, {
      watermark: 1,
      partitions: { busy: { default: 50 }, calm: { default: 1 } },
    });
    const log = place.path();
    const gate = place.path();
    const first = await runtime.enqueue("hold", { until: gate, log, name: "first" }, { partition: "busy" });
    await running(runtime, 1, first.id);
    const many = Array.from({ length: 49 }, (_, i) => ({ log, name: `busy ${i}` }));
    const backlog = await runtime.enqueueMany("hold", many, { partition: "busy" });
    const calm = await runtime.enqueue("hold", { log, name: "calm" }, { partition: "calm" });
    place.open(gate);
    await Promise.all([calm.result(), ...backlog.map((h) => h.result())]);
    const started = place.lines(log).filter((line) => line.startsWith("start"));
    expect(started.indexOf("start calm")).toBeLessThanOrEqual(2);
  });
});

type Started = Awaited<ReturnType<typeof start>>;

/** Resolves once so many bodies run (or the one of this id), seen in a thread. */
async function running(runtime: Started, count: number, id?: string): Promise<void> {
  for (;;) {
    const jobs = (await runtime.node.runningJobs("p")).concat(await runtime.node.runningJobs("busy"));
    const seen = jobs.filter((job) => job.startedAt > 0);
    if (seen.length >= count && (id === undefined || seen.some((job) => job.id === id))) return;
    await next(runtime, "job.started");
  }
}
