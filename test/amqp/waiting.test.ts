/**
 * Jobs that wait: retries and delays in their own time, no long one before a short one, nothing lost to a killed broker;
 * and queues that are read with more, less, or nothing for a while.
 */
import { expect, onTestFinished, test } from "vitest";
import type { EventType } from "../../src/actors/events.ts";
import { until } from "../conformance/harness.ts";
import { describeAmqp, describePrivate, PrivateBroker } from "./support/broker.ts";
import { P, TestCluster, type TestNode } from "./support/nodes.ts";

const startedAt = (node: TestNode, id: string) =>
  node.seen("job.started", (event) => event.id === id).then(({ at }) => at);

describeAmqp("delays", (url) => {
  test("delayed jobs start within a second of their time, whatever was enqueued before them", {
    timeout: 60_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node();
    node.endAll();
    // the ladder is declared at first need; its time is not the job's
    for (const delay of [7_000, 1_000]) await node.runtime.enqueue("sum", { x: 0 }, { partition: P, delay });
    const delays = [7_000, 1_000, 5_000, 3_000, 2_000, 6_000, 1_500];
    const due = new Map<string, number>();
    for (const delay of delays) {
      const runAt = Date.now() + delay;
      const { id } = await node.runtime.enqueue("sum", { x: delay }, { partition: P, runAt });
      due.set(id, runAt);
    }
    for (const [id, at] of due) {
      const late = (await startedAt(node, id)) - at;
      expect(late).toBeGreaterThanOrEqual(0);
      // the second that it is rounded up to, and what a busy machine takes
      expect(late).toBeLessThan(1_000 + 1_500);
    }
  });

  test("what waits in a delay or retry queue when its queue is purged is purged when it comes, what is put off later runs", {
    timeout: 60_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const [node, other] = await cluster.pair();
    const failure = { kind: "error", name: "Error", message: "no", stack: undefined, final: false } as const;
    const outcome = { kind: "failed", failure, durationMs: 1 } as const;
    const all = [node, other];
    for (const { pool } of all)
      pool.onStart = (task) => {
        if (task.id === "retried") setImmediate(() => pool.finish(task, outcome));
        else setImmediate(() => pool.finish(task));
      };
    const in2s = { partition: P, delay: "2 seconds" } as const;
    await node.runtime.enqueue("flaky", {}, { partition: P, id: "retried" });
    const seen = (type: EventType, id: string) =>
      Promise.race(all.map((one) => one.seen(type, (event) => (event as { id?: string }).id === id)));
    // its second retry is the longer one
    const again = ({ id, attempt }: { id: string; attempt: number }) => id === "retried" && attempt === 1;
    await Promise.race(all.map((one) => one.seen("job.retried", again)));
    const delayed = await node.runtime.enqueue("sum", { x: 1 }, { ...in2s, id: "delayed" });
    const keyed = await node.runtime.enqueue("hold", { queueKey: "k" }, { ...in2s, id: "keyed" });
    expect(await other.runtime.queues.purge(P, "default")).toBe(0);
    await node.runtime.enqueue("sum", { x: 1 }, { ...in2s, id: "later" });
    for (const id of ["delayed", "keyed", "retried"]) await seen("job.purged", id);
    await seen("job.completed", "later");
    await expect(delayed.result()).rejects.toMatchObject({ code: "JobPurged" });
    await expect(keyed.result()).rejects.toMatchObject({ code: "JobPurged" });
    expect(await node.runtime.keys.isQueued(P, "k")).toBe(false);
    const ended = all.flatMap(({ events }) => events.filter(({ type }) => type === "job.completed"));
    expect(ended).toHaveLength(1);
  });

  test("a retry waits its level, a snooze its own time; attempts and history travel along", {
    timeout: 60_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node({ retryLevels: [1, 2] });
    const failure = {
      kind: "error",
      name: "Error",
      message: "not yet",
      stack: "at x",
      final: false,
    } as const;
    const seen: number[] = [];
    node.pool.onStart = (task) => {
      seen.push(task.attempt);
      const outcomes = [
        { kind: "failed", failure, durationMs: 1 },
        { kind: "snoozed", delayMs: 1_000, durationMs: 1 },
        { kind: "failed", failure, durationMs: 1 },
        { kind: "failed", failure, durationMs: 1 },
      ] as const;
      const outcome = outcomes[seen.length - 1];
      if (outcome !== undefined) setImmediate(() => node.pool.finish(task, outcome));
    };
    const { id } = await node.runtime.enqueue("flaky", { path: "none", failures: 9 }, { partition: P });
    const buried = await node.seen("job.buried", (event) => event.id === id);
    expect(seen).toEqual([0, 1, 1, 2]);
    expect(buried).toMatchObject({ reason: "failed" });
    const [grave] = await node.runtime.buried.list(P, "default");
    expect(grave).toMatchObject({
      id,
      attempt: 2,
      history: [{ attempt: 0 }, { attempt: 1 }, { attempt: 2 }],
    });
    expect(grave?.history[0]).toMatchObject({ message: "not yet", stack: "at x" });
  });
});

describePrivate("delays and a broker that is killed", () => {
  test("jobs that wait in retry and delay queues are all there after a kill, and each runs", {
    timeout: 180_000,
  }, async () => {
    const private_ = await PrivateBroker.start();
    onTestFinished(() => private_.dispose());
    const cluster = new TestCluster(private_.url);
    const node = await cluster.node();
    node.endAll();
    const ids: string[] = [];
    for (const delay of [6_000, 8_000, 10_000]) {
      const args = Array.from({ length: 100 }, (_, x) => ({ x }));
      const handles = await node.runtime.enqueueMany("sum", args, { partition: P, delay });
      ids.push(...handles.map((handle) => handle.id));
    }
    await private_.settle();
    await private_.kill();
    await private_.restart();
    await Promise.all(ids.map((id) => node.seen("job.completed", (event) => event.id === id)));
    const completed = node.events.filter(({ type }) => type === "job.completed");
    expect(new Set(completed.map((event) => (event as { id?: string }).id)).size).toBe(ids.length);
  });
});

describeAmqp("reading a queue", (url) => {
  const many = (count: number) => Array.from({ length: count }, (_, x) => ({ x }));

  test("concurrency is raised and lowered under load: nothing is lost, nothing runs twice", {
    timeout: 60_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node();
    node.endAll();
    const handles = await node.runtime.enqueueMany("sum", many(2_000), { partition: P });
    for (const concurrency of [1, 50, 5, 100, 2, 20]) {
      const done = node.events.filter(({ type }) => type === "job.completed").length;
      await node.runtime.partitions.reconfigure(P, { default: concurrency });
      await until(
        () => node.events.filter(({ type }) => type === "job.completed").length,
        (count) => count >= Math.min(handles.length, done + 100),
      );
    }
    await Promise.all(handles.map(({ id }) => node.seen("job.completed", (event) => event.id === id)));
    expect([...cluster.starts.values()].every((count) => count === 1)).toBe(true);
  });

  test("a hundred pauses and resumes leave order, attempts and counts as they were", {
    timeout: 60_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node({ threads: 1, partitions: { [P]: { default: 10 } } });
    const handles = await node.runtime.enqueueMany("sum", many(40), { partition: P });
    await cluster.started(1);
    for (let cycle = 0; cycle < 100; cycle++) {
      await node.runtime.node.queues.pause(P, "default");
      await node.runtime.node.queues.resume(P, "default");
    }
    node.endAll();
    await Promise.all(handles.map(({ id }) => node.seen("job.completed", (event) => event.id === id)));
    expect([...cluster.starts.keys()]).toEqual(handles.map(({ id }) => id));
    expect([...cluster.starts.values()]).toEqual(handles.map(() => 1));
    const [queue] = await node.runtime.queues.list();
    expect(queue).toMatchObject({ ready: 0, unsettled: 0, buried: 0 });
  });

  test("a partition that stops hands back what it held in order, and the next node goes on with it", {
    timeout: 90_000,
  }, async () => {
    const cluster = new TestCluster(url);
    const first = await cluster.node({ threads: 1, partitions: { [P]: { default: 30 } } });
    const handles = await first.runtime.enqueueMany("sum", many(60), { partition: P });
    await cluster.started(1);
    await first.runtime.partitions.stop(P);
    first.endAll();
    await first.runtime.partitions.start(P, { default: 30 });
    await Promise.all(handles.map(({ id }) => first.seen("job.completed", (event) => event.id === id)));
    const order = [...cluster.starts.keys()];
    // what came back is flagged, and is asked about before it starts: others may overtake it, none of its own
    const ids = handles.map(({ id }) => id);
    for (const part of [ids.slice(0, 30), ids.slice(30)])
      expect(order.filter((id) => part.includes(id))).toEqual(part);
    expect(cluster.starts.get(handles[0]?.id ?? ""), "its body was ended by the stop").toBe(2);
    expect([...cluster.starts.values()].slice(1)).toEqual(handles.slice(1).map(() => 1));
  });
});
