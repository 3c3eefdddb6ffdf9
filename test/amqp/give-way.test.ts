/**
 * A saturated node gives back what another node could run: to whom, what stays, and that nothing is spent or run twice.
 */
import { expect, test } from "vitest";
import type { EventType } from "../../src/actors/events.ts";
import type { Task } from "../../src/threads/types.ts";
import { until } from "../conformance/harness.ts";
import { describeVersions } from "./support/broker.ts";
import { P, TestCluster, type TestNode } from "./support/nodes.ts";

const isOf = (id: string) => (event: { readonly id: string }) => event.id === id;

const idsOf = ({ events }: TestNode, type: EventType) =>
  events.filter((event) => event.type === type).map((event) => (event as unknown as { id: string }).id);

/** One body that does not end, and nothing beside it. */
async function saturate(node: TestNode): Promise<Task> {
  await node.runtime.enqueue("sum", { x: 0 }, { partition: P, id: "long" });
  await node.seen("job.started", isOf("long"));
  const [task] = node.pool.running;
  if (task === undefined) throw new Error("it runs");
  return task;
}

async function waiting(node: TestNode, count: number): Promise<void> {
  const seen = () => node.events.filter(({ type }) => type === "job.waiting").length;
  while (seen() < count) await node.after(node.events.length, "job.waiting");
}

describeVersions("a node whose slots are taken", (url) => {
  test("gives what waits to a node with free slots, in order and with no attempt spent; what has a key stays, and it takes again", {
    timeout: 90_000,
  }, async () => {
    const cluster = new TestCluster(url());
    const full = await cluster.node({ threads: 1 });
    const long = await saturate(full);
    const ids = ["a", "b", "c", "d"];
    for (const id of ids) await full.runtime.enqueue("sum", { x: 1 }, { partition: P, id });
    await full.runtime.enqueue("hold", { executionKey: "k" }, { partition: P, id: "keyed" });
    await waiting(full, 5);

    const free = await cluster.node({ threads: 4 });
    const attempts: number[] = [];
    free.pool.onStart = (task) => {
      attempts.push(task.attempt);
      cluster.starts.set(task.id, (cluster.starts.get(task.id) ?? 0) + 1);
      setImmediate(() => free.pool.finish(task));
    };
    await Promise.all(ids.map((id) => free.seen("job.completed", isOf(id))));
    expect(idsOf(free, "job.started")).toEqual(ids);
    expect(attempts).toEqual([0, 0, 0, 0]);
    expect(full.pool.running).toEqual([long]);

    full.endAll();
    await full.seen("job.completed", isOf("keyed"));
    await free.runtime.node.queues.pause(P, "default");
    await full.runtime.enqueue("sum", { x: 1 }, { partition: P, id: "next" });
    await full.seen("job.completed", isOf("next"));
    expect([...cluster.starts.values()].every((n) => n === 1)).toBe(true);
    expect(cluster.starts.size).toBe(7);
  });

  test("is told of no room by a node whose own slots or places are taken, or that does not take from the queue", {
    timeout: 60_000,
  }, async () => {
    const cluster = new TestCluster(url());
    const asker = await cluster.node({ threads: 1, partitions: {} });
    const [idle, small] = [
      await cluster.node({ threads: 1 }),
      await cluster.node({ threads: 2, partitions: { [P]: { default: 0 } } }),
    ];
    await cluster.met(asker, idle, small);
    const room = async () => {
      const queues = [{ partition: P, queue: "default" }, { partition: P, queue: "other" }, "anything"];
      const answers = await asker.runtime.system.call("info.room", queues);
      return Object.fromEntries(answers.map((one) => [one.node, one.ok ? one.value : one.error]));
    };
    // one that is new has none
    const roomOn = ({ name }: TestNode) =>
      until(room, ({ [name]: told }) => Array.isArray(told) && told.length > 0);
    expect(await roomOn(idle)).toEqual({ [asker.name]: [], [idle.name]: [0], [small.name]: [] });
    await saturate(idle);
    await small.runtime.partitions.reconfigure(P, { default: 1 });
    expect(await roomOn(small)).toEqual({ [asker.name]: [], [idle.name]: [], [small.name]: [0] });
    await asker.runtime.enqueue("sum", { x: 0 }, { partition: P });
    await asker.runtime.enqueue("sum", { x: 0 }, { partition: P });
    await small.seen("job.started");
    expect((await room())[small.name]).toEqual([]);
    small.endAll();
    await small.seen("job.completed");
    await small.runtime.node.queues.pause(P, "default");
    expect((await room())[small.name]).toEqual([]);
  });

  test("is told of no room by a node that is new: there, what is handed back would wait for who may have had it", async () => {
    const cluster = new TestCluster(url());
    const asker = await cluster.node({ threads: 1, partitions: {} });
    const idle = await cluster.node({ threads: 1, nodeTimeout: "1 hour" });
    await cluster.met(asker, idle);
    const answers = await asker.runtime.system.call("info.room", [{ partition: P, queue: "default" }]);
    expect(answers.find(({ node }) => node === idle.name)).toMatchObject({ ok: true, value: [] });
  });
});
