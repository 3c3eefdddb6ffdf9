/**
 * Keys, cancel and pause across nodes, on a real broker: one of a key at a time, in the order of arrival, whoever runs it;
 * one job of a queue key at a time; what was cancelled never starts; what is paused stands still everywhere.
 */
import { expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import { until } from "../conformance/harness.ts";
import { describeAmqp } from "./support/broker.ts";
import { NODE_TIMEOUT_MS, P, TestCluster, type TestNode } from "./support/nodes.ts";
import { TcpProxy } from "./support/proxy.ts";

const body = () => undefined;
const serial = defineJob({ name: "serial", executionKey: (_args: { x: number }) => "one", perform: body });
const unique = defineJob({ name: "unique", queueKey: ({ x }: { x: number }) => `k${x}`, perform: body });
const both = defineJob({
  name: "both",
  queueKey: ({ x }: { x: number }) => `k${x}`,
  executionKey: () => "one",
  perform: body,
});
const plain = defineJob({ name: "plain", perform: (_args: { x: number }) => undefined });
const jobs = [serial, unique, both, plain];

/** Ids of bodies that run now, on all nodes. */
const running = (...nodes: readonly TestNode[]) =>
  nodes.flatMap(({ pool }) => pool.running.map(({ id }) => id));

/** Ends what runs, one body after the other, until none is left; the order in which they ran. */
async function oneByOne(nodes: readonly TestNode[], count: number): Promise<string[]> {
  const order: string[] = [];
  while (order.length < count) {
    const [id] = await until(
      () => running(...nodes),
      (ids) => ids.length > 0,
    );
    expect(running(...nodes)).toEqual([id]);
    order.push(id ?? "");
    for (const { pool } of nodes) for (const task of [...pool.running]) pool.finish(task);
  }
  return order;
}

describeAmqp("keys across nodes", (url) => {
  test("jobs of one execution key run one at a time, whatever node has them, in the order of arrival", async () => {
    const cluster = new TestCluster(url);
    const nodes = await cluster.pair(
      { jobs, partitions: { [P]: { default: 20 } } },
      { jobs, partitions: {} },
    );
    const [worker, producer] = nodes;
    const sent = await producer.runtime.enqueueMany(
      serial,
      Array.from({ length: 12 }, (_, x) => ({ x })),
      { partition: P },
    );
    expect(await oneByOne([worker], 12)).toEqual(sent.map(({ id }) => id));
  });

  test("two nodes never run one execution key at once, and none of its jobs is forgotten", async () => {
    const cluster = new TestCluster(url);
    const nodes = await cluster.pair({ jobs }, { jobs });
    await nodes[0].runtime.enqueueMany(
      serial,
      Array.from({ length: 20 }, (_, x) => ({ x })),
      { partition: P },
    );
    const order = await oneByOne(nodes, 20);
    expect(new Set(order).size).toBe(20);
    expect(new Set(cluster.starts.values())).toEqual(new Set([1]));
  });

  test("a queue key has one job at a time, from whatever node, and is free at its end", async () => {
    const cluster = new TestCluster(url);
    const [a, b] = await cluster.pair({ jobs }, { jobs });
    const first = await a.runtime.enqueue(unique, { x: 1 }, { partition: P });
    await expect(b.runtime.enqueue(unique, { x: 1 }, { partition: P })).rejects.toMatchObject({
      code: "DuplicateJob",
      holder: first.id,
      by: "queueKey",
    });
    await expect(b.runtime.enqueue(unique, { x: 1 }, { partition: P, id: first.id })).rejects.toMatchObject({
      code: "DuplicateJob",
      by: "id",
    });
    await b.runtime.enqueue(unique, { x: 2 }, { partition: P });
    a.endAll();
    b.endAll();
    await first.result();
    await until(
      () =>
        b.runtime.enqueue(unique, { x: 1 }, { partition: P }).then(
          () => true,
          () => false,
        ),
      (isIn) => isIn,
    );
  });

  test("of many that want one queue key at once, one is enqueued", async () => {
    const cluster = new TestCluster(url);
    const nodes = await cluster.pair({ jobs, partitions: {} }, { jobs });
    const all = await Promise.allSettled(
      Array.from({ length: 40 }, (_, at) =>
        (nodes[at % 2] ?? nodes[0]).runtime.enqueue(both, { x: 7 }, { partition: P }),
      ),
    );
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await cluster.started(1);
    expect(running(...nodes)).toHaveLength(1);
  });

  test("a queue key is held through a retry, and free when the job is buried", async () => {
    const failing = defineJob({
      name: "failing",
      queueKey: () => "f",
      retry: { levels: [1] },
      perform: (_args: object) => {},
    });
    const cluster = new TestCluster(url);
    const [a, b] = await cluster.pair({ jobs: [failing] }, { jobs: [failing], partitions: {} });
    const fail = () => {
      const task = a.pool.running[0];
      const failure = {
        kind: "error",
        name: "Error",
        message: "no",
        stack: undefined,
        final: false,
      } as const;
      if (task !== undefined) a.pool.finish(task, { kind: "failed", failure, durationMs: 1 });
    };
    const one = await b.runtime.enqueue(failing, {}, { partition: P });
    await cluster.started(1);
    fail();
    await a.seen("job.retried");
    await expect(b.runtime.enqueue(failing, {}, { partition: P })).rejects.toMatchObject({ holder: one.id });
    await until(
      () => a.pool.running.length,
      (count) => count === 1,
    );
    fail();
    await a.seen("job.buried", ({ id }) => id === one.id);
    const two = await b.runtime.enqueue(failing, {}, { partition: P });
    expect(await b.runtime.buried.requeue(P, "default", [one.id])).toMatchObject([
      { id: one.id, error: { code: "DuplicateJob", holder: two.id } },
    ]);
  });

  test("a node that is stopped leaves its seat and its keys to the others", async () => {
    const cluster = new TestCluster(url);
    const [a, b] = await cluster.pair({ jobs }, { jobs });
    const sent = await a.runtime.enqueueMany(
      both,
      [1, 2, 3, 4].map((x) => ({ x })),
      { partition: P },
    );
    await cluster.started(1);
    await a.runtime.stop();
    // what ran there was handed back: nothing has ended yet
    expect(new Set(await oneByOne([b], sent.length))).toEqual(new Set(sent.map(({ id }) => id)));
    await until(
      () =>
        b.runtime.enqueue(both, { x: 1 }, { partition: P }).then(
          () => true,
          () => false,
        ),
      (isIn) => isIn,
    );
  });

  test("a node that is cut off ends its body under a key before another one gets the key", {
    timeout: 120_000,
  }, async () => {
    const proxy = await TcpProxy.to(url);
    try {
      const cluster = new TestCluster(url);
      const [cut, heir] = await cluster.pair({ jobs, rabbit: { url: proxy.url } }, { jobs, partitions: {} });
      const job = await heir.runtime.enqueue(serial, { x: 1 }, { partition: P });
      await cluster.started(1);
      expect(running(cut)).toEqual([job.id]);
      await heir.runtime.partitions.start(P, { default: 10 });
      proxy.refuse();
      proxy.reset();
      const since = Date.now();
      await until(
        () => running(cut),
        (ids) => ids.length === 0,
      );
      expect(running(heir)).toEqual([]);
      expect(Date.now() - since).toBeLessThan(NODE_TIMEOUT_MS);
      await until(
        () => running(heir),
        (ids) => ids.includes(job.id),
      );
      expect(running(cut)).toEqual([]);
      heir.endAll();
      await heir.seen("job.completed", ({ id }) => id === job.id);
      await proxy.accept();
    } finally {
      await proxy.close();
    }
  });
});

describeAmqp("cancel and pause across nodes", (url) => {
  test("a job that was cancelled before anybody had it never starts, on any node, and is told once", async () => {
    const cluster = new TestCluster(url);
    const producer = await cluster.node({ jobs, partitions: { [P]: { default: 0 } } });
    const [a, b] = await producer.runtime.enqueueMany(plain, [{ x: 1 }, { x: 2 }], { partition: P });
    if (a === undefined || b === undefined) throw new Error("two were enqueued");
    expect(await producer.runtime.cancel(P, a.id)).toEqual({ was: "marked" });
    const late = await cluster.node({ jobs });
    late.endAll();
    await late.seen("job.completed", ({ id }) => id === b.id);
    await late.seen("job.cancelled", ({ id }) => id === a.id);
    expect(cluster.starts.has(a.id)).toBe(false);
    expect(late.events.filter(({ type }) => type === "job.cancelled")).toHaveLength(1);
  });

  test("a mark and a pause are there after all nodes have stopped", async () => {
    const cluster = new TestCluster(url);
    const first = await cluster.node({ jobs, partitions: { [P]: { default: 0 } } });
    const sent = await first.runtime.enqueue(plain, { x: 1 }, { partition: P });
    await first.runtime.cancel(P, sent.id);
    await first.runtime.queues.pause(P, "default");
    await first.runtime.stop();
    const second = await cluster.node({ jobs });
    expect(await second.runtime.queues.paused(P)).toEqual(["default"]);
    const other = await second.runtime.enqueue(plain, { x: 2 }, { partition: P });
    second.endAll();
    await second.runtime.queues.resume(P, "default");
    await second.seen("job.completed", ({ id }) => id === other.id);
    expect(second.events.some(({ type }) => type === "job.started")).toBe(true);
    expect(cluster.starts.has(sent.id)).toBe(false);
  });

  test("a paused queue stands still on every node at once, and goes on where it stood", async () => {
    const cluster = new TestCluster(url);
    const nodes = await cluster.pair(
      { jobs, partitions: { [P]: { default: 2 } } },
      { jobs, partitions: { [P]: { default: 2 } } },
    );
    const [a, b] = nodes;
    await a.runtime.queues.pause(P, "default");
    await b.seen("queue.paused");
    const sent = await b.runtime.enqueueMany(
      plain,
      Array.from({ length: 30 }, (_, x) => ({ x })),
      { partition: P },
    );
    expect(await b.runtime.queues.list()).toMatchObject([{ ready: 30, paused: true }]);
    expect(running(...nodes)).toEqual([]);
    for (const node of nodes) node.endAll();
    await b.runtime.queues.resume(P, "default");
    await Promise.all(sent.map((one) => one.result()));
    expect([...cluster.starts.values()].every((count) => count === 1)).toBe(true);
    expect(nodes.flatMap(({ events }) => events.filter(({ type }) => type === "queue.paused"))).toHaveLength(
      2,
    );
  });

  test("a hundred pauses and resumes of an idle queue leave nothing behind", async () => {
    const cluster = new TestCluster(url);
    const [a, b] = await cluster.pair({ jobs }, { jobs });
    for (let at = 0; at < 100; at++) {
      await a.runtime.queues.pause(P, "default");
      await b.runtime.queues.resume(P, "default");
    }
    const sent = await a.runtime.enqueue(plain, { x: 1 }, { partition: P });
    a.endAll();
    b.endAll();
    await sent.result();
    expect(cluster.starts.get(sent.id)).toBe(1);
    expect(await a.runtime.queues.paused(P)).toEqual([]);
  });
});
