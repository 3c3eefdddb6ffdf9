/**
 * How many messages stand in a queue: what the broker said last, at once; asked again behind it when that is old.
 *
 * The broker is a list of questions that the test answers.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { type Counted, Counts } from "../../src/amqp/counts.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

interface Question {
  readonly name: string;
  readonly answer: (counted: Counted) => void;
  readonly fail: (error: Error) => void;
}

let clock: VirtualClock;
let asked: Question[];
let counts: Counts;

beforeEach(() => {
  clock = new VirtualClock(1_000);
  asked = [];
  counts = new Counts(
    clock,
    (name) =>
      new Promise((resolve, reject) => {
        asked.push({ name, answer: resolve, fail: reject });
      }),
  );
});

async function answer(at: number, ready: number | undefined): Promise<void> {
  asked[at]?.answer({ ready, consumers: 1 });
  await clock.settle();
}

describe("a look", () => {
  test("never waits: nothing is known at first, and is asked for", async () => {
    expect(counts.get("p.q")).toEqual({ ready: 0, consumers: 0 });
    expect(asked.map(({ name }) => name)).toEqual(["p.q"]);
    await answer(0, 7);
    expect(counts.get("p.q")).toEqual({ ready: 7, consumers: 1 });
  });

  test("asks one question at a time", async () => {
    counts.get("p.q");
    await clock.advance(10_000);
    counts.get("p.q");
    expect(asked).toHaveLength(1);
  });

  test("asks again when what is known is a tenth of a second old, and not before", async () => {
    counts.get("p.q");
    await answer(0, 7);
    await clock.advance(99);
    counts.get("p.q");
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect(counts.get("p.q").ready).toBe(7);
    expect(asked).toHaveLength(2);
    await answer(1, 8);
    expect(counts.get("p.q").ready).toBe(8);
  });

  test("of a queue that is not there says so once that is known", async () => {
    counts.get("p.q");
    await answer(0, undefined);
    expect(counts.get("p.q").ready).toBeUndefined();
  });

  test("keeps what was known when the broker is away, and does not hurry it", async () => {
    counts.get("p.q");
    await answer(0, 7);
    await clock.advance(100);
    counts.get("p.q");
    asked[1]?.fail(new Error("away"));
    await clock.settle();
    expect(counts.get("p.q").ready).toBe(7);
    expect(asked).toHaveLength(2);
    await clock.advance(100);
    counts.get("p.q");
    expect(asked).toHaveLength(3);
  });

  test("at one queue asks nothing of another", async () => {
    counts.get("p.a");
    await answer(0, 1);
    counts.get("p.b");
    await answer(1, 2);
    expect([counts.get("p.a").ready, counts.get("p.b").ready]).toEqual([1, 2]);
  });

  test("nothing is asked when nobody looks", async () => {
    counts.get("p.q");
    await answer(0, 7);
    await clock.advance(60_000);
    expect(asked).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});

test("whoever wants it fresh waits for the answers, also when none comes", async () => {
  let done = false;
  void counts.fresh(["p.a", "p.b"]).then(() => {
    done = true;
  });
  await answer(0, 3);
  expect(done).toBe(false);
  asked[1]?.fail(new Error("away"));
  await clock.settle();
  expect(done).toBe(true);
  expect([counts.get("p.a").ready, counts.get("p.b").ready]).toEqual([3, 0]);
});

test("ten thousand queues are remembered, and no more", async () => {
  for (let at = 0; at < 10_001; at++) {
    counts.get(`p.${at}`);
    asked[at]?.answer({ ready: at, consumers: 0 });
  }
  await clock.settle();
  expect(counts.get("p.10000").ready).toBe(10_000);
  expect(counts.get("p.1").ready).toBe(0);
});
