import { describe, expect, test } from "vitest";
import { brokers, collect, next, Place, start } from "./support.ts";

describe.each(brokers)("on $kind", (kind) => {
  test("a paused queue starts nothing, and resumed it goes on in order, no attempt spent", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { watermark: 1 });
    const [log, until] = [place.path(), place.path()];
    const started = next(runtime, "job.started");
    const first = await runtime.enqueue("hold", { until, log, name: "0" }, { partition: "p" });
    await started;
    const args = Array.from({ length: 5 }, (_, i) => ({ log, name: `${i + 1}` }));
    const rest = await runtime.enqueueMany("hold", args, { partition: "p" });
    await runtime.queues.pause("p", "default");
    expect(await runtime.queues.paused("p")).toEqual(["default"]);
    place.open(until);
    await first.result();
    expect((await runtime.node.partitions()).p?.default).toMatchObject({
      paused: true,
      ready: 5,
      running: 0,
      waiting: 0,
    });
    expect(place.lines(log)).toEqual(["start 0", "end 0"]);
    await runtime.queues.resume("p", "default");
    await Promise.all(rest.map((handle) => handle.result()));
    expect(place.lines(log).filter((line) => line.startsWith("start"))).toEqual(
      [0, 1, 2, 3, 4, 5].map((n) => `start ${n}`),
    );
  });

  test("a hundred pauses and resumes of a queue with waiting jobs leave counts, order and attempts as they were", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { watermark: 1 });
    const [log, until] = [place.path(), place.path()];
    const completed = collect(runtime, "job.completed");
    const started = next(runtime, "job.started");
    const first = await runtime.enqueue("hold", { until }, { partition: "p" });
    await started;
    const args = Array.from({ length: 8 }, (_, i) => ({ log, name: `${i}` }));
    const rest = await runtime.enqueueMany("hold", args, { partition: "p" });
    for (let i = 0; i < 100; i++) {
      await runtime.queues.pause("p", "default");
      await runtime.queues.resume("p", "default");
    }
    place.open(until);
    await Promise.all([first, ...rest].map((handle) => handle.result()));
    expect(completed.map((e) => e.attempt)).toEqual(Array(9).fill(0));
    expect(place.lines(log).filter((line) => line.startsWith("start"))).toEqual(
      args.map(({ name }) => `start ${name}`),
    );
  });

  test("purge removes what has not started, frees its keys, and names every job in an event", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { watermark: 1, partitions: { p: { default: 3 } } });
    const until = place.path();
    const purged = collect(runtime, "job.purged");
    const started = next(runtime, "job.started");
    const running = await runtime.enqueue("hold", { until }, { partition: "p" });
    await started;
    const keyed = await runtime.enqueue("hold", { queueKey: "k" }, { partition: "p" });
    const more = await runtime.enqueueMany("hold", [{}, {}, {}], { partition: "p" });
    const later = await runtime.enqueue("hold", {}, { partition: "p", delay: "1 hour" });
    expect(await runtime.queues.purge("p", "default")).toBe(5);
    expect(new Set(purged.map((e) => e.id))).toEqual(new Set([keyed, ...more, later].map((h) => h.id)));
    await expect(keyed.result()).rejects.toMatchObject({ code: "JobPurged" });
    await runtime.enqueue("hold", { queueKey: "k" }, { partition: "p" });
    place.open(until);
    expect(await running.result()).toBe("hold");
  });

  test("a buried job is listed, re-queued with other args, and dropped", async () => {
    const runtime = await start(kind, new Place());
    const handles = await runtime.enqueueMany("flaky", [{ final: true }, { final: true }], {
      partition: "p",
    });
    await Promise.allSettled(handles.map((handle) => handle.result()));
    const [first, second] = handles.map((handle) => handle.id);
    expect((await runtime.buried.list("p", "default")).map((job) => job.id).sort()).toEqual(
      [first, second].sort(),
    );
    expect(await runtime.buried.list("p", "default", { limit: 1 })).toHaveLength(1);
    const completed = next(runtime, "job.completed");
    expect(await runtime.buried.requeue("p", "default", [first ?? ""], { args: { succeedAt: 0 } })).toEqual([
      { id: first, error: undefined },
    ]);
    expect(await completed).toMatchObject({ id: first, attempt: 0 });
    expect(await runtime.buried.drop("p", "default", "all")).toEqual([second]);
    expect(await runtime.buried.list("p", "default")).toEqual([]);
  });

  test("a partition can be started, reconfigured, stopped and started again while the node runs", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { partitions: {} });
    expect(await runtime.partitions.start("late", { default: 1 })).toBe("running");
    expect(await runtime.execute("sum", { x: 1 }, { partition: "late" })).toBe(2);
    expect(await runtime.partitions.reconfigure("late", { other: 2 })).toBe("running");
    expect(Object.keys((await runtime.node.partitions()).late ?? {})).toEqual(["other"]);
    expect(await runtime.execute("sum", { x: 1 }, { partition: "late", queue: "other" })).toBe(2);
    const left = await runtime.enqueue("sum", { x: 5 }, { partition: "late" });
    await runtime.partitions.stop("late");
    expect(await runtime.node.runningPartitionIds()).toEqual([]);
    await expect(runtime.partitions.stop("late")).rejects.toMatchObject({ code: "PartitionNotRunning" });
    await expect(runtime.partitions.reconfigure("late", {})).rejects.toMatchObject({
      code: "PartitionNotRunning",
    });
    expect(await runtime.partitions.start("late", { default: 1 })).toBe("running");
    expect(await left.result()).toBe(6);
  });

  test("a concurrency is raised and lowered while jobs wait; 0 is not consumed, and still shown", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { partitions: { p: { default: 1 } } });
    const until = place.path();
    const twice = started(runtime, 2);
    const handles = await runtime.enqueueMany("hold", [{ until }, { until }], { partition: "p" });
    await runtime.partitions.reconfigure("p", { default: 2 });
    await twice;
    await runtime.partitions.reconfigure("p", { default: 0 });
    expect((await runtime.node.partitions()).p?.default).toMatchObject({ concurrency: 0, consumers: 0 });
    place.open(until);
    await Promise.all(handles.map((handle) => handle.result()));
    const waits = await runtime.enqueue("sum", { x: 1 }, { partition: "p" });
    expect((await runtime.node.partitions()).p?.default).toMatchObject({ ready: 1, running: 0 });
    await runtime.partitions.reconfigure("p", { default: 1 });
    expect(await waits.result()).toBe(2);
  });

  test("safeStop lets running bodies finish and hands back the rest", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { watermark: 1 });
    const until = place.path();
    const one = started(runtime, 1);
    const first = await runtime.enqueue("hold", { until }, { partition: "p" });
    await one;
    const second = await runtime.enqueue("sum", { x: 1 }, { partition: "p" });
    const stopped = runtime.partitions.safeStop("p");
    place.open(until);
    expect(await first.result()).toBe("hold");
    await stopped;
    expect(await runtime.node.waitingPartitions()).toEqual({});
    await runtime.partitions.start("p", { default: 1 });
    expect(await second.result()).toBe(2);
  });

  test("a running job is seen with its worker and its thread, and is gone from both when it ends", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const until = place.path();
    const one = started(runtime, 1);
    const handle = await runtime.enqueue("hold", { until }, { partition: "p" });
    await one;
    const [worker] = await runtime.node.runningWorkers();
    expect(worker).toMatchObject({
      name: expect.stringMatching(/^worker:/),
      job: { id: handle.id, attempt: 0 },
    });
    expect(worker?.threadId).toBeGreaterThan(0);
    expect(await runtime.node.runningJobs("p")).toMatchObject([
      { id: handle.id, job: "hold", queue: "default" },
    ]);
    place.open(until);
    await handle.result();
    await runtime.stop();
    expect(await runtime.node.runningWorkers()).toEqual([]);
  });

  test("an inactive node starts no new partition, and those that run go on", async () => {
    const runtime = await start(kind, new Place());
    expect([runtime.system.isActive(), runtime.system.isConnected()]).toEqual([true, true]);
    runtime.system.setInactive();
    expect(runtime.system.isActive()).toBe(false);
    const waiting = next(runtime, "partition.waiting");
    expect(await runtime.partitions.start("late", { default: 1 })).toBe("waiting");
    expect(await waiting).toMatchObject({ partition: "late" });
    expect(await runtime.node.waitingPartitions()).toEqual({ late: { default: 1 } });
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
    expect(await runtime.partitions.reconfigure("p", { default: 1 })).toBe("running");
    const again = next(runtime, "partition.running");
    await runtime.node.forceStop("p");
    expect(await again).toMatchObject({ partition: "p" });
    expect(await runtime.node.runningPartitionIds()).toEqual(["p"]);
  });

  test("a node that is unsubscribed takes no more jobs; what runs ends in its own time", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { watermark: 1 });
    const until = place.path();
    const one = started(runtime, 1);
    const first = await runtime.enqueue("hold", { until }, { partition: "p" });
    await one;
    const second = await runtime.enqueue("sum", { x: 1 }, { partition: "p" });
    await runtime.system.unsubscribeAll();
    expect((await runtime.node.partitions()).p?.default).toMatchObject({
      ready: 1,
      running: 1,
      consumers: 0,
    });
    expect(await runtime.partitions.start("late", { default: 1 })).toBe("running");
    place.open(until);
    expect(await first.result()).toBe("hold");
    expect((await runtime.info.queuedJobs("p", "default")).jobs.map(({ envelope }) => envelope.id)).toEqual([
      second.id,
    ]);
    await runtime.stop();
    expect(runtime.system.isConnected()).toBe(false);
  });

  test("info has one entry a node, and commands can be registered and called", async () => {
    const runtime = await start(kind, new Place(), { node: "me" });
    expect(await runtime.system.call("ping")).toEqual([{ node: "me", ok: true, value: "pong" }]);
    runtime.system.register("double", (n) => Number(n) * 2);
    expect(await runtime.system.call("double", 4)).toEqual([{ node: "me", ok: true, value: 8 }]);
    expect(await runtime.system.call("nope")).toMatchObject([
      { node: "me", ok: false, error: { code: "UnknownCommand" } },
    ]);
    expect(await runtime.info.nodes()).toMatchObject([{ node: "me", ok: true, value: { watermark: 2 } }]);
    expect(await runtime.info.partitions()).toMatchObject([
      { ok: true, value: { p: { default: { concurrency: 10 } } } },
    ]);
    expect(await runtime.info.tree()).toMatchObject([{ ok: true, value: [{ name: "runtime" }] }]);
    expect(runtime.queues.name("p", "default")).toBe("p.default");
  });
});

function started(runtime: Awaited<ReturnType<typeof start>>, count: number): Promise<void> {
  let seen = 0;
  return new Promise((resolve) => {
    runtime.on("job.started", () => void (++seen === count && resolve()));
  });
}
