/**
 * Persisters on a real broker: the journal elects, the persister keeps. What is held, paused and cancelled is so on
 * whichever node rules next; a persister that fails, or that is not the one that the journal means, lets nobody rule.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { Persister } from "../../src/broker/persister.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { filesystem } from "../../src/persist/filesystem.ts";
import { until } from "../conformance/harness.ts";
import { HeapPersister } from "../persist/memory-persister.ts";
import { describeAmqp } from "./support/broker.ts";
import { type NodeOptions, P, TestCluster, type TestNode } from "./support/nodes.ts";

const unique = defineJob({
  name: "unique",
  queueKey: ({ x }: { x: number }) => `k${x}`,
  perform: () => undefined,
});
const plain = defineJob({ name: "plain", perform: (_args: { x: number }) => undefined });
const jobs = [unique, plain];
const IN = { partition: P };

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "spillway-shared-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

const shared = (path = folder): NodeOptions => ({ jobs, persister: filesystem({ path, shared: true }) });
const kept = (persister: Persister | "none"): NodeOptions => ({ jobs, persister });
const states = () => readdirSync(folder).filter((file) => file.endsWith(".state"));

const isIn = (node: TestNode, x: number) =>
  node.runtime.enqueue(unique, { x }, IN).then(
    () => true,
    () => false,
  );

describeAmqp("persisters", (url) => {
  test("filesystem without shared is refused at start, and says what to do", async () => {
    const cluster = new TestCluster(url);
    const local = cluster.node({ jobs, persister: filesystem({ path: folder }) });
    await expect(local).rejects.toMatchObject({ code: "InvalidOptions" });
    await expect(cluster.node({ persister: filesystem({ path: folder }) })).rejects.toThrow(/shared: true/);
  });

  test("a queue key is held over the end of its coordinator, and free at the end of its job", async () => {
    const cluster = new TestCluster(url);
    const [a, b] = await cluster.pair(shared(), { ...shared(), partitions: { [P]: { default: 0 } } });
    const first = await a.runtime.enqueue(unique, { x: 1 }, IN);
    await a.runtime.enqueue(unique, { x: 2 }, IN);
    await cluster.started(2);
    // whoever rules goes; the other takes what is in the folder
    const seen = b.events.length;
    const ruler = a.events.some(({ type }) => type === "coordinator.elected") ? a : b;
    expect(ruler).toBe(a);
    await a.runtime.stop();
    await b.after(seen, "coordinator.elected");
    const held = { code: "DuplicateJob", holder: first.id, by: "queueKey" };
    await expect(b.runtime.enqueue(unique, { x: 1 }, IN)).rejects.toMatchObject(held);
    await expect(b.runtime.enqueue(unique, { x: 2 }, IN)).rejects.toMatchObject({ by: "queueKey" });
    await b.runtime.partitions.reconfigure(P, { default: 5 });
    b.endAll();
    await until(
      () => isIn(b, 1),
      (is) => is,
    );
    expect(states()).toHaveLength(1);
  });

  test("a pause, a mark and a key are there again after the restart of all nodes", async () => {
    const cluster = new TestCluster(url);
    const before = await cluster.node(shared());
    await before.runtime.queues.pause(P, "default");
    await before.runtime.cancel(P, "never-seen");
    const held = await before.runtime.enqueue(unique, { x: 1 }, IN);
    await before.runtime.stop();
    const after = await cluster.node(shared());
    expect(await after.runtime.queues.paused(P)).toEqual(["default"]);
    expect(await after.runtime.isCancelled(P, "never-seen")).toBe(true);
    await expect(after.runtime.enqueue(unique, { x: 1 }, IN)).rejects.toMatchObject({ holder: held.id });
    await after.runtime.enqueue(plain, { x: 1 }, { ...IN, id: "never-seen" });
    expect(after.pool.running).toEqual([]);
    const cancelled = after.seen("job.cancelled");
    await after.runtime.queues.resume(P, "default");
    await cancelled;
    await until(
      () => after.pool.running.map(({ id }) => id),
      (ids) => ids.includes(held.id),
    );
  });

  test("a persister of the user's own keeps them, also where the broker has lost its journal", async () => {
    const own = new HeapPersister();
    const cluster = new TestCluster(url);
    const before = await cluster.node(kept(own));
    await before.runtime.queues.pause(P, "default");
    const held = await before.runtime.enqueue(unique, { x: 1 }, IN);
    expect(own.count("append")).toBeGreaterThan(1);
    await before.runtime.stop();
    expect(own.isClosed).toBe(true);
    // another prefix is a broker that has nothing
    const elsewhere = await new TestCluster(url).node(kept(own));
    expect(await elsewhere.runtime.queues.paused(P)).toEqual(["default"]);
    await expect(elsewhere.runtime.enqueue(unique, { x: 1 }, IN)).rejects.toMatchObject({ holder: held.id });
  });

  test("one without append keeps pauses and marks, and is refused for queue keys", async () => {
    const own = new HeapPersister();
    const cluster = new TestCluster(url);
    const before = await cluster.node(kept(own.withoutAppend));
    await expect(before.runtime.enqueue(unique, { x: 1 }, IN)).rejects.toMatchObject({
      code: "QueueKeyRefused",
    });
    await before.runtime.queues.pause(P, "default");
    await before.runtime.cancel(P, "a");
    await before.runtime.stop();
    const after = await cluster.node(kept(own.withoutAppend));
    expect(await after.runtime.queues.paused(P)).toEqual(["default"]);
    expect(await after.runtime.isCancelled(P, "a")).toBe(true);
  });

  test('"none" keeps keys, marks and pauses while the coordinator rules, and no longer', async () => {
    const cluster = new TestCluster(url);
    const before = await cluster.node({ ...kept("none"), partitions: { [P]: { default: 0, other: 0 } } });
    await before.runtime.enqueue(unique, { x: 1 }, IN);
    expect(await isIn(before, 1)).toBe(false);
    await before.runtime.queues.pause(P, "other");
    await before.runtime.cancel(P, "a");
    await before.runtime.stop();
    const after = await cluster.node({ ...kept("none"), partitions: { [P]: { default: 0, other: 0 } } });
    expect(await after.runtime.queues.paused(P)).toEqual([]);
    expect(await after.runtime.isCancelled(P, "a")).toBe(false);
    expect(await isIn(after, 1)).toBe(true);
  });

  test("where load fails the partition waits, with the reason, and runs by itself when that is mended", async () => {
    const own = new HeapPersister();
    const cluster = new TestCluster(url);
    const before = await cluster.node(kept(own));
    await before.runtime.queues.pause(P, "default");
    await before.runtime.stop();
    const bytes = own.kept.get(P);
    own.instead.set("load", () => Buffer.from("rubbish"));
    const after = await cluster.node({ ...kept(own), partitions: {} });
    expect(await after.runtime.partitions.start(P, { default: 5 })).toBe("waiting");
    const { error } = await after.seen("partition.waiting");
    expect(error).toMatchObject({ code: "PersisterFailed", partition: P, call: "load" });
    expect(own.kept.get(P)).toBe(bytes);
    own.instead.clear();
    await after.seen("partition.running");
    expect(await after.runtime.queues.paused(P)).toEqual(["default"]);
  });

  test("where append fails nothing is answered, and when it works again what was asked is done", async () => {
    const own = new HeapPersister();
    const cluster = new TestCluster(url);
    const node = await cluster.node(kept(own));
    await node.runtime.cancel(P, "a");
    own.instead.set("append", () => {
      throw new Error("disk full");
    });
    const lost = node.seen("coordinator.lost");
    let isAnswered = false;
    const pause = node.runtime.queues.pause(P, "default").then(() => {
      isAnswered = true;
    });
    await lost;
    expect(isAnswered).toBe(false);
    expect(await node.runtime.queues.paused(P)).toEqual([]);
    own.instead.clear();
    await pause;
    expect(await node.runtime.queues.paused(P)).toEqual(["default"]);
    expect(await node.runtime.isCancelled(P, "a")).toBe(true);
  });

  test("a producer that asks for a key is told why nobody answers", { timeout: 60_000 }, async () => {
    const own = new HeapPersister();
    const cluster = new TestCluster(url);
    await cluster.node(kept(own));
    const producer = await new TestCluster(url).node({ ...kept(own), partitions: { [P]: { default: 0 } } });
    own.instead.set("load", () => Buffer.from("rubbish"));
    const refused = producer.runtime.enqueue(unique, { x: 1 }, IN);
    await expect(refused).rejects.toMatchObject({
      code: "CoordinatorUnavailable",
      cause: { code: "PersisterFailed", call: "load" },
    });
  });

  test("a damaged file keeps the partition waiting, and stays as it is", async () => {
    const cluster = new TestCluster(url);
    const before = await cluster.node(shared());
    await before.runtime.queues.pause(P, "default");
    await before.runtime.stop();
    const [file = ""] = states();
    writeFileSync(join(folder, file), "rubbish");
    const after = await cluster.node({ ...shared(), partitions: {} });
    expect(await after.runtime.partitions.start(P, { default: 5 })).toBe("waiting");
    expect((await after.seen("partition.waiting")).error.message).toMatch(/does not begin as a state does/);
    expect(states()).toEqual([file]);
  });

  test("a folder that is not the one of the others is noticed: nobody rules from it", async () => {
    const cluster = new TestCluster(url);
    const before = await cluster.node(shared());
    await before.runtime.queues.pause(P, "default");
    await before.runtime.stop();
    const after = await cluster.node({ ...shared(join(folder, "another")), partitions: {} });
    expect(await after.runtime.partitions.start(P, { default: 5 })).toBe("waiting");
    expect((await after.seen("partition.waiting")).error.message).toMatch(
      /it has nothing, and a coordinator has stored/,
    );
    await after.runtime.stop();
    const right = await cluster.node(shared());
    expect(await right.runtime.queues.paused(P)).toEqual(["default"]);
  });

  test("a node without the persister does not rule where the others have one", async () => {
    const cluster = new TestCluster(url);
    const before = await cluster.node(shared());
    await before.runtime.queues.pause(P, "default");
    await before.runtime.stop();
    const after = await cluster.node({ jobs, partitions: {} });
    expect(await after.runtime.partitions.start(P, { default: 5 })).toBe("waiting");
    expect((await after.seen("partition.waiting")).error.message).toMatch(/give this one the same/);
  });

  test("what the journal has from before is taken over", async () => {
    const cluster = new TestCluster(url);
    const before = await cluster.node({ jobs });
    await before.runtime.queues.pause(P, "default");
    const held = await before.runtime.enqueue(unique, { x: 1 }, IN);
    await before.runtime.stop();
    for (let times = 0; times < 2; times++) {
      const after = await cluster.node(shared());
      expect(await after.runtime.queues.paused(P)).toEqual(["default"]);
      await expect(after.runtime.enqueue(unique, { x: 1 }, IN)).rejects.toMatchObject({ holder: held.id });
      await after.runtime.stop();
    }
  });
});
