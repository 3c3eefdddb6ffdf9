/** Jobs that run in workers outside, over RabbitMQ: retries, limits, cancels and keys across nodes, and workers that die. */
import { expect, onTestFinished, test } from "vitest";
import { type GloomGateway, gloom } from "../../src/gateways/index.ts";
import { defineJob } from "../../src/jobs/index.ts";
import { type Raw, raw } from "../gateways/gloom-support.ts";
import { describeAmqp } from "./support/broker.ts";
import { type NodeOptions, P, TestCluster, type TestNode } from "./support/nodes.ts";
import { TcpProxy } from "./support/proxy.ts";

const runsIn = { worker: "py" };
const jobs = [
  defineJob({ name: "plain", runsIn }),
  defineJob({ name: "again", runsIn, retry: { levels: [1] } }),
  defineJob({ name: "short", runsIn, maxExecutionTime: 500 }),
  defineJob({ name: "serial", runsIn, executionKey: () => "one" }),
  defineJob({ name: "single", runsIn, queueKey: () => "one" }),
];
const at = { partition: P };

interface Job {
  readonly id: string;
  readonly body: unknown;
  readonly spillway: { readonly attempt: number };
}

/** A node whose gateway takes workers. */
async function open(
  cluster: TestCluster,
  options: NodeOptions = {},
): Promise<TestNode & { gateway: GloomGateway }> {
  const gateway = gloom({ masterPort: 0, slavePort: 0 });
  return Object.assign(await cluster.node({ jobs, gateways: [gateway], ...options }), { gateway });
}

async function worker({ gateway }: { readonly gateway: GloomGateway }): Promise<Raw> {
  const peer = await raw(gateway.address?.slavePort ?? 0);
  await peer.ask({ action: "join", type: "py", spillway: 1 });
  return peer;
}

const hear = async (from: Raw): Promise<Job> => (await from.hear()) as Job;
const respond = (to: Raw, body: unknown) => to.ask({ action: "respond", body });

describeAmqp("jobs that run in workers outside", (url) => {
  test("a job of another node runs in a worker, fails, is retried after its level, and its result goes home", async () => {
    const cluster = new TestCluster(url);
    const node = await open(cluster);
    const producer = await cluster.node({ partitions: {}, jobs });
    await cluster.met(node, producer);
    const one = await worker(node);
    const handle = await producer.runtime.enqueue("again", { x: "é" }, { ...at, result: true });
    expect(await hear(one)).toMatchObject({ id: handle.id, body: { x: "é" }, spillway: { attempt: 0 } });
    await one.ask({ action: "fail", error: { name: "ValueError", message: "not yet" } });
    await node.seen("job.retried", ({ id }) => id === handle.id);
    expect(await hear(one)).toMatchObject({ id: handle.id, spillway: { attempt: 1 } });
    await respond(one, { y: 2 });
    expect(await handle.result({ timeout: "20 seconds" })).toEqual({ y: 2 });
  });

  test("past its last level it lies buried, with what the worker said, and can be put back", async () => {
    const cluster = new TestCluster(url);
    const node = await open(cluster);
    const one = await worker(node);
    const handle = await node.runtime.enqueue("plain", 1, at);
    await hear(one);
    await one.ask({ action: "fail", error: { name: "ValueError", message: "no" } });
    await node.seen("job.buried", ({ id }) => id === handle.id);
    expect(await node.runtime.buried.list(P, "default")).toMatchObject([
      { id: handle.id, error: { failure: { name: "ValueError", message: "no" } } },
    ]);
    await node.runtime.buried.requeue(P, "default", "all");
    expect(await hear(one)).toMatchObject({ id: handle.id, spillway: { attempt: 0 } });
    const since = node.events.length;
    await respond(one, 1);
    await node.after(since, "job.completed", ({ id }) => id === handle.id);
  });

  test("a cancel from another node is told to the worker, and takes what waits for one", async () => {
    const cluster = new TestCluster(url);
    const node = await open(cluster);
    const other = await cluster.node({ partitions: {}, jobs });
    await cluster.met(node, other);
    const one = await worker(node);
    const running = await other.runtime.enqueue("plain", 1, at);
    await hear(one);
    const waiting = await other.runtime.enqueue("plain", 2, at);
    while ((await node.runtime.node.runningJobs(P)).length < 2) await turn();
    expect(await other.runtime.cancel(P, running.id)).toEqual({ was: "running" });
    expect(await one.hear()).toEqual({ action: "cancel", id: running.id, reason: "cancel" });
    await other.runtime.cancel(P, waiting.id);
    await one.ask({ action: "fail" });
    await node.seen("job.cancelled", ({ id }) => id === running.id);
    await node.seen("job.cancelled", ({ id }) => id === waiting.id);
    const after = await other.runtime.enqueue("plain", 3, at);
    expect(await hear(one)).toMatchObject({ id: after.id });
    await respond(one, 3);
    await node.seen("job.completed", ({ id }) => id === after.id);
  });

  test("a time limit ends the worker's connection, and the attempt fails with a report", async () => {
    const cluster = new TestCluster(url);
    const node = await open(cluster);
    const one = await worker(node);
    const handle = await node.runtime.enqueue("short", 1, at);
    await hear(one);
    await one.rest();
    const killed = await node.seen("job.killed", ({ id }) => id === handle.id);
    expect(killed).toMatchObject({ reason: "timeout", report: { state: { worker: /^gloom/ } } });
    await node.seen("job.buried", ({ id }) => id === handle.id);
  });

  test("a dead worker's job goes to another of its node with no attempt spent; after four it fails", async () => {
    const cluster = new TestCluster(url);
    const node = await open(cluster);
    const handle = await node.runtime.enqueue("plain", 1, at);
    for (let n = 0; n < 4; n += 1) {
      const one = await worker(node);
      expect(await hear(one)).toMatchObject({ id: handle.id, spillway: { attempt: 0 } });
      one.end();
    }
    const buried = await node.seen("job.buried", ({ id }) => id === handle.id);
    expect(buried).toMatchObject({ attempt: 0 });
    expect(node.events.filter(({ type }) => type === "job.failed")).toHaveLength(1);
  });

  test("a job whose node stops goes to a worker of another node, with no attempt spent", async () => {
    const cluster = new TestCluster(url);
    const first = await open(cluster, { grace: 100 });
    const one = await worker(first);
    const handle = await first.runtime.enqueue("plain", 1, at);
    await hear(one);
    const second = await open(cluster);
    const two = await worker(second);
    await cluster.met(first, second);
    const stopped = first.runtime.stop();
    expect(await one.hear()).toMatchObject({ action: "cancel", reason: "shutdown" });
    await one.closed;
    await stopped;
    expect(await hear(two)).toMatchObject({ id: handle.id, spillway: { attempt: 0 } });
    await respond(two, 1);
    await second.seen("job.completed", ({ id }) => id === handle.id);
  });

  test("a node that loses its broker for a moment keeps the job in its worker's hands: it runs once", async () => {
    const proxy = await TcpProxy.to(url);
    onTestFinished(() => proxy.close());
    const cluster = new TestCluster(url);
    const node = await open(cluster, { rabbit: { url: proxy.url } });
    const one = await worker(node);
    const handle = await node.runtime.enqueue("plain", 1, at);
    await hear(one);
    const since = node.events.length;
    proxy.reset();
    await node.after(since, "broker.connected");
    await respond(one, 1);
    await node.after(since, "job.completed", ({ id }) => id === handle.id);
    const next = await node.runtime.enqueue("plain", 2, at);
    expect(await hear(one)).toMatchObject({ id: next.id, body: 2 });
    await respond(one, 2);
    await node.seen("job.completed", ({ id }) => id === next.id);
    expect(node.events.filter(({ type }) => type === "job.started")).toHaveLength(2);
  });

  test("without a worker a job goes back to the broker and comes again, until there is one", async () => {
    const cluster = new TestCluster(url);
    const node = await open(cluster);
    const handle = await node.runtime.enqueue("plain", 1, at);
    await node.seen("worker.missing");
    await node.seen("job.snoozed", ({ id }) => id === handle.id);
    const one = await worker(node);
    expect(await hear(one)).toMatchObject({ id: handle.id, spillway: { attempt: 0 } });
    await respond(one, 1);
    await node.seen("job.completed", ({ id }) => id === handle.id);
  });

  test("an execution key holds over workers of two nodes: its jobs never run at once", async () => {
    const cluster = new TestCluster(url);
    const nodes = [await open(cluster), await open(cluster)] as const;
    await cluster.met(...nodes);
    const workers = await Promise.all(nodes.flatMap((node) => [worker(node), worker(node)]));
    const handles = await nodes[0].runtime.enqueueMany("serial", [1, 2, 3, 4], { ...at, result: true });
    let running = 0;
    const work = async (one: Raw): Promise<void> => {
      for (;;) {
        const { body } = await hear(one);
        running += 1;
        expect(running).toBe(1);
        await one.ask({ action: "nonsense" });
        running -= 1;
        await respond(one, body);
      }
    };
    const ended = workers.map((one) => work(one).catch((error: Error) => error.message));
    const results = await Promise.all(handles.map((handle) => handle.result({ timeout: "50 seconds" })));
    expect(results).toEqual([1, 2, 3, 4]);
    for (const one of workers) one.end();
    expect(new Set(await Promise.all(ended))).toEqual(new Set(["the connection ended before a frame came"]));
  });

  test("a queue key is held while its job waits for a worker, and free once one has begun it", async () => {
    const cluster = new TestCluster(url);
    const node = await open(cluster);
    const first = await node.runtime.enqueue("single", 1, at);
    await expect(node.runtime.enqueue("single", 2, at)).rejects.toMatchObject({
      code: "DuplicateJob",
      holder: first.id,
    });
    const one = await worker(node);
    expect(await hear(one)).toMatchObject({ id: first.id, body: 1 });
    await respond(one, 1);
    await node.seen("job.completed", ({ id }) => id === first.id);
    const second = await node.runtime.enqueue("single", 3, at);
    expect(await hear(one)).toMatchObject({ id: second.id, body: 3 });
    await respond(one, 1);
    await node.seen("job.completed", ({ id }) => id === second.id);
  });
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
