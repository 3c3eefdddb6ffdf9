/**
 * Nodes of one cluster: how they find each other, ask each other, miss each other; results, cancels and deploys across them.
 */
import { connect } from "amqplib";
import { expect, onTestFinished, test } from "vitest";
import type { QueueRef } from "../../src/broker/contract.ts";
import { defineJob } from "../../src/jobs/index.ts";
import { until } from "../conformance/harness.ts";
import { describeAmqp } from "./support/broker.ts";
import { P, TestCluster } from "./support/nodes.ts";
import { TcpProxy } from "./support/proxy.ts";

const Q: QueueRef = { partition: P, queue: "default" };
const NONE = { partitions: { [P]: { default: 0 } } };

describeAmqp("nodes", (url) => {
  test("nodes hear of each other, and of a farewell at once", async () => {
    const cluster = new TestCluster(url);
    const a = await cluster.node();
    const b = await cluster.node();
    await a.seen("node.up", ({ name }) => name === b.name);
    const left = a.seen("node.gone", ({ name }) => name === b.name);
    const before = Date.now();
    await b.runtime.stop();
    await left;
    expect(Date.now() - before, "no silence had to be waited out").toBeLessThan(5_000);
  });

  test("a silent node is late first and gone then; one that comes back is up again", async () => {
    const proxy = await TcpProxy.to(url);
    onTestFinished(() => proxy.close());
    const cluster = new TestCluster(url);
    const [a, b] = await cluster.pair({}, { rabbit: { url: proxy.url } });
    const since = a.events.length;
    proxy.refuse();
    proxy.reset();
    const gone = await a.after(since, "node.gone", ({ name }) => name === b.name);
    const late = a.events.slice(since).find(({ type }) => type === "node.late");
    if (late !== undefined) expect(late.at).toBeLessThanOrEqual(gone.at);
    const again = a.events.length;
    await proxy.accept();
    await a.after(again, "node.up", ({ name }) => name === b.name);
  });

  test("an id is its partition's: two jobs of one id run at once, each once", async () => {
    const cluster = new TestCluster(url, [Q, { partition: "other", queue: "default" }]);
    const node = await cluster.node({ partitions: { [P]: { default: 5 }, other: { default: 5 } } });
    const partitions = [P, "other"];
    await Promise.all(
      partitions.map((partition) => node.runtime.enqueue("sum", { x: 1 }, { partition, id: "one" })),
    );
    await cluster.started(2);
    expect(node.pool.running.map(({ partition }) => partition).sort()).toEqual(["other", P]);
    node.endAll();
    for (const partition of partitions)
      await node.seen("job.completed", (event) => event.partition === partition);
  });

  test("a call has one entry a node; a node that hangs is late in its place and holds up nobody", async () => {
    const cluster = new TestCluster(url);
    const [a, b] = await cluster.pair();
    a.runtime.system.register("size", (args) => ({ args, from: "a" }));
    b.runtime.system.register("size", () => new Promise(() => undefined));
    const answers = await a.runtime.system.call("size", [1], { timeout: 300 });
    expect(answers).toMatchObject([
      { node: a.name, ok: true, value: { args: [1], from: "a" } },
      { node: b.name, ok: false, error: { code: "CallTimeout" } },
    ]);
    const unknown = await b.runtime.system.call("no-such-command");
    expect(unknown.map(({ ok }) => ok)).toEqual([false, false]);
    expect(unknown).toMatchObject([
      { error: { code: "UnknownCommand" } },
      { error: { code: "UnknownCommand" } },
    ]);
  });

  test("a cast reaches every node", async () => {
    const cluster = new TestCluster(url);
    const nodes = await cluster.pair();
    const heard: string[] = [];
    for (const node of nodes)
      node.runtime.system.register("note", (args) => void heard.push(`${node.name} ${String(args)}`));
    nodes[0].runtime.system.cast("note", "hello");
    await until(
      () => heard,
      (all) => all.length === 2,
    );
    expect(heard.sort()).toEqual(nodes.map((node) => `${node.name} hello`).sort());
  });

  test("a producer without partitions enqueues to any queue that exists, and has the result sent home", async () => {
    const cluster = new TestCluster(url);
    const [worker, producer] = await cluster.pair({}, { partitions: {} });
    worker.pool.onStart = (task) =>
      setImmediate(() =>
        worker.pool.finish(task, { kind: "completed", value: new Map([["n", 3]]), durationMs: 1 }),
      );
    expect(await producer.runtime.execute("sum", { x: 1 }, { partition: P, timeout: "20 seconds" })).toEqual(
      new Map([["n", 3]]),
    );
    const asked = await producer.runtime.enqueue("sum", { x: 2 }, { partition: P });
    expect(await asked.result({ timeout: "20 seconds" }), "asked for, not sent").toEqual(new Map([["n", 3]]));
    const late = await producer.runtime.enqueue("sum", { x: 3 }, { partition: P });
    await worker.seen("job.completed", ({ id }) => id === late.id);
    expect(await late.result({ timeout: "20 seconds" }), "remembered by the node that ran it").toEqual(
      new Map([["n", 3]]),
    );
    await expect(producer.runtime.enqueue("sum", { x: 1 }, { partition: "nowhere" })).rejects.toMatchObject({
      code: "UnknownQueue",
    });
    await expect(
      producer.runtime.enqueue("sum", { x: 1 }, { partition: "nowhere", delay: 5_000 }),
    ).rejects.toMatchObject({ code: "UnknownQueue" });
  });

  test("a job that was buried on another node rejects the result of the node that waits", async () => {
    const cluster = new TestCluster(url);
    const [worker, producer] = await cluster.pair({}, { partitions: {} });
    const failure = { kind: "error", name: "Error", message: "no", stack: undefined, final: true } as const;
    worker.pool.onStart = (task) =>
      setImmediate(() => worker.pool.finish(task, { kind: "failed", failure, durationMs: 1 }));
    const handle = await producer.runtime.enqueue("sum", { x: 1 }, { partition: P, result: true });
    await expect(handle.result({ timeout: "20 seconds" })).rejects.toMatchObject({
      code: "JobBuried",
      record: { error: { message: "no" } },
    });
  });

  test("a deploy that adds a job type buries nothing: what one node does not know waits for those that do", {
    timeout: 90_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const fresh = defineJob({ name: "fresh", perform: () => undefined });
    const old = await cluster.node({ jobs: new URL("../fixtures/runtime/sum.mjs", import.meta.url) });
    const producer = await cluster.node({ partitions: {} });
    await cluster.met(old, producer);
    const handles = await producer.runtime.enqueueMany(fresh, [undefined, undefined, undefined], {
      partition: P,
    });
    const known = await cluster.node({ jobs: [new URL("../fixtures/amqp/fresh.mjs", import.meta.url).href] });
    known.endAll();
    await Promise.all(handles.map(({ id }) => known.seen("job.completed", (event) => event.id === id)));
    const buried = [old, known, producer].flatMap(({ events }) =>
      events.filter(({ type }) => type === "job.buried"),
    );
    expect(buried).toEqual([]);
    expect([...cluster.starts.values()]).toEqual([1, 1, 1]);
  });

  test("a name that no live node knows is buried, when the job is older than unknownJobGrace", {
    timeout: 60_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const nobody = defineJob({ name: "nobody", perform: () => undefined });
    const [a] = await cluster.pair({ unknownJobGrace: 0 }, { ...NONE, unknownJobGrace: 0 });
    const { id } = await a.runtime.enqueue(nobody, { partition: P });
    await a.seen("job.buried", (event) => event.id === id && event.reason === "unknown-job");
    expect(await a.runtime.buried.list(P, "default")).toMatchObject([
      { id, job: "nobody", reason: "unknown-job" },
    ]);
  });

  test("a job is cancelled from any node wherever it is: in some node's hands it ends, on the broker it is marked and never starts", async () => {
    const cluster = new TestCluster(url);
    const [worker, other] = await cluster.pair({ partitions: { [P]: { default: 1 } } }, { partitions: {} });
    const running = await other.runtime.enqueue("sum", { x: 1 }, { partition: P });
    await cluster.started(1);
    expect(await other.runtime.cancel(P, running.id)).toEqual({ was: "running" });
    await worker.seen("job.cancelled", ({ id }) => id === running.id);
    await worker.runtime.node.queues.pause(P, "default");
    const waiting = await other.runtime.enqueue("sum", { x: 2 }, { partition: P });
    expect(await other.runtime.cancel(P, waiting.id)).toEqual({ was: "marked" });
    await worker.runtime.node.queues.resume(P, "default");
    await worker.seen("job.cancelled", ({ id }) => id === waiting.id);
    expect(cluster.starts.has(waiting.id)).toBe(false);
  });

  test("a pause on one node leaves the others working; what it held keeps its place", async () => {
    const cluster = new TestCluster(url);
    const [a, b] = await cluster.pair();
    await a.runtime.node.queues.pause(P, "default");
    expect(await a.runtime.node.queues.list(P)).toEqual([
      { queue: "default", concurrency: 10, paused: true },
    ]);
    b.endAll();
    const handles = await a.runtime.enqueueMany(
      "sum",
      Array.from({ length: 30 }, (_, x) => ({ x })),
      { partition: P },
    );
    await Promise.all(handles.map(({ id }) => b.seen("job.completed", (event) => event.id === id)));
    expect(a.events.some(({ type }) => type === "job.started")).toBe(false);
    await a.runtime.node.queues.resume(P, "default");
    await expect(a.runtime.node.queues.pause(P, "none")).rejects.toMatchObject({ code: "UnknownQueue" });
    await expect(a.runtime.node.queues.pause("none", "x")).rejects.toMatchObject({
      code: "PartitionNotRunning",
    });
  });

  test("a purge reaches what other nodes hold, and leaves what runs", async () => {
    const cluster = new TestCluster(url);
    const one = { threads: 1, partitions: { [P]: { default: 5 } } };
    const [a, b] = await cluster.pair(one, one);
    await a.runtime.enqueueMany(
      "sum",
      Array.from({ length: 40 }, (_, x) => ({ x })),
      { partition: P },
    );
    await cluster.started(2);
    expect(await a.runtime.queues.purge(P, "default")).toBe(38);
    const purged = [a, b].flatMap(({ events }) => events.filter(({ type }) => type === "job.purged"));
    expect(purged).toHaveLength(38);
    a.endAll();
    b.endAll();
    await until(
      () => [a, b].flatMap(({ events }) => events.filter(({ type }) => type === "job.completed")),
      (ended) => ended.length === 2,
    );
  });

  test("two nodes of one name, and two clusters under one prefix, are told in words", async () => {
    const cluster = new TestCluster(url);
    const sum = new URL("../fixtures/runtime/sum.mjs", import.meta.url);
    const a = await cluster.node({ jobs: sum });
    const b = await cluster.node({ jobs: [new URL("../fixtures/amqp/fresh.mjs", import.meta.url).href] });
    const told = await a.seen("node.differs", ({ name }) => name === b.name);
    expect(told.difference).toMatch(/two clusters, give each a prefix/);
    await cluster.node({ node: a.name, partitions: {} });
    const same = await a.seen("node.differs", ({ name }) => name === a.name);
    expect(same.difference).toMatch(/calls itself by this node's name/);
  });

  test("what is not from a node of ours is passed over", async () => {
    const cluster = new TestCluster(url);
    const [a] = await cluster.pair();
    const connection = await connect(url);
    onTestFinished(() => connection.close());
    const channel = await connection.createConfirmChannel();
    const noise = [
      '["hello","x","y",{"version":1,"says":{"jobs":[1],"queues":[null],"queueType":"q"}}]',
      '["ask","x","y",[[1],["a",null,0,0]]]',
      '["ended","x","y",{}]',
      '["answer","x","y",7]',
      "",
      "{}",
      "[1]",
      '["call","x","y",null]',
      '["claims","x","y",[["a"]]]',
      '["cast","x","y",{}]',
      '["announce","x","y",{"version":"1"}]',
      "\u0000\u0001",
    ];
    for (const text of noise) channel.publish(`${cluster.prefix}.$system`, "control", Buffer.from(text));
    await channel.waitForConfirms();
    const answers = await a.runtime.info.nodes();
    expect(answers.filter(({ ok }) => ok)).toHaveLength(2);
    expect(await a.runtime.queues.list()).toMatchObject([{ ...Q, ready: 0 }]);
  });
});
