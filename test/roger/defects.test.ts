/**
 * Roger's ten known defects, each as the test that it would fail, on the embedded broker and on RabbitMQ.
 */
import { expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import type { Failure } from "../../src/jobs/failure.ts";
import { describeAmqp } from "../amqp/support/broker.ts";
import { TestCluster, type TestNode } from "../amqp/support/nodes.ts";
import { until } from "../conformance/harness.ts";
import { onBoth, P } from "./site.ts";

type X = { x: number };
const plain = defineJob({ name: "plain", perform: (_args: X) => undefined });
const serial = defineJob({ name: "serial", executionKey: () => "e", perform: (_args: X) => undefined });
const both = defineJob({
  name: "both",
  queueKey: ({ x }: X) => `q${x}`,
  executionKey: () => "e",
  perform: () => undefined,
});
const retried = defineJob({
  name: "retried",
  queueKey: () => "r",
  retry: { levels: [1] },
  perform: (_args: object) => undefined,
});
const jobs = [plain, serial, both, retried];
const FAILURE: Failure = { kind: "error", name: "Error", message: "no", stack: undefined, final: false };

const fail = ({ pool }: TestNode) =>
  pool.finish(pool.running[0], { kind: "failed", failure: FAILURE, durationMs: 1 });
const runs = ({ pool }: TestNode, count: number) =>
  until(
    () => pool.running.length,
    (running) => running === count,
  );
const done = (node: TestNode, id: string) => node.seen("job.completed", (event) => event.id === id);

onBoth("a defect of Roger that is none here", ["default", "other", "idle"], (make) => {
  test("1: pauses and resumes without traffic strand no delivery", async () => {
    const node = await make().node({ jobs });
    for (let cycle = 0; cycle < 3; cycle++) {
      await node.runtime.queues.pause(P, "default");
      await node.runtime.queues.resume(P, "default");
    }
    node.endAll();
    const sent = await node.runtime.enqueueMany(plain, Array(8).fill({ x: 1 }), { partition: P });
    await Promise.all(sent.map(({ id }) => done(node, id)));
  });

  test("2: a job with a queue key and an execution key that must wait runs when it is its turn", async () => {
    const node = await make().node({ jobs });
    const [first, second] = await node.runtime.enqueueMany(both, [{ x: 1 }, { x: 2 }], { partition: P });
    await runs(node, 1);
    expect(node.pool.running[0]?.id).toBe(first?.id);
    node.pool.finish();
    await until(
      () => node.pool.running[0]?.id,
      (id) => id === second?.id,
    );
    node.endAll();
    await done(node, second?.id ?? "");
  });

  test("3: cancelling a job that waits frees no key of the one that runs", async () => {
    const site = make();
    const node = await site.node({ jobs });
    const [first, second, third] = await node.runtime.enqueueMany(serial, [{ x: 1 }, { x: 2 }, { x: 3 }], {
      partition: P,
    });
    await runs(node, 1);
    await node.runtime.cancel(P, second?.id ?? "");
    await node.seen("job.cancelled", ({ id }) => id === second?.id);
    expect(node.pool.running.map(({ id }) => id)).toEqual([first?.id]);
    expect(await node.runtime.keys.isExecuting(P, "e")).toBe(true);
    node.endAll();
    await done(node, third?.id ?? "");
    expect(site.starts.has(second?.id ?? "")).toBe(false);
  });

  test("4: a queue key is held while its job waits for a retry", async () => {
    const node = await make().node({ jobs });
    const { id } = await node.runtime.enqueue(retried, {}, { partition: P });
    await runs(node, 1);
    fail(node);
    await node.seen("job.retried");
    await expect(node.runtime.enqueue(retried, {}, { partition: P })).rejects.toMatchObject({ holder: id });
  });

  test("5: a retry and a burial stay in the queue that was given in the place of the job's own", async () => {
    const node = await make().node({ jobs, partitions: { [P]: { default: 0, other: 1 } } });
    const { id } = await node.runtime.enqueue(retried, {}, { partition: P, queue: "other" });
    await runs(node, 1);
    fail(node);
    await node.seen("job.retried", ({ queue }) => queue === "other");
    await runs(node, 1);
    fail(node);
    await node.seen("job.buried", ({ queue }) => queue === "other");
    expect(await node.runtime.buried.list(P, "other")).toMatchObject([{ id }]);
    expect(await node.runtime.buried.list(P, "default")).toEqual([]);
  });

  test("6: what waits for a retry is there after every node has stopped", async () => {
    const site = make();
    const node = await site.node({ jobs });
    const { id } = await node.runtime.enqueue(retried, {}, { partition: P });
    await runs(node, 1);
    fail(node);
    await node.seen("job.retried");
    await node.runtime.stop();
    const next = await site.node({ jobs });
    next.endAll();
    await done(next, id);
  });

  test("7: a crash leaves no key held", async () => {
    const node = await make().node({ jobs });
    const [first, second] = await node.runtime.enqueueMany(both, [{ x: 1 }, { x: 2 }], { partition: P });
    await runs(node, 1);
    await node.runtime.node.forceStop(P);
    await until(
      () => node.runtime.node.isAlive(P),
      (isAlive) => isAlive,
    );
    node.endAll();
    await Promise.all([first, second].map((one) => done(node, one?.id ?? "")));
    await until(
      () => node.runtime.keys.isQueued(P, "q1"),
      (isQueued) => !isQueued,
    );
    expect(await node.runtime.keys.holders(P)).toEqual([]);
  });

  test("8: a call is held up by no node that hangs", async () => {
    const site = make();
    const node = await site.node({ jobs });
    node.runtime.system.register("slow", () => new Promise(() => {}));
    expect(await node.runtime.system.call("slow", undefined, { timeout: 100 })).toMatchObject([
      { node: node.name, ok: false, error: { code: "CallTimeout" } },
    ]);
  });

  test("9: a resume of a queue with concurrency 0 consumes nothing", async () => {
    const node = await make().node({ jobs, partitions: { [P]: { idle: 0 } } });
    await node.runtime.queues.pause(P, "idle");
    await node.runtime.queues.resume(P, "idle");
    await node.runtime.enqueueMany(plain, [{ x: 1 }, { x: 2 }], { partition: P, queue: "idle" });
    await until(
      () => node.runtime.queues.list(),
      (queues) => queues.find(({ queue }) => queue === "idle")?.ready === 2,
    );
    expect(node.pool.running).toEqual([]);
  });
});

describeAmqp("a defect of Roger that is none here", (url) => {
  test("10: two clusters on one broker do not hear each other, each under its prefix", async () => {
    const [a, b] = [new TestCluster(url), new TestCluster(url)];
    const [one, other] = [await a.node({ jobs }), await b.node({ jobs })];
    expect((await one.runtime.info.nodes()).map(({ node }) => node)).toEqual([one.name]);
    expect((await other.runtime.info.nodes()).map(({ node }) => node)).toEqual([other.name]);
    const { id } = await one.runtime.enqueue(plain, { x: 1 }, { partition: P });
    other.endAll();
    await runs(one, 1);
    one.endAll();
    await done(one, id);
    expect(other.events.some(({ type }) => type === "job.started" || type === "node.differs")).toBe(false);
  });
});
