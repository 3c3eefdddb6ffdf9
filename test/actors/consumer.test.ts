import { expect, test } from "vitest";
import {
  type ConsumerMessage,
  type ConsumerState,
  type KeyWaiter,
  stepConsumer,
} from "../../src/actors/consumer.ts";
import type { ConsumerEffect } from "../../src/actors/consumer-effects.ts";
import type { OpenQueue } from "../../src/actors/open-queue.ts";
import type { NodeServices } from "../../src/actors/services.ts";
import type { Delivery, Subscription } from "../../src/broker/contract.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import { fakeFrom, fakeRef, Recorder } from "../../src/testing/recorder.ts";

function queueOf(name: string, lane: number): OpenQueue {
  const subscription = { queue: { partition: "p", queue: name } } as unknown as Subscription;
  return { ref: subscription.queue, lane, concurrency: 2, paused: false, subscription, keyWaiters: 0 };
}

/** A consumer of one open queue, "q", driven by hand. */
class Bench {
  readonly out = new Recorder<ConsumerMessage, ConsumerEffect>();
  readonly queue = queueOf("q", 0);
  readonly state: ConsumerState = {
    partition: "p",
    services: { admission: fakeRef("admission") } as unknown as NodeServices,
    self: fakeRef("consumer"),
    supervisor: fakeRef("supervisor"),
    coordinator: fakeRef("coordinator"),
    queues: new Map([["q", this.queue]]),
    keyWaiters: new Map(),
    draining: false,
    tokens: 0,
    rounds: 0,
  };

  /** What a message made the consumer do, in a word each. */
  step(message: ConsumerMessage): string[] {
    stepConsumer(this.state, message, 0, this.out);
    return this.out.take().map((op) => {
      if (op.op === "cast") return `${op.to}: ${(op.message as { t: string }).t}`;
      if (op.op !== "effect") return op.op;
      if (op.effect.t === "limit") return `limit: ${op.effect.limit}`;
      return op.effect.t === "open" ? `open: ${op.effect.queue}` : `effect: ${op.effect.t}`;
    });
  }

  deliver(id: string, executionKey?: string): string[] {
    const envelope = new Envelope({ id, job: "j", partition: "p", queue: "q", argsText: "", executionKey });
    const delivery = { envelope } as unknown as Delivery;
    return this.step({ t: "deliver", delivery, queue: this.queue, known: {} as never, marked: false });
  }
}

test("a key that is granted at once takes no waiter's place from the limit", () => {
  const bench = new Bench();
  bench.deliver("1", "held");
  expect(bench.step({ t: "queued", key: "held", id: "1", token: 1 })).toEqual(["limit: 3"]);
  bench.deliver("2", "free");
  expect(bench.step({ t: "granted", key: "free", id: "2", token: 2 })).toEqual(["supervisor: run"]);
  expect(bench.queue.keyWaiters).toBe(1);
  expect(bench.step({ t: "granted", key: "held", id: "1", token: 1 })).toEqual([
    "limit: 2",
    "supervisor: run",
  ]);
});

test("an answer to an ask that was taken back counts for nothing", () => {
  const bench = new Bench();
  bench.deliver("1", "k");
  bench.step({ t: "pause", queue: "q", from: fakeFrom() });
  bench.step({ t: "resume", queue: "q", from: fakeFrom() });
  bench.deliver("1", "k");
  expect(bench.step({ t: "queued", key: "k", id: "1", token: 1 })).toEqual([]);
  expect(bench.step({ t: "granted", key: "k", id: "1", token: 1 })).toEqual([]);
  expect(bench.step({ t: "queued", key: "k", id: "1", token: 2 })).toEqual(["limit: 3"]);
});

test("a pause takes back what waits for a key, the ask and then the delivery", () => {
  const bench = new Bench();
  bench.deliver("1", "k");
  expect(bench.step({ t: "pause", queue: "q", from: fakeFrom() })).toEqual([
    "effect: pause",
    "coordinator: withdraw",
    "effect: release",
    "supervisor: withdraw",
    "reply",
  ]);
});

test("a waiter that is cancelled leaves its line, and its place in the limit goes with it", () => {
  const bench = new Bench();
  bench.deliver("1", "k");
  bench.step({ t: "queued", key: "k", id: "1", token: 1 });
  expect(bench.step({ t: "cancel", id: "1", from: fakeFrom<KeyWaiter | undefined>() })).toEqual([
    "coordinator: withdraw",
    "limit: 2",
    "effect: cancelled",
    "reply",
  ]);
});

test("queues open once they exist; of two reconfigurations under way only the later one counts", () => {
  const bench = new Bench();
  const from = fakeFrom<void>();
  const [first, second] = [
    { q: 2, a: 1 },
    { q: 2, b: 1 },
  ];
  expect(bench.step({ t: "configure", queues: first, from })).toEqual(["effect: declare"]);
  expect(bench.step({ t: "configure", queues: second, from })).toEqual(["effect: declare"]);
  const open = (queues: Record<string, number>, round: number) =>
    bench.step({ t: "declared", queues, round, from });
  expect(open(second, 2)).toEqual(["admission: open", "limit: 2", "open: b", "reply"]);
  expect(open(first, 1)).toEqual(["reply"]);
});

test("a consumer that drains opens nothing, and says so", () => {
  const bench = new Bench();
  const from = fakeFrom<void>();
  bench.step({ t: "configure", queues: { q: 2, a: 1 }, from });
  bench.step({ t: "drain", from: fakeFrom() });
  expect(bench.step({ t: "declared", queues: { q: 2, a: 1 }, round: 1, from })).toEqual(["refuse"]);
});

test("what was on its way from a queue that has closed goes back", () => {
  const bench = new Bench();
  const from = fakeFrom<void>();
  bench.step({ t: "configure", queues: {}, from });
  bench.step({ t: "declared", queues: {}, round: 1, from });
  expect(bench.deliver("1")).toEqual(["effect: release"]);
});
