import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { brokers, collect, next, Place, start } from "./support.ts";

/** What crosses: two calls about one partition, a grant and a pause, a stop and whatever is asked after it. */
describe.each(brokers)("on $kind", (kind) => {
  test("a job that waits for a key stops no other of its queue, whatever keys come and go beside it", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { partitions: { p: { default: 2 } } });
    const until = place.path();
    const started = next(runtime, "job.started");
    const holder = await runtime.enqueue("hold", { until, executionKey: "k" }, { partition: "p" });
    await started;
    const waiter = await runtime.enqueue("hold", { executionKey: "k" }, { partition: "p" });
    for (let i = 0; i < 4; i++)
      expect(await runtime.execute("hold", { executionKey: `other-${i}` }, { partition: "p" })).toBe("hold");
    place.open(until);
    await Promise.all([holder, waiter].map((handle) => handle.result()));
  });

  test("two reconfigurations at once: the later list is what runs, and a pause still holds its queues", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    await Promise.all([
      runtime.partitions.reconfigure("p", { default: 1, a: 1, b: 1 }),
      runtime.partitions.reconfigure("p", { default: 1, b: 1 }),
      runtime.partitions.reconfigure("p", { default: 1, b: 2 }),
    ]);
    expect(Object.keys((await runtime.node.partitions()).p ?? {})).toEqual(["default", "b"]);
    await runtime.queues.pause("p", "b");
    const handle = await runtime.enqueue("sum", { x: 1 }, { partition: "p", queue: "b" });
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
    expect((await runtime.node.partitions()).p?.b).toMatchObject({ ready: 1, running: 0, waiting: 0 });
    await runtime.queues.resume("p", "b");
    expect(await handle.result()).toBe(2);
  });

  test("a partition on its way out takes no new queues: its start is refused, and what waits stays", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const until = place.path();
    const started = next(runtime, "job.started");
    const running = await runtime.enqueue("hold", { until }, { partition: "p" });
    await started;
    const stopped = runtime.partitions.safeStop("p");
    await expect(runtime.partitions.start("p", { default: 1, late: 1 })).rejects.toMatchObject({
      code: "PartitionNotRunning",
    });
    const waiting = await runtime.enqueue("sum", { x: 1 }, { partition: "p" });
    place.open(until);
    expect(await running.result()).toBe("hold");
    await stopped;
    expect(await runtime.partitions.start("p", { default: 1 })).toBe("running");
    expect(await waiting.result()).toBe(2);
  });

  test("started, stopped and started again without waiting in between, a partition runs what was wanted last", async () => {
    const runtime = await start(kind, new Place(), { partitions: {} });
    const asked = [
      runtime.partitions.start("p", { old: 1 }),
      runtime.partitions.stop("p"),
      runtime.partitions.start("p", { default: 1 }),
    ];
    await Promise.all(asked);
    for (let running = next(runtime, "partition.running"); ; running = next(runtime, "partition.running")) {
      if ((await runtime.node.runningPartitionIds()).length > 0) break;
      await running;
    }
    expect(Object.keys((await runtime.node.partitions()).p ?? {})).toEqual(["default"]);
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
    await runtime.partitions.stop("p");
    expect(await runtime.node.partitions()).toEqual({});
    expect(runtime.kernel.whereis("partition:p")).toBeUndefined();
  });

  test("queues that are wanted while the partition starts are opened when it runs", async () => {
    const runtime = await start(kind, new Place(), { partitions: {} });
    const first = runtime.partitions.start("p", { default: 1 });
    expect(await runtime.partitions.start("p", { default: 1, later: 1 })).toBe("waiting");
    expect(await first).toBe("running");
    await runtime.partitions.start("p", { default: 1, later: 1 });
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p", queue: "later" })).toBe(2);
  });

  test("who tends the partitions dies: they run on, are shown as running, and can be stopped", async () => {
    const runtime = await start(kind, new Place());
    const old = runtime.kernel.whereis("waiting-partitions");
    if (old === undefined) throw new Error("nobody tends the partitions");
    const running = next(runtime, "partition.running");
    await runtime.kernel.kill(old);
    await running;
    expect(await runtime.node.runningPartitionIds()).toEqual(["p"]);
    await runtime.partitions.stop("p");
    expect(runtime.kernel.whereis("partition:p")).toBeUndefined();
  });

  test("after the stop a handle, a stream and a call say so at once", async () => {
    const runtime = await start(kind, new Place());
    const handle = await runtime.enqueue("sum", { x: 1 }, { partition: "p", delay: "1 hour" });
    await runtime.stop();
    await expect(handle.result()).rejects.toMatchObject({ code: "ResultUnknown" });
    expect(await runtime.events().next()).toEqual({ done: true, value: undefined });
    await expect(runtime.cancel("p", handle.id)).rejects.toMatchObject({ code: "RuntimeStopped" });
  });

  test("slots are all free after partitions came and went under load", async () => {
    const runtime = await start(kind, new Place(), {
      partitions: { p: { default: 50 }, q: { default: 50 } },
    });
    const completed = collect(runtime, "job.completed");
    const args = Array.from({ length: 400 }, (_, x) => ({ x }));
    const handles = (
      await Promise.all(["p", "q"].map((partition) => runtime.enqueueMany("sum", args, { partition })))
    ).flat();
    for (let i = 0; i < 10; i++) {
      await runtime.partitions.stop("p");
      await runtime.partitions.start("p", { default: 50 });
    }
    await Promise.all(handles.map((handle) => handle.result()));
    expect(completed.length).toBe(800);
    expect(await runtime.node.counts()).toMatchObject({ running: 0, waiting: 0 });
  });

  test("a cancel that meets a body on its way down without its actors is kept until the job comes again", async () => {
    const runtime = await start(kind, new Place(), { grace: { shutdown: "500 ms" } });
    const started = next(runtime, "job.started");
    const handle = await runtime.enqueue("forever", {}, { partition: "p" });
    await started;
    const supervisor = runtime.kernel.whereis("partition:p/worker-supervisor");
    if (supervisor === undefined) throw new Error("no worker supervisor");
    await runtime.kernel.kill(supervisor);
    expect(await handle.cancel()).toEqual({ was: "running" });
    await expect(handle.result()).rejects.toMatchObject({ code: "JobCancelled" });
  });

  test("a cancel that crosses with the end of the body leaves no mark: the same id runs again", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    for (let i = 0; i < 20; i++) {
      const [id, until] = [`again-${i}`, place.path()];
      const started = next(runtime, "job.started", id);
      const handle = await runtime.enqueue("hold", { until }, { partition: "p", id });
      await started;
      const ended = handle.result().catch((error: Error) => error.name);
      place.open(until);
      const { was } = await handle.cancel();
      expect(["hold", "JobCancelled"]).toContain(await ended);
      if (was === "marked") continue; // it had ended: the mark is meant for the next one
      const second = await runtime.enqueue("hold", {}, { partition: "p", id });
      expect(await second.result()).toBe("hold");
    }
  });

  test("a worker that is killed leaves its body to its supervisor: the job starts again when that has ended", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const [until, log] = [place.path(), place.path()];
    const started = next(runtime, "job.started");
    const handle = await runtime.enqueue("hold", { until, log, executionKey: "k" }, { partition: "p" });
    await started;
    const supervisor = runtime.kernel.whereis("partition:p/worker-supervisor");
    const worker = supervisor && runtime.kernel.tree(supervisor)[0]?.children[0];
    const ref = worker && runtime.kernel.whereis(worker.name);
    if (ref === undefined) throw new Error("no worker runs");
    const again = next(runtime, "job.started");
    await runtime.kernel.kill(ref);
    await again;
    place.open(until);
    expect(await handle.result()).toBe("hold");
    expect(place.lines(log).filter((line) => line.startsWith("end"))).toEqual(["end hold"]);
    expect(await runtime.execute("hold", { executionKey: "k" }, { partition: "p" })).toBe("hold");
    expect(await runtime.node.counts()).toMatchObject({ running: 0, waiting: 0 });
  });

  test("a concurrency that the options ask for and the watermark forbids is told to who listens after the start", async () => {
    const runtime = await start(kind, new Place(), { partitions: { p: { default: 10 }, q: { default: 5 } } });
    const told = collect(runtime, "concurrency.unreachable");
    await next(runtime, "concurrency.unreachable");
    expect(told).toMatchObject([{ concurrency: 15, watermark: 2 }]);
  });

  test("a pause that was stored holds for a queue that is opened later, and is shown", async () => {
    const runtime = await start(kind, new Place(), { partitions: { p: { default: 1, other: 1 } } });
    await runtime.queues.pause("p", "other");
    await runtime.partitions.reconfigure("p", { default: 1 });
    await runtime.partitions.reconfigure("p", { default: 1, other: 1 });
    const handle = await runtime.enqueue("sum", { x: 1 }, { partition: "p", queue: "other" });
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
    expect((await runtime.node.partitions()).p?.other).toMatchObject({
      paused: true,
      ready: 1,
      consumers: 0,
    });
    await runtime.queues.resume("p", "other");
    expect(await handle.result()).toBe(2);
    expect((await runtime.node.partitions()).p?.other).toMatchObject({ paused: false, consumers: 1 });
  });
});

test("wedged bodies in all threads hold up no other job, and give their places back when their calls return", async () => {
  const [kind] = brokers;
  const place = new Place();
  const runtime = await start(kind, place);
  const paths = [place.path(), place.path()];
  const wedged = collect(runtime, "job.wedged");
  const both = new Promise<void>((resolve) => {
    runtime.on("job.wedged", () => wedged.length === paths.length && resolve());
  });
  const handles = paths.map(async (path) => {
    execFileSync("mkfifo", [path]);
    return runtime.enqueue("reads", { path }, { partition: "p" });
  });
  await both;
  expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
  for (const path of paths) await writeFile(path, "");
  for (const handle of handles)
    await expect((await handle).result()).rejects.toMatchObject({
      code: "JobBuried",
      cause: { kind: "timeout" },
    });
  expect(await runtime.node.counts()).toMatchObject({ running: 0, waiting: 0 });
});

test("a body that was wedged when its partition stopped gives its job back when its call returns", async () => {
  const [kind] = brokers;
  const place = new Place();
  const runtime = await start(kind, place);
  const path = place.path();
  execFileSync("mkfifo", [path]);
  const wedged = next(runtime, "job.wedged");
  const handle = await runtime.enqueue("reads", { path }, { partition: "p" });
  await wedged;
  await runtime.partitions.stop("p");
  await runtime.partitions.start("p", { default: 1 });
  expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
  const again = next(runtime, "job.wedged", handle.id);
  await writeFile(path, ""); // the first call returns; the job comes again, and hangs in the pipe again
  await again;
  await writeFile(path, "");
  await expect(handle.result()).rejects.toMatchObject({ code: "JobBuried" });
});
