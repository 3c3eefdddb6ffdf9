/**
 * `info.queuedJobs` on a real broker: what every node has in hand, then the broker's, where nobody is overtaken by looking, or
 * `deep`. No look brings a job nearer to burial, loses one, or (unless it is deep) changes the order.
 */
import { expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import { until } from "../conformance/harness.ts";
import { describeAmqp } from "./support/broker.ts";
import { P, TestCluster, type TestNode } from "./support/nodes.ts";

const plain = defineJob({ name: "plain", perform: (_args: { x: number }) => undefined });
const jobs = [plain];
/** One slot; three are in the node's hands. */
const narrow = { jobs, threads: 1, partitions: { [P]: { default: 3 } } };

async function enqueue({ runtime }: TestNode, count: number): Promise<string[]> {
  const args = Array.from({ length: count }, (_, x) => ({ x }));
  return (await runtime.enqueueMany(plain, args, { partition: P })).map(({ id }) => id);
}

const inHand = ({ runtime }: TestNode, waiting: number) =>
  until(
    () => runtime.node.partitions(),
    ({ p }) => p?.default?.running === 1 && p.default.waiting === waiting,
  );

/** Each node tells of its own in order; between nodes the older id goes first. */
const list = async ({ runtime }: TestNode, options = {}) => {
  const { jobs: found, complete } = await runtime.info.queuedJobs(P, "default", options);
  return { ids: found.map(({ envelope }) => envelope.id), nodes: found.map(({ node }) => node), complete };
};

/** Ends one body after the other; the order in which they ran, none with an attempt spent. */
async function order(node: TestNode, count: number): Promise<string[]> {
  const ran: string[] = [];
  while (ran.length < count) {
    const [task] = await until(
      () => node.pool.running,
      (running) => running.length > 0,
    );
    expect(task?.attempt).toBe(0);
    ran.push(task?.id ?? "");
    node.pool.finish(task);
  }
  return ran;
}

describeAmqp("queued jobs", (url) => {
  test("where the only consumer is full the broker is read on, and the order stays", async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node(narrow);
    const ids = await enqueue(node, 12);
    await inHand(node, 2);
    for (let looks = 0; looks < 10; looks++) {
      const { ids: listed, nodes } = await until(
        () => list(node),
        ({ complete }) => complete,
      );
      expect(listed).toEqual(ids.slice(1));
      expect(nodes).toEqual([node.name, node.name, ...Array(9).fill(undefined)]);
    }
    expect(await order(node, 12)).toEqual(ids);
    expect(await node.runtime.buried.list(P, "default")).toEqual([]);
  });

  test("each look at a full queue leaves its turn to a body that ends meanwhile", async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node(narrow);
    const ids = await enqueue(node, 40);
    await inHand(node, 2);
    const looks = (async () => {
      for (let n = 0; n < 10; n++) await list(node, { limit: 5 });
    })();
    expect(await order(node, 40)).toEqual(ids);
    await looks;
  });

  test("what several nodes hold is gathered; behind that the broker is not read while one of them could be overtaken", async () => {
    const cluster = new TestCluster(url);
    const [a, b] = await cluster.pair(narrow, narrow);
    const ids = await enqueue(a, 12);
    await Promise.all([inHand(a, 2), inHand(b, 2)]);
    const running = [...a.pool.running, ...b.pool.running].map(({ id }) => id);
    const held = ids.slice(0, 6).filter((id) => !running.includes(id));
    for (const node of [a, b]) {
      const seen = await list(node);
      expect(new Set(seen.ids)).toEqual(new Set(held));
      expect(new Set(seen.nodes)).toEqual(new Set([a.name, b.name]));
      expect(seen.complete).toBe(false);
    }
    const deep = await list(a, { deep: true });
    expect(deep.ids.slice(held.length)).toEqual(ids.slice(6));
    const { ids: five, complete } = await list(a, { deep: true, limit: 5 });
    expect({ last: five[4], complete }).toEqual({ last: ids[6], complete: false });
    for (const node of [a, b]) node.endAll();
    await cluster.started(12);
    expect([...cluster.starts.values()]).toEqual(Array(12).fill(1));
  });

  test("a paused queue is shown whole, what nodes hold of it first; thirty looks change nothing", async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node(narrow);
    const ids = await enqueue(node, 12);
    await inHand(node, 2);
    await node.runtime.queues.pause(P, "default");
    for (let looks = 0; looks < 30; looks++) {
      const seen = await until(
        () => list(node),
        ({ complete }) => complete,
      );
      expect(seen.ids).toEqual(ids.slice(1));
    }
    await node.runtime.queues.resume(P, "default");
    expect(await order(node, 12)).toEqual(ids);
  });

  test("what nobody consumes is shown from any node, also by a producer", async () => {
    const cluster = new TestCluster(url);
    const [owner, producer] = await cluster.pair(
      { jobs, partitions: { [P]: { default: 0 } } },
      { jobs, partitions: {} },
    );
    const ids = await enqueue(producer, 5);
    expect(await list(producer)).toEqual({ ids, nodes: Array(5).fill(undefined), complete: true });
    expect(await list(owner, { limit: 2 })).toMatchObject({ ids: ids.slice(0, 2), complete: false });
    await expect(producer.runtime.info.queuedJobs(P, "nope")).rejects.toMatchObject({
      code: expect.stringMatching(/^Unknown/),
    });
  });
});
