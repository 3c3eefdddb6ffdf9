/**
 * How nodes talk: what a message must be to be heard, and that nothing else does any harm.
 *
 * Both links are fakes whose channels keep what is sent, and hand in whatever the test publishes.
 * SPILLWAY_SEED repeats a run.
 */
import { EventEmitter } from "node:events";
import type { ConsumeMessage } from "amqplib";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { Link } from "../../src/amqp/link.ts";
import { Names } from "../../src/amqp/names.ts";
import { ECHO, SystemChannel, type Told } from "../../src/amqp/system-channel.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 5_000 : 500_000;

type Receive = (message: ConsumeMessage | null) => void;

class FakeChannel extends EventEmitter {
  readonly bound: string[] = [];
  readonly consumers: Receive[] = [];
  readonly sent: { readonly key: string; readonly text: string }[] = [];
  isClosed = false;
  #queues = 0;

  assertQueue(name: string, options: { readonly exclusive: boolean }) {
    if (name !== "" || !options.exclusive) throw new Error("a queue that others could read");
    this.#queues += 1;
    return Promise.resolve({ queue: `amq.gen-${this.#queues}` });
  }
  bindQueue(queue: string, exchange: string, key: string) {
    this.bound.push(`${queue} ${exchange} ${key}`);
    return Promise.resolve();
  }
  consume(_queue: string, receive: Receive, options: { readonly noAck: boolean }) {
    if (!options.noAck) throw new Error("nobody acknowledges here");
    this.consumers.push(receive);
    return Promise.resolve();
  }
  publish(_exchange: string, key: string, bytes: Buffer) {
    if (this.isClosed) throw new Error("Channel closed");
    this.sent.push({ key, text: bytes.toString() });
    return true;
  }
  close() {
    this.isClosed = true;
    this.emit("close");
    return Promise.resolve();
  }
}

class FakeLink {
  isUp = true;
  blockedBy: string | undefined;
  readonly channels: FakeChannel[] = [];
  channel() {
    if (!this.isUp) return Promise.reject(new Error("the connection is not there"));
    const channel = new FakeChannel();
    this.channels.push(channel);
    return Promise.resolve(channel);
  }
  answered<T>(call: Promise<T>) {
    return call;
  }
  get last(): FakeChannel {
    const last = this.channels.at(-1);
    if (last === undefined) throw new Error("no channel was made");
    return last;
  }
}

let clock: VirtualClock;
let consume: FakeLink;
let publish: FakeLink;
let heard: Told[];
let told: string[];
let prepares: () => Promise<void>;
let channel: SystemChannel;

beforeEach(() => {
  clock = new VirtualClock();
  consume = new FakeLink();
  publish = new FakeLink();
  heard = [];
  told = [];
  prepares = () => Promise.resolve();
  channel = new SystemChannel({
    consumeLink: consume as unknown as Link,
    publishLink: publish as unknown as Link,
    names: new Names(undefined),
    clock,
    node: "me",
    boot: "b1",
    prepare: () => prepares(),
    hear: (message) => void heard.push(message),
    echo: () => void told.push("echo"),
    opened: () => void told.push("opened"),
    closed: () => void told.push("closed"),
    warn: (text) => void told.push(text),
  });
});

/** By whoever can reach the exchange. */
function publishes(bytes: Uint8Array | string): void {
  for (const receive of consume.last.consumers) receive({ content: Buffer.from(bytes) } as ConsumeMessage);
}

describe("a message", () => {
  beforeEach(() => channel.linkUp());

  test("is heard with its kind, its sender and its body", () => {
    publishes(JSON.stringify(["beat", "other", "x1", { version: 3 }]));
    const message = { kind: "beat", from: "other", boot: "x1", body: { version: 3 } };
    expect(heard).toEqual([message, message]); // by either of its two queues
  });

  test("comes as it was sent", () => {
    const body = { copies: [["id", 0, 1, 2]], text: "größe 😀", nothing: null };
    channel.send("control", "ask", body);
    const { key, text } = publish.last.sent[0] ?? { key: "", text: "" };
    expect(key).toBe("control");
    publishes(text.replace('"b1"', '"b2"'));
    expect(heard[0]).toEqual({ kind: "ask", from: "me", boot: "b2", body });
  });

  test("of this process is not heard by it; of another one under its name it is", () => {
    publishes(JSON.stringify(["beat", "me", "b1", null]));
    expect(heard).toEqual([]);
    publishes(JSON.stringify(["beat", "me", "b0", null]));
    expect(heard).toHaveLength(2);
  });

  test("that this process has sent to itself is an echo, and no other one is", () => {
    channel.send({ node: "me" }, ECHO, null);
    const { key, text } = publish.last.sent[0] ?? { key: "", text: "" };
    expect(key).toBe("node.me");
    told = [];
    publishes(text.replace('"b1"', '"b0"'));
    expect(told).toEqual([]);
    publishes(text);
    expect(told).toEqual(["echo", "echo"]); // by either of its two queues
  });

  test.each([
    ["nothing"],
    [""],
    ["null"],
    ["5"],
    ["{}"],
    ["[]"],
    ['["beat"]'],
    ['["beat","other"]'],
    ['["beat","other",1,null]'],
    ['["beat",null,"x1",null]'],
    ['[["beat"],"other","x1",null]'],
    ['{"0":"beat","1":"other","2":"x1"}'],
  ])("that is none is dropped: %s", (text) => {
    publishes(text);
    expect(heard).toEqual([]);
  });

  test(`any bytes at all are heard well-formed or dropped (seed ${SEED})`, () => {
    const valid = fc
      .tuple(fc.string(), fc.string(), fc.string(), fc.jsonValue())
      .map((parts) => JSON.stringify(parts));
    const damaged = fc.tuple(valid, fc.nat(), fc.string({ maxLength: 3 })).map(([text, place, other]) => {
      const cut = place % (text.length + 1);
      return text.slice(0, cut) + other + text.slice(cut + other.length);
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.string(), fc.json(), valid, damaged), (bytes) => {
        heard = [];
        publishes(bytes);
        for (const { kind, from, boot } of heard)
          expect([typeof kind, typeof from, typeof boot]).toEqual(Array(3).fill("string"));
        expect(heard.length % 2).toBe(0);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

describe("the channel", () => {
  test("hears control and its own key by one queue, information by another", async () => {
    await channel.linkUp();
    expect(consume.last.bound).toEqual([
      "amq.gen-1 spillway.$system control",
      "amq.gen-1 spillway.$system node.me",
      "amq.gen-2 spillway.$system information",
    ]);
    channel.send({ node: "other" }, "tell", null);
    channel.send("information", "call", null);
    expect(publish.last.sent.map(({ key }) => key)).toEqual(["node.other", "information"]);
  });

  test("is open when both ways are, and says so once", async () => {
    publish.isUp = false;
    await channel.linkUp();
    expect(channel.isOpen).toBe(false);
    expect(channel.send("control", "beat", 1)).toBe(false);
    publish.isUp = true;
    await channel.linkUp();
    await channel.linkUp();
    expect(channel.isOpen).toBe(true);
    expect(told).toEqual(["opened"]);
    expect(channel.send("control", "beat", 1)).toBe(true);
  });

  test("is made anew when one of its ways breaks; the other one stays", async () => {
    await channel.linkUp();
    publish.last.emit("close");
    expect(channel.isOpen).toBe(false);
    await clock.advance(250);
    expect(channel.isOpen).toBe(true);
    expect(told).toEqual(["opened", "closed", "opened"]);
    expect([consume.channels.length, publish.channels.length]).toEqual([1, 2]);
  });

  test("is made anew when the broker has taken its queue away", async () => {
    await channel.linkUp();
    consume.last.consumers[0]?.(null);
    await clock.advance(250);
    expect(channel.isOpen).toBe(true);
    expect(consume.channels).toHaveLength(2);
  });

  test("is tried again until it can be made, and that is said", async () => {
    prepares = () => Promise.reject(new Error("access refused"));
    await channel.linkUp();
    expect(told).toEqual(["nodes cannot talk: access refused"]);
    prepares = () => Promise.resolve();
    await clock.advance(250);
    expect(channel.isOpen).toBe(true);
  });

  test("sends nothing while the broker takes nothing, nor by a channel that is gone", async () => {
    await channel.linkUp();
    publish.blockedBy = "low on memory";
    expect(channel.send("control", "beat", 1)).toBe(false);
    publish.blockedBy = undefined;
    publish.last.isClosed = true;
    expect(channel.send("control", "beat", 1)).toBe(false);
  });

  test("sends nothing that is larger than an answer ever is", async () => {
    await channel.linkUp();
    expect(channel.send("control", "answer", "x".repeat(33 * 1024 * 1024))).toBe(false);
    expect(publish.last.sent).toEqual([]);
  });

  test("is not made again once it is closed", async () => {
    await channel.linkUp();
    await channel.close();
    await clock.advance(60_000);
    await channel.linkUp();
    expect(channel.isOpen).toBe(false);
    expect([consume.channels.length, publish.channels.length]).toEqual([1, 1]);
    expect(told).toEqual(["opened"]);
  });
});
