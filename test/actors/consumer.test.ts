import { beforeEach, describe, expect, test } from "vitest";
import {
  type ConsumerMessage,
  type ConsumerState,
  type KeyWaiter,
  stepConsumer,
} from "../../src/actors/consumer.ts";
import type { ConsumerEffect } from "../../src/actors/consumer-effects.ts";
import { OpenQueue, type Queues } from "../../src/actors/open-queue.ts";
import type { NodeServices } from "../../src/actors/services.ts";
import type { Delivery, Subscription } from "../../src/broker/contract.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import { fakeFrom, fakeRef, Recorder } from "../../src/testing/recorder.ts";

function queueOf(name: string, lane: number): OpenQueue {
  const subscription = { queue: { partition: "p", queue: name } } as unknown as Subscription;
  const queue = new OpenQueue(subscription.queue, lane, 2);
  queue.subscription = subscription;
  return queue;
}

/** A consumer of one open queue, "q", driven by hand. */
class Bench {
  readonly out = new Recorder<ConsumerMessage, ConsumerEffect>();
  readonly queue = queueOf("q", 0);
  readonly state: ConsumerState = {
    partition: "p",
    services: {
      admission: fakeRef("admission"),
      broker: { keyRoom: undefined },
      maxKeyWaiters: 2,
    } as unknown as NodeServices,
    self: fakeRef("consumer"),
    supervisor: fakeRef("supervisor"),
    coordinator: fakeRef("coordinator"),
    queues: new Map([["q", this.queue]]),
    keyWaiters: new Map(),
    draining: false,
    rounds: 0,
    tokens: 0,
    configured: 0,
  };

  /** Where jobs wait that are too many. */
  set room(kind: "round" | "shelf") {
    Object.assign(this.state.services, { broker: { keyRoom: { kind } } });
  }

  /** What a message made the consumer do, in a word each. */
  step(message: ConsumerMessage): string[] {
    stepConsumer(this.state, message, 0, this.out);
    return this.out.take().map((op) => {
      if (op.op === "cast") return `${op.to}: ${(op.message as { t: string }).t}`;
      if (op.op !== "effect") return op.op;
      const { effect } = op;
      if (effect.t === "limit") return `limit: ${effect.limit}`;
      if (effect.t === "round" || effect.t === "shelve") return `${effect.t}: ${effect.delivery.envelope.id}`;
      if (effect.t === "take-down") return `take down: ${effect.most} of ${effect.key}`;
      return op.effect.t === "open" ? `open: ${op.effect.queue}` : `effect: ${op.effect.t}`;
    });
  }

  deliver(id: string, executionKey?: string, taken = false): string[] {
    const envelope = new Envelope({ id, job: "j", partition: "p", queue: "q", argsText: "", executionKey });
    const delivery = { envelope } as unknown as Delivery;
    const message = { t: "deliver", delivery, queue: this.queue, known: {} as never, marked: false } as const;
    return this.step(taken ? { ...message, taken } : message);
  }

  /** Delivered, and told that it must wait; `place`: where in the line, at its end if nothing is said. */
  waits(id: string, key: string, place = this.state.tokens + 1): string[] {
    this.deliver(id, key);
    return this.step({ t: "queued", key, id, token: this.state.tokens, place });
  }

  granted(id: string, key: string): string[] {
    const token = this.state.keyWaiters.get(id)?.token ?? 0;
    return this.step({ t: "granted", key, id, token });
  }
}

test("a key that is granted at once takes no waiter's place from the limit", () => {
  const bench = new Bench();
  bench.deliver("1", "held");
  expect(bench.step({ t: "queued", key: "held", id: "1", token: 1, place: 1 })).toEqual(["limit: 3"]);
  bench.deliver("2", "free");
  expect(bench.step({ t: "granted", key: "free", id: "2", token: 2 })).toEqual(["supervisor: run"]);
  expect(bench.queue.crowd.counted).toBe(1);
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
  expect(bench.step({ t: "queued", key: "k", id: "1", token: 1, place: 1 })).toEqual([]);
  expect(bench.step({ t: "granted", key: "k", id: "1", token: 1 })).toEqual([]);
  expect(bench.step({ t: "queued", key: "k", id: "1", token: 2, place: 2 })).toEqual(["limit: 3"]);
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

describe("a queue that gives way", () => {
  const GIVE_WAY = { t: "give-way", queue: "q", pool: 0 } as const;
  const ROOM = { t: "room", queue: "q" } as const;
  let bench: Bench;

  beforeEach(() => {
    bench = new Bench();
    bench.deliver("1", "k");
    expect(bench.step(GIVE_WAY)).toEqual([
      "effect: give-way",
      "supervisor: give-way",
      "admission: gave-way",
      "timer",
    ]);
  });

  test("keeps what waits for a key, and gives on what was on its way here", () => {
    expect(bench.state.keyWaiters.size).toBe(1);
    expect(bench.deliver("2")).toEqual(["effect: release"]);
  });

  test("does so once, until there is room", () => {
    expect(bench.step(GIVE_WAY)).toEqual([]);
    expect(bench.step(ROOM)).toEqual(["effect: resume"]);
    expect(bench.step(ROOM)).toEqual([]);
    expect(bench.deliver("2")).toEqual(["supervisor: run"]);
  });

  test("stays paused when somebody pauses it meanwhile", () => {
    bench.step({ t: "pause", queue: "q", from: fakeFrom() });
    expect(bench.step(ROOM)).toEqual([]);
    expect(bench.step(GIVE_WAY)).toEqual([]);
    expect(bench.step({ t: "resume", queue: "q", from: fakeFrom() })).toEqual(["effect: resume", "reply"]);
  });
});

test("a waiter that is cancelled leaves its line, and its place in the limit goes with it", () => {
  const bench = new Bench();
  bench.deliver("1", "k");
  bench.step({ t: "queued", key: "k", id: "1", token: 1, place: 1 });
  expect(bench.step({ t: "cancel", id: "1", from: fakeFrom<KeyWaiter | undefined>() })).toEqual([
    "coordinator: withdraw",
    "limit: 2",
    "effect: cancelled",
    "reply",
  ]);
});

const wanted = (queues: Record<string, number>): Queues =>
  Object.fromEntries(Object.entries(queues).map(([name, concurrency]) => [name, { concurrency }]));

test("queues open once they exist; of two reconfigurations under way only the later one counts", () => {
  const bench = new Bench();
  const from = fakeFrom<void>();
  const [first, second] = [wanted({ q: 2, a: 1 }), wanted({ q: 2, b: 1 })] as const;
  expect(bench.step({ t: "configure", queues: first, from })).toEqual(["effect: declare"]);
  expect(bench.step({ t: "configure", queues: second, from })).toEqual(["effect: declare"]);
  const open = (queues: Queues, round: number) => bench.step({ t: "declared", queues, round, from });
  expect(open(second, 2)).toEqual(["admission: open", "limit: 2", "open: b", "reply"]);
  expect(open(first, 1)).toEqual(["reply"]);
});

test("a consumer that drains opens nothing, and says so", () => {
  const bench = new Bench();
  const from = fakeFrom<void>();
  bench.step({ t: "configure", queues: wanted({ q: 2, a: 1 }), from });
  bench.step({ t: "drain", from: fakeFrom() });
  expect(bench.step({ t: "declared", queues: wanted({ q: 2, a: 1 }), round: 1, from })).toEqual(["refuse"]);
});

test("what was on its way from a queue that has closed goes back", () => {
  const bench = new Bench();
  const from = fakeFrom<void>();
  bench.step({ t: "configure", queues: {}, from });
  bench.step({ t: "declared", queues: {}, round: 1, from });
  expect(bench.deliver("1")).toEqual(["effect: release"]);
});

describe("above the bound, on a broker that nodes share", () => {
  let bench: Bench;
  const look = (ready: number) => bench.step({ t: "look", queue: bench.queue, ready });

  beforeEach(() => {
    bench = new Bench();
    bench.room = "round";
    bench.waits("1", "k");
    bench.waits("2", "k");
  });

  test("nobody goes round before it is known how fast they start, and none is read in their stead", () => {
    expect(bench.waits("3", "k")).toEqual(["timer"]);
    expect(bench.waits("4", "k")).toEqual([]);
    expect(bench.step({ t: "look", queue: bench.queue })).toEqual(["effect: count"]);
    expect(look(0)).toEqual(["round: 4", "round: 3", "timer"]);
    expect(bench.queue.limit).toBe(4);
  });

  test("who comes last in the line goes, whoever came last to the node", () => {
    bench.waits("3", "k", 9);
    look(0);
    expect(bench.waits("4", "k", 0)).toEqual(["round: 2"]);
    expect([...bench.state.keyWaiters.keys()]).toEqual(["1", "4"]);
  });

  test("a hundred go in a second at most", () => {
    bench.waits("x", "k");
    look(0);
    const went = Array.from({ length: 200 }, (_, at) => bench.waits(`w${at}`, "k")).flat();
    expect(went).toHaveLength(99);
    expect(look(0)).toHaveLength(100 + 1);
    expect(bench.state.rounds).toBe(200);
  });

  test("none goes that would not be back before its turn", () => {
    bench.waits("3", "k");
    look(0);
    bench.waits("4", "k");
    bench.granted("1", "k");
    bench.waits("5", "k");
    // one of two started within the second: the turn of the next is in about two
    expect(look(10_000)).toEqual(["timer"]);
    expect(bench.waits("6", "k")).toEqual([]);
  });

  test("when a waiter starts, whoever waited above the bound is counted in its place", () => {
    bench.waits("3", "k");
    expect(bench.granted("1", "k")).toEqual(["supervisor: run"]);
    expect(bench.queue.crowd.counted).toBe(2);
    expect(bench.granted("2", "k")).toEqual(["limit: 3", "supervisor: run"]);
  });

  test("it is looked at no more when nobody waits above the bound and nobody went", () => {
    bench.waits("3", "k");
    expect(look(0)).toEqual(["round: 3", "timer"]);
    expect(look(0)).toEqual(["timer"]);
    expect(look(0)).toEqual([]);
    expect(bench.waits("4", "k")).toEqual(["timer"]);
  });
});

describe("above the bound, where the store is our own", () => {
  let bench: Bench;
  const put = (id: string, key: string) => {
    bench.queue.shelves.get(key)?.jobs.push(Number(id));
  };
  const took = (key: string) => {
    const shelf = bench.queue.shelves.get(key);
    if (shelf === undefined) throw new Error(`no shelf of ${key}`);
    return bench.step({ t: "took-down", queue: bench.queue, key, shelf });
  };

  beforeEach(() => {
    bench = new Bench();
    bench.room = "shelf";
    bench.waits("1", "k");
    bench.waits("2", "k");
    expect(bench.waits("3", "k")).toEqual(["coordinator: withdraw", "shelve: 3"]);
    put("3", "k");
  });

  test("whoever comes behind one that was put aside is put aside too, and asks nobody", () => {
    expect(bench.deliver("4", "k")).toEqual(["shelve: 4"]);
  });

  test("the first of each key is in hand, so that its key finds somebody", () => {
    expect(bench.waits("4", "other")).toEqual(["limit: 5"]);
    expect(bench.waits("5", "other")).toEqual(["coordinator: withdraw", "shelve: 5"]);
  });

  test("they come down as those before them start, each once", () => {
    expect(bench.granted("1", "k")).toEqual(["limit: 3", "take down: 1 of k", "supervisor: run"]);
    bench.queue.shelves.get("k")?.jobs.shift();
    expect(bench.granted("2", "k")).toEqual(["limit: 2", "supervisor: run"]);
    expect(bench.deliver("3", "k", true)).toEqual(["limit: 3", "coordinator: acquire"]);
    expect(took("k")).toEqual([]);
    expect(bench.queue.shelves.size).toBe(0);
    expect(bench.granted("3", "k")).toEqual(["limit: 2", "supervisor: run"]);
  });

  test("what was cancelled on its shelf is followed by the next", () => {
    bench.deliver("4", "k");
    put("4", "k");
    bench.granted("1", "k");
    bench.granted("2", "k");
    bench.queue.shelves.get("k")?.jobs.shift();
    expect(took("k")).toEqual(["take down: 2 of k"]);
  });

  test("a pause gives all of it back, and what was on its way down follows", () => {
    bench.granted("1", "k");
    const effects = bench.step({ t: "pause", queue: "q", from: fakeFrom() });
    expect(effects).toContain("effect: clear-shelves");
    expect(bench.deliver("3", "k", true)).toEqual(["effect: release"]);
  });

  test("a delivery that takes the place of a void one is not put behind it", () => {
    expect(bench.deliver("1", "k")).toEqual(["limit: 3", "coordinator: acquire"]);
  });
});
