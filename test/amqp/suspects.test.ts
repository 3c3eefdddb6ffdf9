/**
 * Who is on a coordinator's list, and who is a suspect: what a young node may start at once, and what runs in a process
 * of its own after a node has died.
 */
import { expect, onTestFinished, test } from "vitest";
import type { Task } from "../../src/threads/types.ts";
import { describeAmqp } from "./support/broker.ts";
import { NODE_TIMEOUT_MS, P, TestCluster, type TestNode } from "./support/nodes.ts";
import { TcpProxy } from "./support/proxy.ts";

const JOBS = 6;
const Q = "default";

/** A partition has a coordinator from its first pause on. */
async function withCoordinator({ runtime }: TestNode): Promise<void> {
  await runtime.queues.pause(P, Q);
  await runtime.queues.resume(P, Q);
}

async function running(cluster: TestCluster, { runtime }: TestNode, count = JOBS): Promise<string[]> {
  const args = Array.from({ length: count }, (_, n) => ({ x: n }));
  const handles = await runtime.enqueueMany("sum", args, { partition: P });
  await cluster.started(count);
  return handles.map(({ id }) => id);
}

/** Whose connections end while it says nothing, as of a process that is killed. */
async function mortal(cluster: TestCluster, url: string): Promise<{ node: TestNode; die: () => void }> {
  const proxy = await TcpProxy.to(url);
  onTestFinished(() => proxy.close());
  const node = await cluster.node({ rabbit: { url: proxy.url } });
  const die = () => {
    proxy.refuse();
    proxy.reset();
  };
  return { node, die };
}

const suspectsOf = ({ pool }: TestNode): string[] =>
  pool.running.filter(({ inProcess }) => inProcess === true).map(({ id }) => id);

/** The process dies under this body. */
function crash({ pool }: TestNode, task: Task): void {
  const failure = {
    kind: "crash",
    name: "Crash",
    message: "SIGSEGV",
    stack: undefined,
    final: false,
  } as const;
  pool.finish(task, { kind: "failed", failure, durationMs: 1, processDied: true });
}

describeAmqp("the list of nodes", (url) => {
  test("a node that comes after the last one has left starts at once what that handed back, and suspects nobody", async () => {
    const cluster = new TestCluster(url);
    const first = await cluster.node();
    await withCoordinator(first);
    await running(cluster, first);
    await first.runtime.stop();
    const second = await cluster.node();
    const before = Date.now();
    await cluster.started(2 * JOBS);
    expect(Date.now() - before, "no silence had to be waited out").toBeLessThan(NODE_TIMEOUT_MS - 2_000);
    expect(suspectsOf(second)).toEqual([]);
    second.endAll();
  });

  test("a node that comes after one has died waits until that is gone, and suspects what it had", async () => {
    const cluster = new TestCluster(url);
    const { node: dead, die } = await mortal(cluster, url);
    await withCoordinator(dead);
    const ids = await running(cluster, dead);
    die();
    const heir = await cluster.node();
    const before = Date.now();
    await cluster.started(2 * JOBS);
    expect(Date.now() - before, "it may have been there still").toBeGreaterThan(NODE_TIMEOUT_MS / 2);
    expect(suspectsOf(heir).sort()).toEqual(ids.sort());
    heir.endAll();
  });
});

describeAmqp("a suspect", (url) => {
  test("is what a node that died had in hand, and nothing else", async () => {
    const cluster = new TestCluster(url);
    const heir = await cluster.node({ partitions: { [P]: { [Q]: 0 } } });
    const { node: dead, die } = await mortal(cluster, url);
    await cluster.met(heir, dead);
    const ids = await running(cluster, dead);
    await heir.runtime.partitions.reconfigure(P, { [Q]: 20 });
    die();
    await cluster.started(2 * JOBS);
    const fresh = await heir.runtime.enqueue("sum", { x: 1 }, { partition: P });
    await cluster.started(2 * JOBS + 1);
    expect(suspectsOf(heir).sort()).toEqual(ids.sort());
    expect(suspectsOf(heir)).not.toContain(fresh.id);
    heir.endAll();
    await Promise.all(ids.map((id) => heir.seen("job.completed", (event) => event.id === id)));
  });

  test("whose process dies is tried again with no attempt spent, and is buried as poison after maxCrashes", async () => {
    const cluster = new TestCluster(url);
    const heir = await cluster.node({ partitions: { [P]: { [Q]: 0 } }, maxCrashes: 3 });
    const { node: dead, die } = await mortal(cluster, url);
    await cluster.met(heir, dead);
    const [poison, innocent] = await running(cluster, dead, 2);
    await heir.runtime.partitions.reconfigure(P, { [Q]: 20 });
    die();
    heir.pool.onStart = (task) =>
      setImmediate(() => (task.id === poison ? crash(heir, task) : heir.pool.finish(task)));
    const buried = await heir.seen("job.buried");
    await heir.seen("job.completed", ({ id }) => id === innocent);
    expect(buried).toMatchObject({ id: poison, attempt: 0 });
    expect(heir.events.filter(({ type }) => type === "job.rescued")).toMatchObject([
      { id: poison, reason: expect.stringContaining("crash 1 of 3") },
      { id: poison, reason: expect.stringContaining("crash 2 of 3") },
    ]);
    expect(await heir.runtime.buried.list(P, Q)).toMatchObject([{ id: poison, reason: "poison" }]);
  });

  test("keeps what is counted against it when its node stops, and is buried by whoever has it then", async () => {
    const cluster = new TestCluster(url);
    const heir = await cluster.node({ partitions: { [P]: { [Q]: 0 } }, maxCrashes: 2 });
    const { node: dead, die } = await mortal(cluster, url);
    await cluster.met(heir, dead);
    const [id] = await running(cluster, dead, 1);
    await heir.runtime.partitions.reconfigure(P, { [Q]: 20 });
    die();
    let starts = 0;
    heir.pool.onStart = (task) => {
      starts += 1;
      if (starts === 1) setImmediate(() => crash(heir, task));
    };
    await heir.seen("job.rescued");
    const next = await cluster.node({ maxCrashes: 2 });
    await cluster.met(heir, next);
    next.pool.onStart = (task) => setImmediate(() => crash(next, task));
    await heir.runtime.stop();
    const buried = await next.seen("job.buried");
    expect(buried).toMatchObject({ id });
  });
});
