/**
 * Bindings when things go wrong or change: exchanges that differ, are missing, are deleted or go with their broker; bindings
 * that only some nodes have; connections that break and nodes that are killed while a body runs for such a message.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ForeignMessage } from "../../src/broker/foreign.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import type { BindingOptions } from "../../src/runtime/queue-options.ts";
import { until } from "../conformance/harness.ts";
import { describeAmqp, describePrivate, freshPrefix, PrivateBroker } from "./support/broker.ts";
import { cleanUpPrefix } from "./support/made.ts";
import { NodeProcess } from "./support/node-process.ts";
import { type NodeOptions, P, TestCluster, type TestNode } from "./support/nodes.ts";
import { OtherSystem } from "./support/other-system.ts";
import { TcpProxy } from "./support/proxy.ts";

const order = defineJob({ name: "order", perform: (_args: { n: number }) => undefined });
const unique = defineJob({
  name: "unique",
  queueKey: () => "k",
  perform: (_args: { n: number }) => undefined,
});
const jobs = [order, unique];
const toJob = (message: ForeignMessage) => ({ job: order, args: JSON.parse(message.content.toString()) });

const queues = (...bindings: BindingOptions[]) => ({ default: { concurrency: 10, bindings } });
const bound = (...bindings: BindingOptions[]): NodeOptions => ({
  jobs,
  partitions: { [P]: queues(...bindings) },
});
const fanout = (exchange: string, more: Partial<BindingOptions> = {}): BindingOptions => ({
  exchange,
  type: "fanout",
  toJob,
  ...more,
});

const ran = (node: TestNode, count = 1) =>
  until(
    () => node.pool.running.map(({ argsText }) => argsText),
    (args) => args.length >= count,
  );

const isReady = (node: TestNode, count: number) =>
  until(
    () => node.runtime.queues.list(),
    ([queue]) => queue?.ready === count,
  );

describeAmqp("a binding", (url) => {
  test("to an exchange of another kind: the partition waits, is told why, and starts when it is gone", async () => {
    const other = await OtherSystem.on(url);
    const exchange = await other.exchange("topic");
    const cluster = new TestCluster(url);
    const node = await cluster.node({ jobs, partitions: {} });
    expect(await node.runtime.partitions.start(P, queues(fanout(exchange)))).toBe("waiting");
    const { error } = await node.seen("partition.waiting");
    expect(error).toMatchObject({ code: "TopologyConflict" });
    expect(error.message).toContain(
      `exchange ${exchange} exists with other arguments: type is topic there, and would be fanout here`,
    );
    await other.channel.deleteExchange(exchange);
    await node.seen("partition.running");
    await other.publish(exchange, "", { n: 1 }, { messageId: "m1" });
    expect(await ran(node)).toEqual(['{"n":1}']);
  });

  test("that declares nothing: while its exchange is missing the partition waits, in words", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const node = await cluster.node({ jobs, partitions: {} });
    const binding = { exchange, declare: false, routingKey: "a.#", toJob };
    expect(await node.runtime.partitions.start(P, queues(binding))).toBe("waiting");
    const { error } = await node.seen("partition.waiting");
    expect(error.message).toContain(`exchange ${exchange} is not there, and its binding says declare: false`);
    await other.channel.assertExchange(exchange, "topic", { durable: false });
    await node.seen("partition.running");
    await other.publish(exchange, "a.b", { n: 1 }, { messageId: "m1" });
    expect(await ran(node)).toEqual(['{"n":1}']);
  });

  test("whose exchange is deleted is made again within seconds", { timeout: 60_000 }, async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const node = await cluster.node(bound(fanout(exchange)));
    await other.channel.deleteExchange(exchange);
    const sender = await OtherSystem.on(url);
    await until(
      () => sender.publish(exchange, "", { n: 1 }).then(() => node.pool.running.length > 0, reopened(sender)),
      (arrived) => arrived,
    );
  });

  test("that is left out of a reconfiguration is taken away", async () => {
    const other = await OtherSystem.on(url);
    const [kept, left] = [other.name(), other.name()];
    const cluster = new TestCluster(url);
    const node = await cluster.node(bound(fanout(kept), fanout(left)));
    expect(await node.runtime.partitions.reconfigure(P, queues(fanout(kept)))).toBe("running");
    await other.publish(left, "", { n: 1 }, { messageId: "m1" });
    await other.publish(kept, "", { n: 2 }, { messageId: "m2" });
    expect(await ran(node)).toEqual(['{"n":2}']);
    await node.runtime.partitions.reconfigure(P, { default: 10 });
    await other.publish(kept, "", { n: 3 }, { messageId: "m3" });
    await node.runtime.enqueue(order, { n: 4 }, { partition: P });
    expect(await ran(node, 2)).toEqual(['{"n":2}', '{"n":4}']);
    expect(await node.runtime.buried.list(P, "default")).toEqual([]);
  });

  test("that another node still has stays, and what comes by it goes to that node", {
    timeout: 60_000,
  }, async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const [old, young] = await cluster.pair({ jobs, partitions: { [P]: queues() } }, bound(fanout(exchange)));
    await old.runtime.partitions.reconfigure(P, queues(fanout(exchange)));
    await young.runtime.node.queues.pause(P, "default");
    await old.runtime.partitions.reconfigure(P, { default: 10 });
    // only the node that cannot read it takes it: it sends it round until the other one does
    await other.publish(exchange, "", { n: 1 }, { messageId: "m1", headers: { from: "shop" } });
    await isReady(old, 0);
    await young.runtime.node.queues.resume(P, "default");
    await old.runtime.node.queues.pause(P, "default");
    expect(await ran(young)).toEqual(['{"n":1}']);
    expect(young.pool.running[0]?.id).toBe(`default:${exchange}:m1`);
  });

  test("that no node has any more: what still comes by it lies buried, and says by what it came", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const first = await cluster.node(bound(fanout(exchange)));
    await first.runtime.stop();
    await other.publish(exchange, "key", { n: 1 }, { messageId: "m1" });
    const second = await cluster.node({ jobs, partitions: { [P]: queues() } });
    const event = await second.seen("job.buried");
    expect(event).toMatchObject({ reason: "undecodable" });
    const [job] = await second.runtime.buried.list(P, "default");
    expect(job?.error.message).toContain(`it came by exchange "${exchange}" (routing key "key")`);
    await second.runtime.partitions.reconfigure(P, queues(fanout(exchange)));
    await second.runtime.buried.requeue(P, "default", "all");
    expect(await ran(second)).toEqual(['{"n":1}']);
  });

  test("a connection that breaks under its message's body costs no second start", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const proxy = await TcpProxy.to(url);
    onTestFinished(() => proxy.close());
    const cluster = new TestCluster(url);
    const node = await cluster.node({ ...bound(fanout(exchange)), rabbit: { url: proxy.url } });
    await other.publish(exchange, "", { n: 1 }, { messageId: "m1" });
    await ran(node);
    const before = node.events.length;
    proxy.reset();
    await node.after(before, "broker.connected");
    await isReady(node, 0);
    node.endAll();
    await node.seen("job.completed");
    await isReady(node, 0);
    expect([...cluster.starts.values()]).toEqual([1]);
  });

  test("purge takes what stands in the queue, and frees the keys that it had taken before", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const binding = fanout(exchange, { toJob: () => ({ job: unique, args: { n: 1 } }) });
    const node = await cluster.node(bound(binding));
    await other.publish(exchange, "", {}, { messageId: "m1" });
    await ran(node);
    await node.runtime.partitions.stop(P);
    await node.runtime.partitions.start(P, { default: { concurrency: 0, bindings: [binding] } });
    const keyed = () => node.runtime.enqueue(unique, { n: 2 }, { partition: P });
    await expect(keyed()).rejects.toMatchObject({ holder: `default:${exchange}:m1` });
    const { jobs: listed } = await until(
      () => node.runtime.info.queuedJobs(P, "default"),
      (found) => found.jobs.length > 0,
    );
    expect(listed.map(({ envelope }) => envelope.id)).toEqual([`default:${exchange}:m1`]);
    expect(await node.runtime.queues.purge(P, "default")).toBe(1);
    await expect(keyed()).resolves.toBeDefined();
  });
});

function startsOf(log: string): string[] {
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("start"));
}

describeAmqp("a node that is killed under a message of another system", (url) => {
  test("has it run again by the other, as the same job; nothing is lost", { timeout: 120_000 }, async () => {
    const prefix = freshPrefix();
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const folder = mkdtempSync(join(tmpdir(), "spillway-bound-"));
    const [log, gate] = [join(folder, "log"), join(folder, "gate")];
    writeFileSync(log, "");
    const given = { url, prefix, exchange };
    const start = (name: string) => new NodeProcess("bound-node.mjs", { ...given, name });
    const [dead, heir] = [start("dead"), start("heir")];
    onTestFinished(async () => {
      await Promise.all([dead.stop(), heir.stop()]);
      await cleanUpPrefix(url, prefix, [{ partition: "p", queue: "default" }]);
      rmSync(folder, { recursive: true });
    });
    await Promise.all([dead.hears("ready"), heir.hears("ready")]);
    for (let n = 0; n < 12; n++) await other.publish(exchange, "", { log, gate }, { messageId: `m${n}` });
    await until(
      () => startsOf(log),
      (starts) => starts.length === 8,
    );
    const ofDead = startsOf(log).filter((line) => line.endsWith(` ${dead.pid}`));
    dead.signal("SIGKILL");
    writeFileSync(gate, "");
    await until(
      () =>
        new Set(
          [...dead.told, ...heir.told].flatMap(({ type, id }) => (type === "job.completed" ? [id] : [])),
        ),
      (ids) => ids.size >= 12,
    );
    const again = startsOf(log).map((line) => line.split(" ")[1]);
    const twice = again.filter((id, at) => again.indexOf(id) !== at);
    expect(twice.every((id) => ofDead.some((line) => line.split(" ")[1] === id))).toBe(true);
  });
});

describePrivate("a broker that restarts", () => {
  test("without the exchange that another system had not made durable: it is declared and bound again", {
    timeout: 120_000,
  }, async () => {
    const broker = await PrivateBroker.start();
    onTestFinished(() => broker.dispose());
    const exchange = `${freshPrefix()}.orders`;
    const cluster = new TestCluster(broker.url);
    const node = await cluster.node(bound(fanout(exchange, { durable: false })));
    await broker.settle();
    const before = node.events.length;
    await broker.kill();
    await broker.restart();
    await node.after(before, "broker.connected");
    const other = await OtherSystem.on(broker.url);
    await until(
      () => other.publish(exchange, "", { n: 1 }).then(() => node.pool.running.length > 0, reopened(other)),
      (arrived) => arrived,
    );
  });
});

/** A publish to an exchange that is not there closes its channel. */
function reopened(other: OtherSystem): () => Promise<false> {
  return async () => {
    await other.reopen();
    return false;
  };
}
