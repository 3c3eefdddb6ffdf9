/**
 * Roger's own tests, each by its name, on the embedded broker and on RabbitMQ.
 *
 * What Roger's test suite asserted holds here; where Spillway answers otherwise by design (a queue key refuses with a typed
 * error, `cancel` says what it found) the test says so.
 */
import { expect, onTestFinished, test } from "vitest";
import type { Callbacks } from "../../src/actors/callbacks.ts";
import { decodeEnvelope, encodeEnvelope } from "../../src/jobs/codec.ts";
import { createJob } from "../../src/jobs/create.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import type { Failure } from "../../src/jobs/failure.ts";
import type { Task } from "../../src/threads/types.ts";
import { describeAmqp } from "../amqp/support/broker.ts";
import { TestCluster, type TestNode } from "../amqp/support/nodes.ts";
import { TcpProxy } from "../amqp/support/proxy.ts";
import { job as envelope, until } from "../conformance/harness.ts";
import { onBoth, P } from "./site.ts";

const simple = defineJob({ name: "simple", perform: (_args: { x: number }) => undefined });
const unique = defineJob({ name: "unique", queueKey: () => "one", perform: (_args: object) => undefined });
const serial = defineJob({
  name: "serial",
  executionKey: () => "one",
  perform: (_args: { x: number }) => undefined,
});
const retried = defineJob({ name: "retried", retry: { levels: [1] }, perform: (_args: object) => undefined });
const once = defineJob({ name: "once", perform: (_args: object) => undefined });
const jobs = [simple, unique, serial, retried, once];

const FAILURE: Failure = { kind: "error", name: "Error", message: "no", stack: "Error: no", final: false };
const fail = (node: TestNode, task: Task | undefined) =>
  node.pool.finish(task, { kind: "failed", failure: FAILURE, durationMs: 1 });
const runs = (node: TestNode, count: number) =>
  until(
    () => node.pool.running.length,
    (running) => running === count,
  );
const done = (node: TestNode, id: string) => node.seen("job.completed", (event) => event.id === id);

onBoth("Roger's CallbacksTest", ["default"], (make) => {
  const calls: unknown[][] = [];
  const callbacks: Callbacks = {
    beforeRun: (partition, { id }) => {
      calls.push(["before", partition, id]);
      return "state";
    },
    afterRun: (_partition, { id }, result, state) => void calls.push(["after", id, result, state]),
    onError: (_partition, { id }, error, state) =>
      void calls.push(["error", id, error.stack !== undefined, state]),
  };

  test("before-run, after-run, before-and-after-run with state passing", async () => {
    calls.length = 0;
    const node = await make().node({ jobs, callbacks });
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    await runs(node, 1);
    node.pool.finish(node.pool.running[0], { kind: "completed", value: "result", durationMs: 1 });
    await done(node, id);
    await until(
      () => calls.length,
      (length) => length === 2,
    );
    expect(calls).toEqual([
      ["before", P, id],
      ["after", id, "result", "state"],
    ]);
  });

  test("on_error, with a stack trace", async () => {
    calls.length = 0;
    const node = await make().node({ jobs, callbacks });
    const { id } = await node.runtime.enqueue(once, {}, { partition: P });
    await runs(node, 1);
    fail(node, node.pool.running[0]);
    await node.seen("job.buried");
    await until(
      () => calls.at(-1)?.[0],
      (what) => what === "error",
    );
    expect(calls.at(-1)).toEqual(["error", id, true, "state"]);
  });
});

onBoth("Roger's RogerTest, WorkerTest, PartitionTest", ["default"], (make) => {
  test("predefined partitions get started automatically", async () => {
    const { runtime } = await make().node({ jobs });
    expect(Object.keys(await runtime.node.partitions())).toEqual([P]);
    expect(runtime.node.isAlive(P)).toBe(true);
  });

  test("start worker", async () => {
    const node = await make().node({ jobs });
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    await runs(node, 1);
    expect((await node.runtime.node.runningWorkers()).map(({ job }) => job.id)).toEqual([id]);
    node.pool.finish();
    await done(node, id);
  });

  test("start and stop; start, stop, start", async () => {
    const node = await make().node({ jobs, partitions: {} });
    const { partitions } = node.runtime;
    expect(await partitions.start(P, { default: 1 })).toBe("running");
    await partitions.stop(P);
    await expect(partitions.stop(P)).rejects.toMatchObject({ code: "PartitionNotRunning" });
    expect(await partitions.start(P, { default: 1 })).toBe("running");
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    node.endAll();
    await done(node, id);
  });

  test("automatic restart after supervisor stop", async () => {
    const node = await make().node({ jobs });
    await node.runtime.node.forceStop(P);
    await until(
      () => node.runtime.node.isAlive(P),
      (isAlive) => isAlive,
    );
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    node.endAll();
    await done(node, id);
  });
});

onBoth("Roger's QueueTest, EnqueueTest", ["default", "idle"], (make) => {
  test("purge queued jobs", async () => {
    const node = await make().node({ jobs, partitions: { [P]: { idle: 0 } } });
    await node.runtime.enqueueMany(simple, [{ x: 1 }, { x: 2 }, { x: 3 }], { partition: P, queue: "idle" });
    expect(await node.runtime.queues.purge(P, "idle")).toBe(3);
    expect(await node.runtime.queues.purge(P, "idle")).toBe(0);
  });

  test("enqueue; non-unique many times", async () => {
    const node = await make().node({ jobs });
    node.endAll();
    const handles = await node.runtime.enqueueMany(simple, Array(100).fill({ x: 1 }), { partition: P });
    await Promise.all(handles.map(({ id }) => done(node, id)));
  });
});

onBoth("Roger's SystemTest, InfoTest, NodeInfoTest", ["default", "idle"], (make) => {
  test("cross-cluster RPC call; broadcast", async () => {
    const site = make();
    const first = await site.node({ jobs });
    const nodes = [first, ...(site.manyNodes ? [await site.node({ jobs, partitions: {} })] : [])];
    const heard: string[] = [];
    for (const { runtime, name } of nodes)
      runtime.system.register("note", (args) => {
        heard.push(`${name} ${String(args)}`);
        return `${name} has it`;
      });
    const answers = await until(
      () => first.runtime.system.call("note", "x"),
      (all) => all.length === nodes.length,
    );
    const expected = nodes.map(({ name }) => ({ node: name, ok: true, value: `${name} has it` }));
    expect([...answers].sort((a, b) => (a.node < b.node ? -1 : 1))).toEqual(expected);
    heard.length = 0;
    first.runtime.system.cast("note", "y");
    await until(
      () => heard.length,
      (count) => count === nodes.length,
    );
  });

  test("partition info; running jobs; queue info", async () => {
    const node = await make().node({ jobs, partitions: { [P]: { default: 4, idle: 0 } } });
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    await runs(node, 1);
    expect(await node.runtime.node.partitions()).toMatchObject({
      [P]: {
        default: { concurrency: 4, paused: false, running: 1, waiting: 0 },
        idle: { concurrency: 0, paused: false, running: 0 },
      },
    });
    expect(await node.runtime.node.runningJobs(P)).toMatchObject([{ id, job: "simple", queue: "default" }]);
    node.pool.finish();
    await done(node, id);
  });

  test("whole cluster; queued jobs", async () => {
    const node = await make().node({ jobs, partitions: { [P]: { default: 1, idle: 0 } } });
    const sent = await node.runtime.enqueueMany(simple, [{ x: 1 }, { x: 2 }], {
      partition: P,
      queue: "idle",
    });
    expect(await node.runtime.info.partitions()).toMatchObject([{ node: node.name, ok: true }]);
    const listed = await node.runtime.info.queuedJobs(P, "idle");
    expect(listed.complete).toBe(true);
    expect(listed.jobs.map((one) => one.envelope.id)).toEqual(sent.map(({ id }) => id));
  });
});

onBoth("Roger's GlobalTest, ConsumerTest", ["default"], (make) => {
  test("pause and unpause queues; (not) alive check", async () => {
    const { runtime } = await make().node({ jobs });
    expect(await runtime.queues.paused(P)).toEqual([]);
    await runtime.queues.pause(P, "default");
    await until(
      () => runtime.queues.paused(P),
      ([queue]) => queue === "default",
    );
    await runtime.queues.resume(P, "default");
    await until(
      () => runtime.queues.paused(P),
      (queues) => queues.length === 0,
    );
    expect(runtime.node.isAlive(P)).toBe(true);
    expect(runtime.node.isAlive("none")).toBe(false);
  });

  test("starting; the pause and resume API of a consumer", async () => {
    const node = await make().node({ jobs });
    await node.runtime.node.queues.pause(P, "default");
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    expect(await node.runtime.node.queues.list(P)).toMatchObject([{ queue: "default", paused: true }]);
    expect(node.pool.running).toEqual([]);
    await node.runtime.node.queues.resume(P, "default");
    node.endAll();
    await done(node, id);
  });

  test("a pause survives reconfigure, and a restart of the consumer", async () => {
    const node = await make().node({ jobs });
    await node.runtime.queues.pause(P, "default");
    await node.runtime.partitions.reconfigure(P, { default: 3 });
    await node.runtime.node.forceStop(P);
    await until(
      () => node.runtime.node.isAlive(P),
      (isAlive) => isAlive,
    );
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    expect(await node.runtime.queues.paused(P)).toEqual(["default"]);
    expect(node.pool.running).toEqual([]);
    await node.runtime.queues.resume(P, "default");
    node.endAll();
    await done(node, id);
  });
});

test("Roger's JobTest: create; create with queue key; deserialization; invalid ones", () => {
  expect(createJob(simple, { x: 1 })).toMatchObject({ job: "simple", args: { x: 1 }, queueKey: undefined });
  expect(createJob(unique, {})).toMatchObject({ queueKey: "one" });
  const sent = envelope({ queueKey: "k" });
  const back = decodeEnvelope(encodeEnvelope(sent));
  expect(back).toMatchObject({ ok: true, envelope: { id: sent.id, queueKey: "k" } });
  expect(() => createJob(simple, { x: 1 }, { id: "" })).toThrow(/id/);
  expect(() => createJob({} as never, {})).toThrow();
  expect(() => createJob("simple" as never, {})).toThrow();
});

onBoth("Roger's JobTest, execution", ["default"], (make) => {
  test("execute OK; an unknown name is refused", async () => {
    const node = await make().node({ jobs });
    const result = node.runtime.execute(simple, { x: 1 }, { partition: P });
    await runs(node, 1);
    node.pool.finish(node.pool.running[0], { kind: "completed", value: 7, durationMs: 1 });
    expect(await result).toBe(7);
    await expect(node.runtime.enqueue("no-such", {}, { partition: P })).rejects.toMatchObject({
      code: "UnknownJob",
    });
  });
});

onBoth("Roger's UniqueQueueTest, UniqueExecutionTest", ["default"], (make) => {
  test("a job is refused when it is queued twice", async () => {
    const node = await make().node({ jobs });
    const first = await node.runtime.enqueue(unique, {}, { partition: P });
    await expect(node.runtime.enqueue(unique, {}, { partition: P })).rejects.toMatchObject({
      code: "DuplicateJob",
      holder: first.id,
    });
    node.endAll();
    await done(node, first.id);
    await until(
      () =>
        node.runtime.enqueue(unique, {}, { partition: P }).then(
          () => true,
          () => false,
        ),
      (isIn) => isIn,
    );
  });

  test("jobs of one execution key are executed sequentially", async () => {
    const node = await make().node({ jobs });
    const sent = await node.runtime.enqueueMany(
      serial,
      [1, 2, 3, 4].map((x) => ({ x })),
      { partition: P },
    );
    for (const { id } of sent) {
      await runs(node, 1);
      expect(node.pool.running[0]?.id).toBe(id);
      node.pool.finish();
      await done(node, id);
    }
  });
});

onBoth("Roger's CancelTest", ["default"], (make) => {
  test("logic: an id that nobody has seen", async () => {
    const { runtime } = await make().node({ jobs });
    expect(await runtime.isCancelled(P, "later")).toBe(false);
    expect(await runtime.cancel(P, "later")).toEqual({ was: "marked" });
    await until(
      () => runtime.isCancelled(P, "later"),
      (isCancelled) => isCancelled,
    );
  });

  test("queued: it never starts", async () => {
    const site = make();
    const node = await site.node({ jobs });
    await node.runtime.queues.pause(P, "default");
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    await node.runtime.cancel(P, id);
    await node.runtime.queues.resume(P, "default");
    await node.seen("job.cancelled", (event) => event.id === id);
    expect(site.starts.has(id)).toBe(false);
  });

  test("running: it is ended", async () => {
    const node = await make().node({ jobs });
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    await runs(node, 1);
    expect(await node.runtime.cancel(P, id)).toEqual({ was: "running" });
    await node.seen("job.cancelled", (event) => event.id === id);
    expect(node.pool.running).toEqual([]);
  });
});

onBoth("Roger's RetryTest", ["default"], (make) => {
  test("a retryable job", async () => {
    const node = await make().node({ jobs });
    const { id } = await node.runtime.enqueue(retried, {}, { partition: P });
    await runs(node, 1);
    fail(node, node.pool.running[0]);
    await node.seen("job.retried", (event) => event.id === id);
    await runs(node, 1);
    expect(node.pool.running[0]?.attempt).toBe(1);
    node.pool.finish();
    await done(node, id);
  });

  test("the buried limit: of 101 buried jobs a hundred are left, and the oldest is gone", {
    timeout: 120_000,
  }, async () => {
    const node = await make().node({ jobs, maxBuried: 100, partitions: { [P]: { default: 1 } } });
    node.pool.onStart = (task) => setImmediate(() => fail(node, task));
    const sent = await node.runtime.enqueueMany(once, Array(101).fill({}), { partition: P });
    const dropped = await node.seen("buried.dropped");
    expect(dropped).toMatchObject({ partition: P, queue: "default", id: sent[0]?.id });
    expect((await node.runtime.buried.list(P, "default", { limit: 200 })).map(({ id }) => id)).toEqual(
      sent.slice(1).map(({ id }) => id),
    );
  });
});

onBoth("Roger's WorkerTimeoutTest", ["default"], (make) => {
  const spin = new URL("./fixtures/", import.meta.url);

  test("a job does not finish when it is over its timeout, and completes inside it", async () => {
    const runtime = await make().threaded({ jobs: spin });
    const over = await runtime.enqueue("spins", { ms: 60_000 }, { partition: P });
    await expect(over.result({ timeout: "30 seconds" })).rejects.toMatchObject({
      code: "JobBuried",
      cause: { kind: "timeout" },
    });
    const inside = await runtime.enqueue("spins", { ms: 10 }, { partition: P });
    expect(await inside.result({ timeout: "30 seconds" })).toBe("done");
  });
});

describeAmqp("Roger's ReconnectionTest", (url) => {
  test("reconnect after enqueue: the job runs when the connection is there again", async () => {
    const proxy = await TcpProxy.to(url);
    onTestFinished(() => proxy.close());
    const cluster = new TestCluster(url);
    const node = await cluster.node({ jobs, rabbit: { url: proxy.url } });
    await node.runtime.queues.pause(P, "default");
    const { id } = await node.runtime.enqueue(simple, { x: 1 }, { partition: P });
    const before = node.events.length;
    proxy.reset();
    await node.after(before, "broker.connected");
    await node.runtime.queues.resume(P, "default");
    node.endAll();
    await done(node, id);
  });
});
