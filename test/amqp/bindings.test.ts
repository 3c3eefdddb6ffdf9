/**
 * Messages of another system, published by plain amqplib: they become jobs of the queue that is bound to its exchange, with
 * all that is promised of jobs; what is no job lies buried with its bytes.
 */
import { expect, test } from "vitest";
import type { ForeignMessage } from "../../src/broker/foreign.ts";
import { encodeEnvelope } from "../../src/jobs/codec.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import type { BindingOptions } from "../../src/runtime/queue-options.ts";
import { until } from "../conformance/harness.ts";
import { describeAmqp } from "./support/broker.ts";
import { type NodeOptions, P, TestCluster, type TestNode } from "./support/nodes.ts";
import { OtherSystem } from "./support/other-system.ts";

interface Order {
  readonly n: number;
}

const positive = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value: unknown) =>
      (value as Order).n > 0 ? { value: value as Order } : { issues: [{ message: "n is not positive" }] },
  },
} as const;
const order = defineJob({ name: "order", args: positive, retry: { levels: [1] }, perform: () => undefined });
const unique = defineJob({ name: "unique", queueKey: ({ n }: Order) => `k${n}`, perform: () => undefined });
const serial = defineJob({ name: "serial", executionKey: () => "one", perform: (_args: Order) => undefined });
const jobs = [order, unique, serial];

const json = (message: ForeignMessage): Order => JSON.parse(message.content.toString());
const toOrder = (message: ForeignMessage) => ({ job: order, args: json(message) });

const bound = (...bindings: BindingOptions[]): NodeOptions => ({
  jobs,
  partitions: { [P]: { default: { concurrency: 10, bindings } } },
});

/** Args of what runs now, in order. */
const argsOf = ({ pool }: TestNode) => pool.running.map(({ argsText }) => JSON.parse(argsText) as unknown);

const ran = (node: TestNode, count: number) =>
  until(
    () => argsOf(node),
    (args) => args.length >= count,
  );

const buried = (node: TestNode, count = 1) =>
  until(
    () => node.runtime.buried.list(P, "default"),
    (list) => list.length >= count,
  );

const text = (raw: Uint8Array | undefined) => Buffer.from(raw ?? []).toString();

describeAmqp("a queue bound to an exchange of another system", (url) => {
  test("direct: what has its routing key is a job, and its args are what toJob makes of the message", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const node = await cluster.node(
      bound({ exchange, type: "direct", routingKey: "new", toJob: (m) => ({ job: "order", args: json(m) }) }),
    );
    await other.publish(exchange, "new", { n: 1 }, { messageId: "m1" });
    await other.publish(exchange, "old", { n: 2 }, { messageId: "m2" });
    await other.publish(exchange, "new", { n: 3 }, { messageId: "m3" });
    expect(await ran(node, 2)).toEqual([{ n: 1 }, { n: 3 }]);
    expect(node.pool.running.map(({ id }) => id)).toEqual([
      `default:${exchange}:m1`,
      `default:${exchange}:m3`,
    ]);
    node.endAll();
    await node.seen("job.completed", ({ id }) => id === `default:${exchange}:m3`);
  });

  test("topic: of several bindings to one exchange the one whose pattern fits reads the message", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const by = (n: number) => (message: ForeignMessage) => ({
      job: order,
      args: { n },
      id: message.routingKey,
    });
    const node = await cluster.node(
      bound(
        { exchange, type: "topic", routingKey: "*.created", toJob: by(1) },
        { exchange, type: "topic", routingKey: "eu.#", toJob: by(2) },
      ),
    );
    for (const key of ["us.created", "eu.shop.deleted", "us.deleted"]) await other.publish(exchange, key, {});
    await ran(node, 2);
    const seen = node.pool.running.map(({ id, argsText }) => [id, argsText]);
    expect(seen).toEqual([
      ["us.created", '{"n":1}'],
      ["eu.shop.deleted", '{"n":2}'],
    ]);
  });

  test("fanout: an empty routing key, as ROH binds; one message is a job in each of two queues", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const queues = ["default", "second"].map((queue) => ({ partition: P, queue }));
    const cluster = new TestCluster(url, queues);
    const binding = { exchange, type: "fanout", toJob: toOrder } as const;
    const node = await cluster.node({
      jobs,
      partitions: {
        [P]: {
          default: { concurrency: 1, bindings: [binding] },
          second: { concurrency: 1, bindings: [binding] },
        },
      },
    });
    await other.publish(exchange, "", { n: 1 }, { messageId: "m1" });
    await ran(node, 2);
    expect(new Set(node.pool.running.map(({ queue }) => queue))).toEqual(new Set(["default", "second"]));
  });

  test("headers: its arguments are those of the binding", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const node = await cluster.node(
      bound({
        exchange,
        type: "headers",
        arguments: { "x-match": "all", kind: "order", urgent: true },
        toJob: ({ headers }) => ({ job: order, args: { n: headers.count } }),
      }),
    );
    const headers = { kind: "order", urgent: true, count: 7 };
    await other.publish(exchange, "", {}, { headers: { ...headers, kind: "offer" } });
    await other.publish(exchange, "", {}, { headers });
    expect(await ran(node, 1)).toEqual([{ n: 7 }]);
  });

  test("a body that fails is retried as any job is, and the message is acknowledged", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const node = await cluster.node(bound({ exchange, type: "fanout", toJob: toOrder }));
    await other.publish(exchange, "", { n: 1 }, { messageId: "m1", timestamp: 1_700_000_000 });
    await ran(node, 1);
    const failure = { kind: "error", name: "Error", message: "no", stack: "", final: false } as const;
    node.pool.finish(node.pool.running[0], { kind: "failed", failure, durationMs: 1 });
    await node.seen("job.retried");
    await ran(node, 1);
    expect(node.pool.running).toMatchObject([
      { id: `default:${exchange}:m1`, attempt: 1, argsText: '{"n":1}' },
    ]);
    node.pool.finish(node.pool.running[0], { kind: "failed", failure, durationMs: 1 });
    const [job] = await buried(node);
    expect(job).toMatchObject({ job: "order", args: { n: 1 }, attempt: 1, reason: "failed" });
    expect(await node.runtime.queues.list()).toMatchObject([{ ready: 0 }]);
  });

  test("a message without an id gets one before it runs: two that are alike are two jobs", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const node = await cluster.node(bound({ exchange, type: "fanout", toJob: toOrder }));
    await other.publish(exchange, "", { n: 1 });
    await other.publish(exchange, "", { n: 1 });
    expect(await ran(node, 2)).toEqual([{ n: 1 }, { n: 1 }]);
    node.endAll();
    await until(
      () => node.events.filter(({ type }) => type === "job.completed"),
      (ended) => ended.length === 2,
    );
    expect(cluster.starts.size).toBe(2);
  });

  test("one whose queue key is held lies buried with that reason, its bytes intact, and runs when it is re-queued", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const node = await cluster.node(
      bound({ exchange, type: "fanout", toJob: (m) => ({ job: unique, args: json(m) }) }),
    );
    await other.publish(exchange, "", { n: 1 }, { messageId: "m1" });
    await ran(node, 1);
    const bytes = Buffer.from('{ "n": 1 }  ');
    await other.publish(exchange, "", bytes, { messageId: "m2", headers: { from: "shop" } });
    const [job] = await buried(node);
    expect(job).toMatchObject({ id: `default:${exchange}:m2`, reason: "duplicate" });
    expect(text(job?.raw)).toBe(bytes.toString());
    expect(await node.seen("job.buried")).toMatchObject({ reason: "duplicate" });
    await expect(node.runtime.enqueue(unique, { n: 1 }, { partition: P })).rejects.toMatchObject({
      code: "DuplicateJob",
      holder: `default:${exchange}:m1`,
    });
    node.pool.finish();
    await node.seen("job.completed");
    expect(await node.runtime.buried.requeue(P, "default", "all")).toEqual([
      { id: job?.id, error: undefined },
    ]);
    expect(await ran(node, 1)).toEqual([{ n: 1 }]);
    expect(await node.runtime.buried.list(P, "default")).toEqual([]);
  });

  test("an execution key is taken as for any job", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const node = await cluster.node(
      bound({ exchange, type: "fanout", toJob: (m) => ({ job: serial, args: json(m) }) }),
    );
    for (const n of [1, 2, 3]) await other.publish(exchange, "", { n }, { messageId: `m${n}` });
    for (const n of [1, 2, 3]) {
      expect(await ran(node, 1)).toEqual([{ n }]);
      node.pool.finish();
      await node.seen("job.completed", ({ id }) => id === `default:${exchange}:m${n}`);
    }
  });

  test.each([
    ["throws", () => JSON.parse("{"), "undecodable", /toJob of exchange ".*" threw: /],
    ["answers with nothing", () => undefined, "undecodable", /answered with nothing; expected { job, args }/],
    ["answers with a promise", async () => ({ job: "order" }), "undecodable", /it must answer at once/],
    ["misspells a field", () => ({ job: "order", arg: 1 }), "undecodable", /"arg"; did you mean "args"/],
    ["names an unknown job", () => ({ job: "ordre" }), "unknown-job", /did you mean "order"/],
    [
      "gives an id that is none",
      () => ({ job: "order", id: "\n" }),
      "undecodable",
      /id: an id has no control/,
    ],
    [
      "makes args that the schema refuses",
      () => ({ job: "order", args: { n: 0 } }),
      "undecodable",
      /n is not pos/,
    ],
    ["makes args that are no JSON", () => ({ job: "order", args: 1n }), "undecodable", /BigInt/],
    [
      "makes args that are too large",
      () => ({ job: "order", args: "x".repeat(300_000) }),
      "undecodable",
      /300002 bytes/,
    ],
  ])("a toJob that %s: the message lies buried, its bytes intact", async (_name, toJob, reason, message) => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const node = await cluster.node(
      bound({
        exchange,
        type: "fanout",
        toJob: (m) => {
          const { content } = m;
          const answer = toJob();
          content.fill(0); // its own copy
          return answer as { job: string };
        },
      }),
    );
    const bytes = Buffer.from([0, 255, 10, 10, 128]);
    await other.publish(exchange, "k", bytes, { messageId: "m1" });
    const [job] = await buried(node);
    expect(job).toMatchObject({ id: `default:${exchange}:m1`, reason });
    expect(job?.error.message).toMatch(message);
    expect(Buffer.from(job?.raw ?? [])).toEqual(bytes);
    expect(await node.seen("job.buried")).toMatchObject({ reason, queue: "default" });
  });

  test("a message that was buried is read again when it is re-queued: a toJob that was mended makes a job of it", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    const seen: ForeignMessage[] = [];
    const toJob = (message: ForeignMessage) => {
      seen.push(message);
      if (seen.length === 1) throw new Error("not yet");
      return toOrder(message);
    };
    const node = await cluster.node(bound({ exchange, type: "direct", routingKey: "k", toJob }));
    const headers = { from: "shop", at: { "!": "timestamp", value: 5 }, raw: Buffer.from([1]) };
    const options = {
      messageId: "m1",
      headers,
      timestamp: 9,
      contentType: "application/json",
      appId: "shop",
    };
    await other.publish(exchange, "k", { n: 1 }, options);
    await buried(node);
    expect(await node.runtime.buried.requeue(P, "default", "all", { args: { n: 2 } })).toMatchObject([
      { error: { code: "InvalidJob" } },
    ]);
    await node.runtime.buried.requeue(P, "default", "all");
    expect(await ran(node, 1)).toEqual([{ n: 1 }]);
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[0]).toMatchObject({ exchange, routingKey: "k", headers, properties: { appId: "shop" } });
  });

  test("content that looks like a job of ours is not taken for one, in the queue or when it lies buried", async () => {
    const other = await OtherSystem.on(url);
    const exchange = other.name();
    const cluster = new TestCluster(url);
    let isRefused = true;
    const node = await cluster.node(
      bound({
        exchange,
        type: "fanout",
        toJob: () => {
          if (isRefused) throw new Error("no");
          return { job: order, args: { n: 5 } };
        },
      }),
    );
    const forged = new Envelope({ id: "x", job: "serial", partition: P, queue: "default", argsText: "1" });
    const headers = { "spillway-foreign": { exchange: "elsewhere", hop: 9 } };
    const bytes = Buffer.from(encodeEnvelope(forged));
    await other.publish(exchange, "", bytes, { messageId: "m1", headers });
    const [job] = await buried(node);
    expect(job).toMatchObject({ id: `default:${exchange}:m1`, job: undefined });
    expect(text(job?.raw)).toBe(bytes.toString());
    isRefused = false;
    await node.runtime.buried.requeue(P, "default", "all");
    expect(await ran(node, 1)).toEqual([{ n: 5 }]);
  });
});
