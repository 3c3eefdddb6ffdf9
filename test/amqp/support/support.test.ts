/**
 * The helpers that tests of the RabbitMQ broker stand on, against real brokers: they start, die, come back and go.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Message } from "amqplib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  type BrokerVersion,
  cleanUp,
  describeAmqp,
  describePrivate,
  freshPrefix,
  PrivateBroker,
  versionsUnderTest,
} from "./broker.ts";

// Brokers of several versions, started more than once, on a machine that other tests load.
vi.setConfig({ testTimeout: 240_000 });

async function started(version?: BrokerVersion): Promise<PrivateBroker> {
  const broker = await PrivateBroker.start(version);
  onTestFinished(() => broker.dispose());
  return broker;
}

async function confirmed(url: string, queue: string, ...texts: string[]): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { arguments: { "x-queue-type": "quorum" } });
  for (const one of texts) channel.sendToQueue(queue, Buffer.from(one), { persistent: true });
  await channel.waitForConfirms();
  await connection.close();
}

async function taken(url: string, queue: string, count: number): Promise<string[]> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  channel.on("error", () => {});
  const texts: string[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      connection.once("error", reject);
      const take = (message: Message | null) => {
        if (message === null) return reject(new Error("the broker has cancelled the consumer"));
        channel.ack(message);
        if (texts.push(String(message.content)) === count) resolve();
      };
      channel.consume(queue, take).catch(reject);
    });
    return texts;
  } finally {
    await connection.close();
  }
}

/** Resolves when the broker has cut, or ended, a connection that was made for that. */
async function watched(url: string): Promise<{ readonly gone: Promise<unknown> }> {
  const connection = await connect(url);
  connection.on("error", () => {});
  return { gone: new Promise((resolve) => connection.once("close", resolve)) };
}

describe("names", () => {
  test("no two tests get the same prefix, and it has letters, digits and dashes only", () => {
    const prefixes = new Set(Array.from({ length: 1_000 }, freshPrefix));
    expect(prefixes.size).toBe(1_000);
    for (const prefix of prefixes) expect(prefix).toMatch(/^[a-z0-9-]+$/);
  });

  test("SPILLWAY_RABBITMQ is a list of versions, and a version that is not known is an error", () => {
    onTestFinished(() => void vi.unstubAllEnvs());
    vi.stubEnv("SPILLWAY_RABBITMQ", "");
    expect(versionsUnderTest()).toEqual([]);
    vi.stubEnv("SPILLWAY_RABBITMQ", "3.10, 4.3");
    expect(versionsUnderTest()).toEqual(["3.10", "4.3"]);
    vi.stubEnv("SPILLWAY_RABBITMQ", "4.33");
    expect(versionsUnderTest).toThrow("no RabbitMQ 4.33; there are installed, 3.10, 4.0, 4.3");
  });
});

describeAmqp("the shared broker", (url) => {
  test("what a test has made is deleted, and deleting it again is no error", async () => {
    const prefix = freshPrefix();
    const made = { queues: [`${prefix}-q`], exchanges: [`${prefix}-x`] };
    await confirmed(url, `${prefix}-q`, "a");
    const connection = await connect(url);
    onTestFinished(() => connection.close());
    const channel = await connection.createChannel();
    await channel.assertExchange(`${prefix}-x`, "fanout");
    await cleanUp(url, made);
    await cleanUp(url, made);
    channel.on("error", () => {});
    await expect(channel.checkQueue(`${prefix}-q`)).rejects.toThrow("NOT_FOUND");
  });
});

describePrivate("a private broker", () => {
  // What SPILLWAY_RABBITMQ asks for must be there, or the test fails.
  test.each(["installed", ...versionsUnderTest()] as const)(
    "%s: confirmed messages are there after kill -9 and a restart",
    async (version) => {
      const broker = await started(version);
      await confirmed(broker.url, "q", "a");
      await broker.settle();
      await confirmed(broker.url, "q", "b");
      const { gone } = await watched(broker.url);
      await broker.kill();
      await gone;
      await expect(connect(broker.url)).rejects.toThrow("ECONNREFUSED");
      await broker.restart();
      expect(await taken(broker.url, "q", 2)).toEqual(["a", "b"]);
    },
  );

  test("a limit can be set while it runs: publishers are blocked, and let go", async () => {
    const broker = await started();
    const connection = await connect(broker.url);
    onTestFinished(() => connection.close());
    const channel = await connection.createConfirmChannel();
    const blocked = once(connection, "blocked");
    await broker.ctl("set_vm_memory_high_watermark", "0.00001");
    channel.publish("", "nowhere", Buffer.from("a"));
    await blocked;
    const unblocked = once(connection, "unblocked");
    await broker.ctl("set_vm_memory_high_watermark", "0.4");
    await unblocked;
    await channel.waitForConfirms();
  });

  test("it stops in order, starts again with what it had, and nothing is left when it was disposed of", async () => {
    const broker = await started();
    await confirmed(broker.url, "q", "a");
    await broker.stop();
    await broker.restart();
    await broker.restart();
    expect(await taken(broker.url, "q", 1)).toEqual(["a"]);
    await broker.dispose();
    await broker.dispose();
    await expect(broker.ctl("status")).rejects.toThrow(`no broker has been started on port ${broker.port}`);
  });

  test("two start at once, know nothing of each other, and go with their processes", async () => {
    const start = async (signal: NodeJS.Signals) => {
      const owner = spawn("sleep", ["600"], { stdio: "ignore" });
      onTestFinished(() => void owner.kill("SIGKILL"));
      const broker = await PrivateBroker.start("installed", owner.pid);
      onTestFinished(() => broker.dispose());
      return { broker, end: () => owner.kill(signal) };
    };
    const [one, other] = await Promise.all([start("SIGTERM"), start("SIGKILL")]);
    await confirmed(one.broker.url, "q", "a");
    await expect(taken(other.broker.url, "q", 1)).rejects.toThrow("NOT_FOUND");
    for (const { broker, end } of [one, other]) {
      const { gone } = await watched(broker.url);
      end();
      await gone;
    }
  });

  test("a quorum queue has its members on all nodes, and confirms go on without one of them", async () => {
    const nodes = await PrivateBroker.cluster(versionsUnderTest().at(-1));
    onTestFinished(async () => {
      for (const node of nodes) await node.dispose();
    });
    const [first, second, third] = nodes;
    if (first === undefined || second === undefined || third === undefined)
      throw new Error("not three nodes");
    await confirmed(first.url, "q", "a");
    const members = await second.ctl("list_queues", "name", "members");
    for (const { port } of nodes) expect(members).toContain(`r${port}@localhost`);
    await first.stop();
    await confirmed(second.url, "q", "b");
    await first.restart();
    await third.kill();
    await confirmed(first.url, "q", "c");
    expect(await taken(first.url, "q", 3)).toEqual(["a", "b", "c"]);
  });
});
