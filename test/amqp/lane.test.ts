/**
 * What was delivered and is in nobody's hands yet: its order, and to whom it goes.
 *
 * Against a model that knows only the rules: the order of the queue, limits, turns, and nothing twice.
 * SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { Handed } from "../../src/amqp/handed.ts";
import { Lane, type LaneSubscription } from "../../src/amqp/lane.ts";
import type { QueueChannel } from "../../src/amqp/queue-channel.ts";
import type { QueueReader } from "../../src/amqp/queue-reader.ts";
import type { Delivery } from "../../src/broker/contract.ts";
import { Envelope } from "../../src/jobs/envelope.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 500 : 20_000;

const channel = (serial: number) => ({ serial }) as unknown as QueueChannel;
const FIRST = channel(1);
const SECOND = channel(2);

let lane: Lane;
let changes: number;
let abandoned: number;
/** Who got what, in order. */
let got: string[];

beforeEach(() => {
  changes = 0;
  abandoned = 0;
  got = [];
  lane = new Lane({
    queue: { partition: "p", queue: "q" },
    isStopped: false,
    wantedChanged: () => void changes++,
    abandoned: () => {
      abandoned += 1;
      return Promise.resolve();
    },
  });
});

function handed(tag: number, source: QueueChannel = FIRST): Handed {
  const envelope = new Envelope({ id: `${tag}`, job: "j", partition: "p", queue: "q", argsText: "1" });
  return new Handed(envelope, false, undefined as unknown as QueueReader, source, tag);
}

function subscribe(name: string, limit: number, then?: (delivery: Delivery) => void): LaneSubscription {
  return lane.subscribe(limit, (delivery) => {
    got.push(`${name}${delivery.envelope.id}`);
    then?.(delivery);
  });
}

const arrive = (...tags: number[]) => {
  for (const tag of tags) lane.push(handed(tag));
};
const waiting = () => lane.waiting.map(({ tag }) => tag);
/** What is put off to a microtask is done by then. */
const soon = () => Promise.resolve();

describe("order", () => {
  test("what comes is handed out as it came", () => {
    subscribe("a", 10);
    arrive(1, 2, 3);
    expect(got).toEqual(["a1", "a2", "a3"]);
    expect(lane.buffered).toBe(0);
  });

  test("what is handed back keeps its place, and goes out first", async () => {
    const subscription = subscribe("a", 2);
    arrive(1, 2, 3, 4);
    expect(waiting()).toEqual([3, 4]);
    lane.putBack(handed(2));
    lane.putBack(handed(1));
    expect(waiting()).toEqual([1, 2, 3, 4]);
    subscription.setLimit(10);
    await soon();
    expect(got.slice(2)).toEqual(["a1", "a2", "a3", "a4"]);
  });

  test("of two channels the older one's goes first", async () => {
    lane.push(handed(5, SECOND));
    lane.putBack(handed(9, FIRST));
    lane.putBack(handed(4, SECOND));
    subscribe("a", 10);
    await soon();
    expect(got).toEqual(["a9", "a4", "a5"]);
  });

  test("nothing overtakes what waits", async () => {
    const subscription = subscribe("a", 1);
    arrive(1, 2);
    subscription.setLimit(5);
    arrive(3);
    expect(got).toEqual(["a1"]);
    await soon();
    expect(got).toEqual(["a1", "a2", "a3"]);
  });

  test("what waits is handed out a microtask later, never within the call that makes room", async () => {
    const subscription = subscribe("a", 0);
    arrive(1);
    subscription.setLimit(1);
    expect(got).toEqual([]);
    await soon();
    expect(got).toEqual(["a1"]);
  });
});

describe("limits", () => {
  test("so many are unsettled at a time", async () => {
    const held: Handed[] = [];
    subscribe("a", 2, (delivery) => void held.push(delivery as Handed));
    arrive(1, 2, 3, 4);
    expect(got).toEqual(["a1", "a2"]);
    expect(lane.unsettled).toBe(2);
    const [first] = held;
    if (first !== undefined) lane.settled(first);
    await soon();
    expect(got).toEqual(["a1", "a2", "a3"]);
    expect(lane.unsettled).toBe(2);
  });

  test("a lower one hands out nothing until it is kept", async () => {
    const held: Handed[] = [];
    const subscription = subscribe("a", 3, (delivery) => void held.push(delivery as Handed));
    arrive(1, 2, 3, 4, 5);
    subscription.setLimit(1);
    for (const one of held.slice(0, 2)) lane.settled(one);
    await soon();
    expect(got).toHaveLength(3);
    for (const one of held.slice(2, 3)) lane.settled(one);
    await soon();
    expect(got).toEqual(["a1", "a2", "a3", "a4"]);
  });

  test("what is wanted is the limits of those that are not paused", () => {
    const [one, two] = [subscribe("a", 3), subscribe("b", 4)];
    expect(lane.wanted).toBe(7);
    one.pause();
    expect(lane.wanted).toBe(4);
    two.setLimit(1);
    expect(lane.wanted).toBe(1);
    one.resume();
    expect(lane.wanted).toBe(4);
    expect(changes).toBe(5);
  });
});

describe("pause", () => {
  test("hands out nothing, what is out stays out, and resume goes on", async () => {
    const subscription = subscribe("a", 5);
    arrive(1);
    subscription.pause();
    arrive(2, 3);
    await soon();
    expect(got).toEqual(["a1"]);
    expect(waiting()).toEqual([2, 3]);
    subscription.resume();
    await soon();
    expect(got).toEqual(["a1", "a2", "a3"]);
  });

  test("comes in time also between the mark and its microtask", async () => {
    const subscription = subscribe("a", 0);
    arrive(1);
    subscription.setLimit(5);
    subscription.pause();
    await soon();
    expect(got).toEqual([]);
  });
});

test("a lane gives way while all who have subscribed do", () => {
  const [a, b] = [subscribe("a", 1), subscribe("b", 1)];
  a.giveWay();
  expect([lane.givesWay, lane.wanted]).toEqual([false, 1]);
  b.giveWay();
  expect([lane.givesWay, lane.wanted]).toEqual([true, 0]);
  b.pause();
  expect(lane.givesWay).toBe(false);
  b.giveWay();
  a.resume();
  expect([lane.givesWay, lane.wanted]).toEqual([false, 1]);
});

describe("turns", () => {
  test("subscriptions take turns, whether it waits or not", async () => {
    const [one, two] = [subscribe("a", 0), subscribe("b", 0)];
    arrive(1, 2, 3, 4);
    one.setLimit(9);
    two.setLimit(9);
    await soon();
    expect(got).toEqual(["a1", "b2", "a3", "b4"]);
    arrive(5, 6);
    expect(got.slice(4)).toEqual(["a5", "b6"]);
  });

  test("of those that come one by one each has its share", async () => {
    const paused = [subscribe("a", 9), subscribe("b", 9)];
    for (let tag = 1; tag <= 6; tag++) {
      for (const one of paused) one.pause();
      arrive(tag);
      for (const one of paused) one.resume();
      await soon();
    }
    expect(got).toEqual(["a1", "b2", "a3", "b4", "a5", "b6"]);
  });

  test("one without room is passed over", () => {
    subscribe("a", 1);
    subscribe("b", 2);
    arrive(1, 2, 3, 4);
    expect(got).toEqual(["a1", "b2", "b3"]);
  });
});

describe("the end", () => {
  test("a subscription that is cancelled gets nothing more, and what it has can be settled", async () => {
    const held: Handed[] = [];
    const subscription = subscribe("a", 1, (delivery) => void held.push(delivery as Handed));
    subscribe("b", 1);
    arrive(1, 2, 3);
    await subscription.cancel();
    await subscription.cancel();
    for (const one of held) lane.settled(one);
    await soon();
    expect(got).toEqual(["a1", "b2"]);
    expect(abandoned).toBe(0);
    expect(lane.consumed).toBe(true);
  });

  test("with the last one the lane is abandoned, once", async () => {
    const subscription = subscribe("a", 1);
    await subscription.cancel();
    await subscription.cancel();
    expect(abandoned).toBe(1);
    expect(lane.consumed).toBe(false);
    expect(subscription.room).toBe(0);
  });

  test("what waits is taken away in order, once", () => {
    arrive(1, 2, 3);
    expect(lane.takeAll().map(({ tag }) => tag)).toEqual([1, 2, 3]);
    expect(lane.takeAll()).toEqual([]);
  });

  test("with a channel goes what it brought, and nothing else", () => {
    lane.push(handed(1, FIRST));
    lane.push(handed(2, SECOND));
    lane.push(handed(3, FIRST));
    expect(lane.forget(FIRST).map(({ tag }) => tag)).toEqual([1, 3]);
    expect(waiting()).toEqual([2]);
    expect(lane.forget(FIRST)).toEqual([]);
  });
});

describe("whoever gets a delivery", () => {
  test("may hand it back at once: it is neither lost nor doubled", async () => {
    let back = 2;
    const subscription = subscribe("a", 0, (delivery) => {
      if (back-- <= 0) return;
      lane.settled(delivery as Handed);
      lane.putBack(handed(Number(delivery.envelope.id)));
      if (back === 0) subscription.pause();
    });
    arrive(1, 2, 3);
    subscription.setLimit(5);
    await soon();
    expect(waiting()).toEqual([1, 2, 3]);
    subscription.resume();
    await soon();
    expect(got.slice(-3)).toEqual(["a1", "a2", "a3"]);
    expect(lane.unsettled).toBe(3);
  });

  test("may pause at once: nothing more comes", async () => {
    const subscription = subscribe("a", 0, () => subscription.pause());
    arrive(1, 2, 3);
    subscription.setLimit(5);
    await soon();
    expect(got).toEqual(["a1"]);
    expect(waiting()).toEqual([2, 3]);
  });

  test("may take the rest away at once: what it has is not among it", async () => {
    let rest: number[] = [];
    const subscription = subscribe("a", 0, () => {
      rest = lane.takeAll().map(({ tag }) => tag);
    });
    arrive(1, 2, 3);
    subscription.setLimit(5);
    await soon();
    expect(got).toEqual(["a1"]);
    expect(rest).toEqual([2, 3]);
  });
});

type Step =
  | { readonly what: "arrive" | "settle" | "release" | "turn"; readonly n: number }
  | { readonly what: "limit" | "pause" | "resume"; readonly who: number; readonly n: number };

const steps = fc.array(
  fc.oneof(
    fc.record({
      what: fc.constantFrom("arrive" as const, "settle" as const, "release" as const, "turn" as const),
      n: fc.integer({ min: 1, max: 5 }),
    }),
    fc.record({
      what: fc.constantFrom("limit" as const, "pause" as const, "resume" as const),
      who: fc.nat({ max: 2 }),
      n: fc.nat({ max: 6 }),
    }),
  ),
  { maxLength: 60 },
);

/** Three subscriptions, and what each of them has. */
class Model {
  readonly out = new Map<number, Handed>();
  readonly subscriptions: LaneSubscription[];
  tags = 0;
  settled = 0;
  /** The tag that was handed out last, since something came back. */
  last = 0;

  constructor() {
    const deliver = (at: number) => (delivery: Delivery) => this.delivered(at, delivery as Handed);
    this.subscriptions = [0, 1, 2].map((at) => lane.subscribe(at, deliver(at)));
  }

  delivered(at: number, one: Handed): void {
    const subscription = this.subscriptions[at];
    if (this.out.has(one.tag)) throw new Error(`${one.tag} is handed out twice`);
    if (one.tag < this.last) throw new Error(`${one.tag} is handed out behind ${this.last}`);
    if (subscription?.paused === true) throw new Error(`${one.tag} is handed to one that is paused`);
    if (subscription !== undefined && subscription.unsettled > subscription.limit)
      throw new Error(`${one.tag} is one too many for ${at}`);
    this.out.set(one.tag, one);
    this.last = one.tag;
  }

  async carryOut(step: Step): Promise<void> {
    const [first] = this.out.values();
    switch (step.what) {
      case "arrive":
        for (let left = step.n; left > 0; left--) lane.push(handed(++this.tags));
        return;
      case "settle":
      case "release":
        if (first === undefined) return;
        this.out.delete(first.tag);
        lane.settled(first);
        if (step.what === "settle") {
          this.settled += 1;
          return;
        }
        this.last = 0;
        return lane.putBack(handed(first.tag));
      case "turn":
        return soon();
      case "limit":
        return this.subscriptions[step.who]?.setLimit(step.n);
      default:
        return this.subscriptions[step.who]?.[step.what]();
    }
  }
}

test(`in order, within limits, to nobody who is paused, nothing lost or doubled (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      lane = new Lane({
        queue: { partition: "p", queue: "q" },
        isStopped: false,
        wantedChanged: () => {},
        abandoned: () => Promise.resolve(),
      });
      const model = new Model();
      for (const step of script) {
        await model.carryOut(step);
        expect(lane.unsettled).toBe(model.out.size);
        expect(waiting()).toEqual([...waiting()].sort((a, b) => a - b));
        expect(model.out.size + lane.buffered + model.settled).toBe(model.tags);
      }
      await soon();
      const room = model.subscriptions.reduce((sum, one) => sum + one.room, 0);
      expect(lane.buffered === 0 || room === 0).toBe(true);
    }),
    { numRuns: RUNS, seed: SEED },
  );
});
