/**
 * What can be wrong with a broker, and with what stands on it: each is told in words, and costs nothing.
 */
import { type ConfirmChannel, connect } from "amqplib";
import { expect, onTestFinished, test } from "vitest";
import { rabbitmq } from "../../src/amqp/index.ts";
import { Names } from "../../src/amqp/names.ts";
import { BrokerRefused, BrokerUnreachable } from "../../src/broker/errors.ts";
import { encodeEnvelope } from "../../src/jobs/codec.ts";
import { Runtime } from "../../src/runtime/runtime.ts";
import { job, until } from "../conformance/harness.ts";
import { quiet } from "../runtime/support.ts";
import { describeAmqp, describePrivate, freshPrefix, PrivateBroker } from "./support/broker.ts";
import { P, TestCluster } from "./support/nodes.ts";

const Q = { partition: P, queue: "default" };
const SECRET = "s3cr3t-w0rd";

/** Why a runtime does not start, with everything that its error says. */
async function refused(url: string, options: object = {}): Promise<{ error: Error; text: string }> {
  const error = await Runtime.start({ broker: rabbitmq({ url, ...options }), logger: quiet }).then(
    async (runtime) => {
      await runtime.stop();
      throw new Error("it started");
    },
    (thrown: Error) => thrown,
  );
  return { error, text: `${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}` };
}

/** Those of these names that are there. */
async function there(
  url: string,
  look: "checkQueue" | "checkExchange",
  names: readonly string[],
): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    // one that is not there closes the channel
    const channel = await channelTo(url);
    channel.on("error", () => {});
    await channel[look](name).then(
      () => found.push(name),
      () => {},
    );
  }
  return found;
}

async function channelTo(url: string): Promise<ConfirmChannel> {
  const connection = await connect(url);
  onTestFinished(() => connection.close());
  return connection.createConfirmChannel();
}

describeAmqp("a broker that cannot be used", (url) => {
  const at = (change: (url: URL) => void) => {
    const changed = new URL(url);
    change(changed);
    return changed.href;
  };

  test("nothing listens: BrokerUnreachable says so", async () => {
    const { error } = await refused(at((u) => (u.port = "1")));
    expect(error).toBeInstanceOf(BrokerUnreachable);
    expect(error.message).toMatch(/nothing listens at its port/);
  });

  test("an unknown host: BrokerUnreachable says so", async () => {
    const { error } = await refused(at((u) => (u.hostname = "no-such-host.invalid")));
    expect(error).toBeInstanceOf(BrokerUnreachable);
  });

  test("a wrong password: BrokerRefused, and neither user nor password in anything it says", async () => {
    const { error, text } = await refused(
      at((u) => {
        u.username = "nobody-of-that-name";
        u.password = SECRET;
      }),
    );
    expect(error).toBeInstanceOf(BrokerRefused);
    expect(error.message).toMatch(/login was not accepted/);
    expect(text).not.toContain(SECRET);
    expect(text).not.toContain("nobody-of-that-name");
  });

  test("a virtual host that is not there: BrokerRefused names it as the reason", async () => {
    const { error } = await refused(at((u) => (u.pathname = "/no-such-vhost")));
    expect(error).toBeInstanceOf(BrokerRefused);
    expect(error.message).toMatch(/virtual host does not exist, or the user may not use it/);
  });

  test("a broker that a later version has laid out is left alone", async () => {
    const prefix = freshPrefix();
    const later = new Names(prefix).topology(2);
    const channel = await channelTo(url);
    await channel.assertExchange(later, "fanout", { durable: true });
    onTestFinished(async () => void (await (await channelTo(url)).deleteExchange(later)));
    const { error } = await refused(url, { prefix });
    expect(error.message).toMatch(/later version of Spillway/);
    const { enqueue, system, work, unroutable } = new Names(prefix);
    expect(await there(url, "checkQueue", [unroutable])).toEqual([]);
    expect(await there(url, "checkExchange", [enqueue, system, work, unroutable])).toEqual([]);
  });
});

describeAmqp("what stands on a broker", (url) => {
  test("a queue that somebody declared otherwise: the partition waits, and says which argument differs", async () => {
    const cluster = new TestCluster(url, [Q, { partition: "q", queue: "default" }]);
    const channel = await channelTo(url);
    await channel.assertQueue(`${cluster.prefix}.${P}.default`, { durable: true });
    const node = await cluster.node();
    const waiting = await node.runtime.node.waitingPartitions();
    expect(waiting).toEqual({ [P]: { default: 10 } });
    const state = node.runtime.partitions.start("q", { default: 1 });
    expect(await state, "others are not held up").toBe("running");
    await channel.deleteQueue(`${cluster.prefix}.${P}.default`);
    await node.seen("partition.running", ({ partition }) => partition === P);
  });

  test("undecodable and mutated messages are buried with their bytes as they came, and hold up nobody", async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node();
    node.endAll();
    const name = `${cluster.prefix}.${P}.default`;
    const channel = await channelTo(url);
    const good = encodeEnvelope(job({ job: "sum", partition: P, queue: "default", argsText: '{"x":1}' }));
    const elsewhere = encodeEnvelope(job({ job: "sum", partition: "other", queue: "default" }));
    const bad = [
      Buffer.from([0, 255, 254]),
      Buffer.from(""),
      Buffer.from("{}\n{}"),
      Buffer.from(good.slice(0, -20)),
      Buffer.from(good.replace('"v":1', '"v":2')),
      Buffer.from(elsewhere),
    ];
    for (const [at, body] of bad.entries())
      channel.publish("", name, body, { messageId: `bad-${at}`, headers: { theirs: "x" } });
    await channel.waitForConfirms();
    await until(
      () => node.events.filter(({ type }) => type === "job.buried"),
      (buried) => buried.length === bad.length,
    );
    const graves = await node.runtime.buried.list(P, "default");
    expect(graves.map(({ reason }) => reason)).toEqual(bad.map(() => "undecodable"));
    for (const [at, body] of bad.entries()) {
      const grave =
        graves.find(({ id }) => id === `bad-${at}`) ??
        graves.find(({ raw }) => raw !== undefined && Buffer.from(raw).equals(body));
      if (grave?.raw !== undefined) expect(Buffer.from(grave.raw).equals(body)).toBe(true);
      else expect(elsewhere).toBe(body.toString());
    }
    const handle = await node.runtime.enqueue("sum", { x: 1 }, { partition: P });
    await node.seen("job.completed", ({ id }) => id === handle.id);
    expect(await node.runtime.buried.drop(P, "default", "all")).toHaveLength(bad.length);
  });

  test("a queue that is deleted under us is declared again, and said to be", async () => {
    const warned: string[] = [];
    const cluster = new TestCluster(url);
    const node = await cluster.node({ logger: { ...quiet, warn: (text) => void warned.push(text) } });
    node.endAll();
    const channel = await channelTo(url);
    await channel.deleteQueue(`${cluster.prefix}.${P}.default`);
    await until(
      () => warned.join("\n"),
      (text) => text.includes("was deleted on the broker"),
    );
    await until(
      () =>
        node.runtime.enqueue("sum", { x: 1 }, { partition: P }).then(
          () => true,
          () => false,
        ),
      (stored) => stored,
    );
    await node.seen("job.completed");
  });

  test("what falls due when its queue is gone lies in $unroutable, is shown as buried, and runs once it is re-queued", async () => {
    const cluster = new TestCluster(url);
    const node = await cluster.node();
    node.endAll();
    const handle = await node.runtime.enqueue("sum", { x: 1 }, { partition: P, delay: 2_000 });
    await node.runtime.partitions.stop(P);
    const channel = await channelTo(url);
    await channel.deleteQueue(`${cluster.prefix}.${P}.default`);
    await until(
      () => channel.checkQueue(`${cluster.prefix}.$unroutable`),
      ({ messageCount }) => messageCount === 1,
    );
    await node.runtime.partitions.start(P, { default: 5 });
    await until(
      () => node.runtime.buried.list(P, "default").catch(() => []),
      (graves) => graves.some(({ id, reason }) => id === handle.id && reason === "unroutable"),
    );
    await until(
      () => node.runtime.buried.requeue(P, "default", [handle.id]),
      ([outcome]) => outcome?.error === undefined,
    );
    await node.seen("job.completed", ({ id }) => id === handle.id);
  });
});

describePrivate("a broker in trouble", () => {
  async function broker(): Promise<PrivateBroker> {
    const started = await PrivateBroker.start();
    onTestFinished(() => started.dispose());
    return started;
  }

  test("a memory alarm: what was not written is BrokerBlocked, bodies and acknowledgements go on, and then all goes on", {
    timeout: 120_000,
  }, async () => {
    const private_ = await broker();
    const cluster = new TestCluster(private_.url);
    const rabbit = { blockedTimeout: 1_000 };
    const partitions = { [P]: { default: 10 }, kept: { default: 0 } };
    const node = await cluster.node({ rabbit, partitions });
    await node.runtime.enqueueMany("sum", [{ x: 1 }, { x: 2 }], { partition: P });
    await cluster.started(2);
    // again and again: what the node says of itself, once a second, may meet the alarm as well, and then a later job never leaves
    const codes: Promise<string>[] = [];
    const blocked = until(
      () => {
        const enqueued = node.runtime.enqueue("sum", { x: 3 }, { partition: "kept" });
        codes.push(
          enqueued.then(
            () => "stored",
            ({ code }) => code,
          ),
        );
        return node.events.some(({ type }) => type === "broker.blocked");
      },
      (isBlocked) => isBlocked,
    );
    await private_.ctl("set_vm_memory_high_watermark", "0.0000001");
    await blocked;
    await expect(node.runtime.enqueue("sum", { x: 4 }, { partition: P })).rejects.toMatchObject({
      code: "BrokerBlocked",
    });
    expect(await Promise.all(codes)).toContain("EnqueueOutcomeUnknown");
    node.endAll();
    await until(
      () => node.events.filter(({ type }) => type === "job.completed"),
      (ended) => ended.length === 2,
    );
    await private_.ctl("set_vm_memory_high_watermark", "0.4");
    await node.seen("broker.unblocked");
    const handle = await node.runtime.enqueue("sum", { x: 5 }, { partition: P });
    await node.seen("job.completed", ({ id }) => id === handle.id);
  });

  test("a missing permission says which one", { timeout: 120_000 }, async () => {
    const private_ = await broker();
    await private_.ctl("add_user", "reader", SECRET);
    await private_.ctl("set_permissions", "reader", "^$", ".*", ".*");
    const url = new URL(private_.url);
    url.username = "reader";
    url.password = SECRET;
    const { error, text } = await refused(url.href);
    expect(error).toBeInstanceOf(BrokerRefused);
    expect(error.message).toMatch(/lacks the configure permission/);
    expect(text).not.toContain(SECRET);
  });

  test("a message of 20 MB is taken where the broker takes it, buried whole, and named", {
    timeout: 120_000,
  }, async () => {
    const private_ = await broker();
    const cluster = new TestCluster(private_.url);
    const node = await cluster.node();
    const channel = await channelTo(private_.url);
    const body = Buffer.alloc(20_000_000, "x");
    channel.publish("", `${cluster.prefix}.${P}.default`, body, { messageId: "large" });
    await channel.waitForConfirms();
    await node.seen("job.buried", ({ id }) => id === "large");
    const [grave] = await node.runtime.buried.list(P, "default");
    expect(grave?.raw?.length).toBe(body.length);
    await expect(
      node.runtime.enqueue("sum", { x: 1, more: "x".repeat(20_000_000) }, { partition: P }),
    ).rejects.toMatchObject({ code: "PayloadTooLarge" });
  });

  test("enqueues while the broker is away are refused within their time, and none is held for ever", {
    timeout: 120_000,
  }, async () => {
    const private_ = await broker();
    const cluster = new TestCluster(private_.url);
    const node = await cluster.node({ rabbit: { blockedTimeout: 500 } });
    await private_.settle();
    await private_.kill();
    await node.seen("broker.lost");
    const outcomes = await Promise.allSettled(
      Array.from({ length: 2_000 }, (_, x) => node.runtime.enqueue("sum", { x }, { partition: P })),
    );
    const codes = new Set(
      outcomes.map((one) => (one.status === "rejected" ? (one.reason as { code: string }).code : "stored")),
    );
    expect([...codes]).toEqual(["BrokerUnreachable"]);
    await private_.restart();
    await node.after(node.events.length - 1, "broker.connected");
    node.endAll();
    const handle = await node.runtime.enqueue("sum", { x: 1 }, { partition: P });
    await node.seen("job.completed", ({ id }) => id === handle.id);
  });
});
