/**
 * The publisher against a channel that behaves as amqplib's does, down to the order in which it tells of its death.
 *
 * Each letter is settled exactly once, whatever becomes of channel, connection and broker; what must arrive does, and
 * everything else is told in time. SPILLWAY_SEED repeats a run.
 */
import { EventEmitter } from "node:events";
import type { ConfirmChannel } from "amqplib";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { Letter, type Sent } from "../../src/amqp/letter.ts";
import type { Link } from "../../src/amqp/link.ts";
import { Publisher } from "../../src/amqp/publisher.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 150 : 5_000;

const BLOCKED_MS = 10_000;
const CONFIRM_MS = 30_000;
const WINDOW = 1_024;
const MIB = 1024 * 1024;
/** One for all letters: what counts is how long they are. */
const BODY = Buffer.alloc(MIB);

type Confirmed = (error: unknown) => void;
interface Written {
  readonly key: string;
  readonly id: string;
  readonly confirmed: Confirmed;
}

/** amqplib's confirm channel: callbacks of a close come first, and nothing can be written from then on. */
class FakeChannel extends EventEmitter {
  readonly written: Written[] = [];
  isClosed = false;
  /** What `publish` answers: whether the socket takes more. */
  takesMore = true;
  /** What `publish` throws, for a letter that no channel takes. */
  refuses: Error | undefined;
  #unconfirmed: Written[] = [];

  constructor() {
    super();
    this.on("error", () => {});
    this.on("close", () => {
      const rest = this.#unconfirmed;
      for (const { confirmed } of rest) confirmed(new Error("channel closed"));
      this.#unconfirmed = [];
    });
  }

  publish(
    _exchange: string,
    key: string,
    _body: Buffer,
    options: { messageId: string },
    confirmed: Confirmed,
  ) {
    if (this.isClosed) throw Object.assign(new Error("Channel closed"), { name: "IllegalOperationError" });
    if (this.refuses !== undefined) throw this.refuses;
    const one = { key, id: options.messageId, confirmed };
    this.written.push(one);
    this.#unconfirmed.push(one);
    return this.takesMore;
  }

  get waiting(): readonly Written[] {
    return this.#unconfirmed;
  }

  confirm(count = 1, error: unknown = null): void {
    for (const { confirmed } of this.#unconfirmed.splice(0, count)) confirmed(error);
  }

  nack(): void {
    this.confirm(1, new Error("message nacked"));
  }

  returns(id: string, key: string): void {
    this.emit("return", { properties: { messageId: id }, fields: { routingKey: key } });
  }

  drains(): void {
    this.takesMore = true;
    this.emit("drain");
  }

  /** By the broker, for what was sent on it. */
  fails(code: number): void {
    this.isClosed = true;
    this.emit("error", Object.assign(new Error("Channel closed by server"), { code }));
    this.emit("close");
  }

  /** With its connection. */
  dies(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.emit("close");
  }

  close(): Promise<void> {
    this.dies();
    return Promise.resolve();
  }
}

/** A publisher, its link, and the channels that it has had. */
class World {
  readonly clock = new VirtualClock();
  readonly channels: FakeChannel[] = [];
  readonly link = {
    isUp: true,
    blockedBy: undefined as string | undefined,
    confirmChannel: () => this.#made(),
  };
  readonly warnings: string[] = [];
  readonly ends = new Map<string, Sent[]>();
  prepares: () => Promise<void> = () => Promise.resolve();
  readonly publisher: Publisher;

  constructor() {
    this.publisher = new Publisher({
      link: this.link as unknown as Link,
      clock: this.clock,
      broker: "RabbitMQ at here",
      blockedTimeoutMs: BLOCKED_MS,
      prepare: () => this.prepares(),
      warn: (text) => this.warnings.push(text),
    });
  }

  #made(): Promise<ConfirmChannel> {
    if (!this.link.isUp) return Promise.reject(new Error("the connection is not there"));
    const channel = new FakeChannel();
    this.channels.push(channel);
    return Promise.resolve(channel as unknown as ConfirmChannel);
  }

  async up(): Promise<FakeChannel> {
    this.link.isUp = true;
    this.publisher.linkUp();
    await this.clock.settle();
    return this.channel;
  }

  /** The connection is lost: its channels tell first, then the link. */
  down(): void {
    const { channel } = this;
    channel.dies();
    this.link.isUp = false;
    this.link.blockedBy = undefined;
  }

  get channel(): FakeChannel {
    const last = this.channels.at(-1);
    if (last === undefined) throw new Error("there is no channel yet");
    return last;
  }

  send(id: string, { must = false, bytes = 10, key = "p.q" } = {}): void {
    const told = (sent: Sent) => this.ends.set(id, [...(this.ends.get(id) ?? []), sent]);
    this.publisher.send(
      new Letter({ exchange: "x", key }, BODY.subarray(0, bytes), id, "job", undefined, must, told),
    );
  }

  /** What became of a letter: in short. */
  end(id: string): string | undefined {
    const ends = this.ends.get(id);
    if (ends === undefined) return undefined;
    if (ends.length > 1) throw new Error(`${id} was settled ${ends.length} times`);
    const [sent] = ends;
    return sent === undefined ? undefined : "error" in sent ? `${sent.kind} ${sent.error.name}` : sent.kind;
  }

  written(channel = this.channel): string[] {
    return channel.written.map(({ id }) => id);
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe("a letter", () => {
  test("is written at once, and settled by its confirm", async () => {
    const channel = await world.up();
    world.send("a");
    expect(world.written()).toEqual(["a"]);
    expect(world.end("a")).toBeUndefined();
    channel.confirm();
    expect(world.end("a")).toBe("confirmed");
    expect(world.publisher.unconfirmed).toBe(0);
  });

  test("that no queue takes is returned before it is confirmed, and told so", async () => {
    const channel = await world.up();
    for (const id of ["a", "b", "c"]) world.send(id);
    channel.returns("b", "p.q");
    channel.confirm(3);
    expect(["a", "b", "c"].map((id) => world.end(id))).toEqual(["confirmed", "returned", "confirmed"]);
  });

  test("is not taken for another one of its id by another key", async () => {
    const channel = await world.up();
    world.send("a", { key: "p.one" });
    channel.returns("a", "p.two");
    channel.confirm();
    expect(world.end("a")).toBe("confirmed");
  });

  test("that was enqueued twice under one id is returned twice", async () => {
    const channel = await world.up();
    const ends: string[] = [];
    for (let times = 0; times < 2; times++) {
      const route = { exchange: "x", key: "p.q" };
      world.publisher.send(
        new Letter(route, Buffer.alloc(1), "a", "job", undefined, false, ({ kind }) => ends.push(kind)),
      );
    }
    channel.returns("a", "p.q");
    channel.returns("a", "p.q");
    channel.confirm(2);
    expect(ends).toEqual(["returned", "returned"]);
  });

  test("that amqplib cannot write is told why, and nothing else is held up", async () => {
    const channel = await world.up();
    channel.refuses = new RangeError("Encoded field table exceeds the 65536 byte encoding buffer");
    world.send("headers", { must: true });
    channel.refuses = new TypeError("Field 'type' is the wrong type; must be a string (up to 255 chars)");
    world.send("name", { must: true });
    world.send("other");
    channel.refuses = undefined;
    world.send("next");
    expect(world.end("headers")).toBe("unsent RangeError");
    expect(world.end("name")).toBe("unsent TypeError");
    expect(world.end("other")).toBe("unsent TypeError");
    expect(world.written()).toEqual(["next"]);
  });

  test("of a job with a long name is one that amqplib can write", () => {
    const name = "仕事".repeat(64);
    const letter = new Letter(
      { exchange: "x", key: "q" },
      Buffer.alloc(0),
      "a",
      name,
      undefined,
      false,
      () => {},
    );
    expect(Buffer.byteLength(letter.options.type ?? "")).toBeLessThanOrEqual(255);
    expect(
      new Letter({ exchange: "x", key: "q" }, Buffer.alloc(0), "a", "mail", undefined, false, () => {})
        .options,
    ).toEqual({
      persistent: true,
      mandatory: true,
      messageId: "a",
      type: "mail",
    });
  });

  test("that the broker could not store is told so, or sent again when it must arrive", async () => {
    const channel = await world.up();
    world.send("may");
    world.send("must", { must: true });
    channel.nack();
    channel.nack();
    expect(world.end("may")).toBe("unknown BrokerRefused");
    expect(world.end("must")).toBeUndefined();
    expect(world.publisher.unconfirmed).toBe(1);
    await world.clock.advance(200);
    expect(world.written()).toEqual(["must"]); // on a new channel
    world.channel.confirm();
    expect(world.end("must")).toBe("confirmed");
  });

  test("that a channel refuses is the last of that channel: it is closed when nothing is on its way on it", async () => {
    const first = await world.up();
    for (const id of ["refused", "slow", "slower"]) world.send(id);
    first.nack();
    world.send("next");
    await world.clock.settle();
    expect(world.channels).toHaveLength(2);
    expect(world.channel.written.map(({ id }) => id)).toEqual(["next"]);
    first.confirm();
    await world.clock.settle();
    expect(first.isClosed).toBe(false);
    first.confirm();
    await world.clock.settle();
    expect(first.isClosed).toBe(true);
    world.channel.confirm();
    expect(["slow", "slower", "next"].map((id) => world.end(id))).toEqual(Array(3).fill("confirmed"));
    world.send("later");
    expect(world.channel.written.at(-1)?.id).toBe("later");
  });

  test("that every channel refuses costs one channel a second", async () => {
    await world.up();
    world.send("must", { must: true });
    for (let ms = 0; ms < 3_000; ms += 200) {
      if (world.channel.waiting.length > 0) world.channel.nack();
      await world.clock.advance(200);
    }
    expect(world.channels).toHaveLength(4);
    world.channel.confirm();
    expect(world.end("must")).toBe("confirmed");
    expect(world.channels.filter(({ isClosed }) => !isClosed)).toHaveLength(1);
  });
});

describe("the window", () => {
  test("so many are written and not confirmed, the rest waits in order", async () => {
    const channel = await world.up();
    for (let at = 0; at < WINDOW + 10; at++) world.send(`${at}`);
    expect(channel.written).toHaveLength(WINDOW);
    channel.confirm(3);
    expect(world.written().slice(WINDOW)).toEqual([`${WINDOW}`, `${WINDOW + 1}`, `${WINDOW + 2}`]);
    while (channel.waiting.length > 0) channel.confirm(100);
    expect(world.written()).toEqual(Array.from({ length: WINDOW + 10 }, (_, at) => `${at}`));
    expect(world.publisher.unconfirmed).toBe(0);
  });

  test("so many bytes are written and not confirmed", async () => {
    const channel = await world.up();
    for (let at = 0; at < 40; at++) world.send(`${at}`, { bytes: MIB });
    expect(channel.written).toHaveLength(32);
    channel.confirm(2);
    expect(channel.written).toHaveLength(34);
  });

  test("nothing is written while the socket is full", async () => {
    const channel = await world.up();
    channel.takesMore = false;
    world.send("a");
    world.send("b");
    channel.confirm();
    expect(world.written()).toEqual(["a"]);
    channel.drains();
    expect(world.written()).toEqual(["a", "b"]);
  });

  test("a full socket is forgotten with its channel", async () => {
    const channel = await world.up();
    channel.takesMore = false;
    world.send("a", { must: true });
    world.down();
    await world.up();
    expect(world.written()).toEqual(["a"]);
  });
});

describe("the broker is away", () => {
  test("what is enqueued waits, and is written when it is back", async () => {
    world.link.isUp = false;
    world.send("a");
    await world.clock.advance(BLOCKED_MS - 1_000);
    await world.up();
    expect(world.written()).toEqual(["a"]);
  });

  test("what waited for too long is told that it never left", async () => {
    world.link.isUp = false;
    world.send("a");
    world.send("must", { must: true });
    await world.clock.advance(1_000);
    world.send("b");
    await world.clock.advance(BLOCKED_MS - 500);
    expect(world.end("a")).toBe("unsent BrokerUnreachable");
    expect(world.end("b")).toBeUndefined();
    await world.clock.advance(1_000);
    expect(world.end("b")).toBe("unsent BrokerUnreachable");
    await world.clock.advance(3_600_000);
    expect(world.end("must")).toBeUndefined();
    await world.up();
    expect(world.written()).toEqual(["must"]);
  });

  test("memory is bounded: beyond 64 MiB what may be refused is, at once", () => {
    world.link.isUp = false;
    for (let at = 0; at < 70; at++) world.send(`${at}`, { bytes: MIB });
    expect(world.end("63")).toBeUndefined();
    expect(world.end("64")).toBe("unsent BrokerUnreachable");
    world.send("must", { must: true, bytes: MIB });
    expect(world.end("must")).toBeUndefined();
    expect(world.publisher.unconfirmed).toBe(65);
  });

  test("what was told that it never left takes no room from what comes", async () => {
    world.link.isUp = false;
    for (let at = 0; at < 64; at++) world.send(`${at}`, { bytes: MIB });
    await world.clock.advance(BLOCKED_MS + 500);
    expect(world.end("0")).toBe("unsent BrokerUnreachable");
    expect(world.publisher.unconfirmed).toBe(0);
    world.send("new", { bytes: MIB });
    expect(world.end("new")).toBeUndefined();
    await world.up();
    expect(world.written()).toEqual(["new"]);
  });

  test("nothing wakes it when nothing waits", async () => {
    const channel = await world.up();
    world.send("a");
    channel.confirm();
    await world.clock.advance(1_000);
    expect(world.clock.pending).toBe(0);
  });
});

describe("the broker takes no messages", () => {
  test("what was not written yet is told that it never left, and why", async () => {
    await world.up();
    world.link.blockedBy = "low on memory";
    world.send("a");
    await world.clock.advance(BLOCKED_MS + 500);
    expect(world.end("a")).toBe("unsent BrokerBlocked");
    expect(world.written()).toEqual([]);
  });

  test("of what was written nobody can tell", async () => {
    const channel = await world.up();
    world.send("a");
    world.send("must", { must: true });
    world.link.blockedBy = "low on memory";
    await world.clock.advance(BLOCKED_MS + 500);
    expect(world.end("a")).toBe("unknown BrokerBlocked");
    channel.confirm(2);
    expect(world.end("a")).toBe("unknown BrokerBlocked");
    expect(world.end("must")).toBe("confirmed");
  });

  test("what waits goes on when the alarm is over", async () => {
    await world.up();
    world.link.blockedBy = "low on memory";
    world.send("a");
    await world.clock.advance(1_000);
    world.link.blockedBy = undefined;
    world.publisher.unblocked();
    expect(world.written()).toEqual(["a"]);
  });

  test("a confirm that takes too long is not waited for", async () => {
    await world.up();
    world.send("a");
    await world.clock.advance(CONFIRM_MS - 500);
    expect(world.end("a")).toBeUndefined();
    await world.clock.advance(1_000);
    expect(world.end("a")).toBe("unknown BrokerUnreachable");
  });
});

describe("the channel is gone", () => {
  test("what must arrive is written again on the next one, all else is told that nobody knows", async () => {
    await world.up();
    for (const id of ["a", "b"]) world.send(id);
    for (const id of ["m1", "m2"]) world.send(id, { must: true });
    world.down();
    expect(world.end("a")).toBe("unknown BrokerUnreachable");
    expect(world.end("b")).toBe("unknown BrokerUnreachable");
    expect(world.end("m1")).toBeUndefined();
    const next = await world.up();
    expect(world.written()).toEqual(["m1", "m2"]);
    next.confirm(2);
    expect(world.end("m1")).toBe("confirmed");
    expect(world.end("m2")).toBe("confirmed");
  });

  test("a return on the channel before does not count on this one", async () => {
    const channel = await world.up();
    world.send("m", { must: true });
    channel.returns("m", "p.q");
    world.down();
    const next = await world.up();
    next.confirm();
    expect(world.end("m")).toBe("confirmed");
  });

  test("that the broker closed alone is made anew", async () => {
    const channel = await world.up();
    world.send("m", { must: true });
    channel.fails(404);
    expect(world.channels).toHaveLength(1);
    await world.clock.advance(200);
    expect(world.channels).toHaveLength(2);
    expect(world.written()).toEqual(["m"]);
  });

  test("a letter that closes three channels in a row is told so, and let go", async () => {
    await world.up();
    world.send("poison", { must: true });
    for (let times = 0; times < 3; times++) {
      expect(world.end("poison")).toBeUndefined();
      world.channel.fails(406);
      await world.clock.advance(200);
    }
    expect(world.end("poison")).toBe("unknown BrokerRefused");
    expect(world.written()).toEqual([]);
    expect(world.warnings).toHaveLength(3);
  });

  test("connections that are lost do not count for that", async () => {
    await world.up();
    world.send("m", { must: true });
    for (let times = 0; times < 10; times++) {
      world.down();
      await world.up();
    }
    expect(world.end("m")).toBeUndefined();
    world.channel.confirm();
    expect(world.end("m")).toBe("confirmed");
  });

  test("what is sent while it is closed and nobody has said so yet is not lost", async () => {
    const channel = await world.up();
    channel.isClosed = true;
    world.send("may");
    world.send("must", { must: true });
    expect(world.end("may")).toBe("unsent BrokerUnreachable");
    channel.emit("close");
    await world.clock.advance(200);
    expect(world.written()).toEqual(["must"]);
  });

  test("a channel that cannot be made is tried again, and that is said once", async () => {
    world.prepares = () => Promise.reject(new Error("access refused"));
    world.publisher.linkUp();
    world.send("a");
    await world.clock.advance(450);
    expect(world.channels).toHaveLength(0);
    expect(world.warnings).toHaveLength(1);
    world.prepares = () => Promise.resolve();
    await world.clock.advance(200);
    expect(world.written()).toEqual(["a"]);
  });
});

describe("the end", () => {
  test("settles what is on its way and what waits, once", async () => {
    const channel = await world.up();
    for (let at = 0; at < WINDOW + 2; at++) world.send(`${at}`, { must: at % 2 === 0 });
    world.publisher.close();
    expect(world.end("0")).toBe("unknown BrokerUnreachable");
    expect(world.end(`${WINDOW}`)).toBe("unsent BrokerUnreachable");
    expect(world.end(`${WINDOW + 1}`)).toBe("unsent BrokerUnreachable");
    expect(world.ends.size).toBe(WINDOW + 2);
    expect(channel.isClosed).toBe(true);
    world.send("late", { must: true });
    expect(world.end("late")).toBe("unsent BrokerUnreachable");
    await world.clock.advance(60_000);
    for (const id of world.ends.keys()) world.end(id);
    expect(world.clock.pending).toBe(0);
  });

  test("does not forget what rests after a nack", async () => {
    const channel = await world.up();
    world.send("m", { must: true });
    channel.nack();
    world.publisher.close();
    expect(world.end("m")).toBe("unsent BrokerUnreachable");
    await world.clock.advance(1_000);
    expect(world.end("m")).toBe("unsent BrokerUnreachable");
  });

  test("waits for what is on its way, and not for ever", async () => {
    const channel = await world.up();
    world.send("a");
    let drained = 0;
    void world.publisher.drain(5_000).then(() => drained++);
    await world.clock.advance(1_000);
    expect(drained).toBe(0);
    channel.confirm();
    await world.clock.advance(50);
    expect(drained).toBe(1);
    world.send("b");
    void world.publisher.drain(5_000).then(() => drained++);
    await world.clock.advance(5_100);
    expect(drained).toBe(2);
  });
});

type Step = {
  readonly what:
    | "send"
    | "must"
    | "confirm"
    | "nack"
    | "return"
    | "fail"
    | "down"
    | "up"
    | "block"
    | "unblock"
    | "choke"
    | "drain"
    | "wait";
  readonly n: number;
};
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom<Step["what"]>(
    "send",
    "send",
    "send",
    "must",
    "must",
    "confirm",
    "confirm",
    "nack",
    "return",
    "fail",
    "down",
    "up",
    "up",
    "block",
    "unblock",
    "choke",
    "drain",
    "wait",
    "wait",
  ),
  n: fc.integer({ min: 1, max: 300 }),
});

async function carryOut(of: World, { what, n }: Step, at: number): Promise<void> {
  const channel = of.channels.at(-1);
  if (what === "send" || what === "must")
    for (let sent = 0; sent < n; sent++)
      of.send(`${at}.${sent}`, { must: what === "must", bytes: n % 7 === 0 ? MIB : 50 });
  else if (what === "up") await of.up();
  else if (what === "wait") await of.clock.advance(n * 50);
  else if (what === "block") of.link.blockedBy = of.link.isUp ? "alarm" : undefined;
  else if (what === "unblock") {
    of.link.blockedBy = undefined;
    of.publisher.unblocked();
  } else if (channel === undefined || channel.isClosed) return;
  else if (what === "confirm") channel.confirm(n);
  else if (what === "nack") channel.nack();
  else if (what === "return") channel.returns(channel.waiting[0]?.id ?? "", "p.q");
  else if (what === "fail") channel.fails(406);
  else if (what === "down") of.down();
  else if (what === "choke") channel.takesMore = false;
  else channel.drains();
}

test(`each letter is settled exactly once, and the window holds, whatever happens (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const of = new World();
      for (const [at, one] of steps.entries()) {
        await carryOut(of, one, at);
        for (const channel of of.channels) expect(channel.waiting.length).toBeLessThanOrEqual(WINDOW);
        for (const id of of.ends.keys()) of.end(id);
      }
      const sent = steps.reduce((sum, { what, n }) => sum + (what === "send" || what === "must" ? n : 0), 0);
      expect(of.ends.size).toBeLessThanOrEqual(sent);
      of.publisher.close();
      for (const id of of.ends.keys()) of.end(id);
      expect(of.ends.size).toBe(sent);
    }),
    { numRuns: RUNS, seed: SEED },
  );
});
