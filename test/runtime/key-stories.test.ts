/**
 * Keys through whatever can happen to a job, on the embedded broker and on RabbitMQ: retry, another queue, cancel, purge,
 * burial; on RabbitMQ the death of the coordinator too. Each step at which a process can die is in `test/amqp/failpoints.test.ts`.
 */
import { expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import type { Failure } from "../../src/jobs/failure.ts";
import { describeAmqp } from "../amqp/support/broker.ts";
import { TestCluster, type TestNode } from "../amqp/support/nodes.ts";
import { TcpProxy } from "../amqp/support/proxy.ts";
import { until } from "../conformance/harness.ts";
import { onBoth, P } from "../roger/site.ts";

type X = { readonly x: number };
const keys = { queueKey: ({ x }: X) => `q${x}`, executionKey: () => "e", perform: () => undefined };
const both = defineJob({ name: "both", ...keys });
const retried = defineJob({ name: "retried", retry: { levels: [1] }, ...keys });
const jobs = [both, retried];
const FAILURE: Failure = { kind: "error", name: "Error", message: "no", stack: undefined, final: false };

const running = (...nodes: readonly TestNode[]) =>
  nodes.flatMap(({ pool }) => pool.running.map(({ id }) => id));
const runs = (node: TestNode, id: string | undefined) =>
  until(
    () => running(node),
    (ids) => ids.length === 1 && ids[0] === id,
  );
const fail = ({ pool }: TestNode) =>
  pool.finish(pool.running[0], { kind: "failed", failure: FAILURE, durationMs: 1 });
const waits = (node: TestNode, count: number) =>
  until(
    () => node.runtime.keys.holders(P),
    ([holder]) => holder?.waiting === count,
  );
const enqueue = (node: TestNode, x: number, queue?: string) =>
  node.runtime.enqueue(both, { x }, { partition: P, ...(queue === undefined ? {} : { queue }) });
const isFree = (node: TestNode, x: number) =>
  until(
    () => node.runtime.keys.isQueued(P, `q${x}`),
    (isQueued) => !isQueued,
  );

onBoth("keys", ["default", "other"], (make) => {
  test("a job that waits for its retry leaves the execution key to the next, and keeps its queue key", async () => {
    const node = await make().node({ jobs });
    const first = await node.runtime.enqueue(retried, { x: 1 }, { partition: P });
    await runs(node, first.id);
    const second = await enqueue(node, 2);
    await waits(node, 1);
    fail(node);
    await runs(node, second.id);
    await expect(enqueue(node, 1)).rejects.toMatchObject({ code: "DuplicateJob", holder: first.id });
    await waits(node, 1); // its retry is due, and it is in the line again
    node.pool.finish();
    await runs(node, first.id);
    expect(node.pool.running[0]?.attempt).toBe(1);
    node.pool.finish();
    await isFree(node, 1);
  });

  test("both keys hold over all queues of a partition", async () => {
    const node = await make().node({ jobs, partitions: { [P]: { default: 2, other: 2 } } });
    const first = await enqueue(node, 1, "other");
    await runs(node, first.id);
    await expect(enqueue(node, 1)).rejects.toMatchObject({ holder: first.id });
    const second = await enqueue(node, 2);
    await waits(node, 1);
    expect(running(node)).toEqual([first.id]);
    node.pool.finish();
    await runs(node, second.id);
    await isFree(node, 1);
    node.pool.finish();
    await isFree(node, 2);
  });

  test("a cancel of the one that runs frees both its keys, and of one that waits its queue key alone", async () => {
    const node = await make().node({ jobs });
    const [first, second, third] = await node.runtime.enqueueMany(both, [{ x: 1 }, { x: 2 }, { x: 3 }], {
      partition: P,
    });
    await runs(node, first?.id);
    await waits(node, 2);
    expect(await node.runtime.cancel(P, second?.id ?? "")).toEqual({ was: "queued" });
    await isFree(node, 2);
    expect(running(node)).toEqual([first?.id]);
    expect(await node.runtime.cancel(P, first?.id ?? "")).toEqual({ was: "running" });
    await runs(node, third?.id);
    await isFree(node, 1);
    node.pool.finish();
    await isFree(node, 3);
  });

  test("a purge frees the keys of what waits, and takes nothing from the one that runs", async () => {
    const node = await make().node({ jobs });
    const [first] = await node.runtime.enqueueMany(both, [{ x: 1 }, { x: 2 }, { x: 3 }], { partition: P });
    await runs(node, first?.id);
    await waits(node, 2);
    expect(await node.runtime.queues.purge(P, "default")).toBe(2);
    await isFree(node, 2);
    await isFree(node, 3);
    expect(running(node)).toEqual([first?.id]);
    expect(await node.runtime.keys.isQueued(P, "q1")).toBe(true);
    const next = await enqueue(node, 2);
    node.pool.finish();
    await runs(node, next.id);
    node.pool.finish();
    await isFree(node, 2);
  });

  test("a buried job whose key is another's by now stays buried, and is queued again when that has ended", async () => {
    const node = await make().node({ jobs });
    const { id } = await enqueue(node, 1);
    await runs(node, id);
    fail(node);
    await node.seen("job.buried", (event) => event.id === id);
    await isFree(node, 1);
    const rival = await enqueue(node, 1);
    await runs(node, rival.id);
    expect(await node.runtime.buried.requeue(P, "default", [id])).toMatchObject([
      { id, error: { code: "DuplicateJob", holder: rival.id } },
    ]);
    node.pool.finish();
    await isFree(node, 1);
    expect(await node.runtime.buried.requeue(P, "default", [id])).toEqual([{ id, error: undefined }]);
    await runs(node, id);
    node.pool.finish();
    await isFree(node, 1);
  });
});

describeAmqp("keys, when the coordinator dies", (url) => {
  test("who has a key keeps it, who waits has it next, and nobody's is lost", {
    timeout: 120_000,
  }, async () => {
    const proxy = await TcpProxy.to(url);
    try {
      const cluster = new TestCluster(url);
      const [seat, heir] = await cluster.pair(
        { jobs, partitions: { [P]: { default: 0 } }, rabbit: { url: proxy.url } },
        { jobs, partitions: { [P]: { default: 0 } } },
      );
      const sent = await seat.runtime.enqueueMany(both, [{ x: 1 }, { x: 2 }, { x: 3 }], { partition: P });
      await seat.seen("coordinator.elected");
      await heir.runtime.partitions.reconfigure(P, { default: 10 });
      await runs(heir, sent[0]?.id);
      await waits(heir, 2);
      proxy.refuse();
      proxy.reset();
      await heir.seen("coordinator.elected");
      expect(running(heir)).toEqual([sent[0]?.id]);
      await expect(enqueue(heir, 2)).rejects.toMatchObject({ code: "DuplicateJob", holder: sent[1]?.id });
      // nobody has a key before every listed node has announced, or is gone
      for (const one of sent) {
        await runs(heir, one.id);
        heir.pool.finish();
      }
      for (const x of [1, 2, 3]) await isFree(heir, x);
      await proxy.accept();
    } finally {
      await proxy.close();
    }
  });
});
