/**
 * The memory of ended jobs: what it must still know, what tells copies apart, and how large it may grow.
 *
 * Against a model that forgets nothing: what ended in the last minute is known, what never ended is not.
 * SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Copy, Ended, isLater, isSame } from "../../src/amqp/ended.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 1_000 : 50_000;
const MINUTE = 60_000;

function copy(id: string, { attempt = 0, hop = 0, enqueuedAt = 1 }: Partial<Copy> = {}): Copy {
  return { id, attempt, hop, enqueuedAt };
}

/** So many other jobs, spread evenly over a time. */
function others(ended: Ended, count: number, from: number, forMs: number): void {
  for (let at = 0; at < count; at++)
    ended.add(copy(`other ${from} ${at}`), from + (forMs * at) / count, false);
}

describe("for how long", () => {
  test("what ended within the last minute is known, whatever else ends", () => {
    const ended = new Ended(0);
    ended.add(copy("a"), 30_000, false);
    others(ended, 10_000, 30_000, MINUTE);
    expect(ended.has(copy("a"))).toBe(true);
  });

  test("after two turns it is not", () => {
    const ended = new Ended(0);
    ended.add(copy("a"), 0, false);
    others(ended, 10_000, 0, 3 * MINUTE);
    expect(ended.has(copy("a"))).toBe(false);
  });

  test("a full generation turns over early, but never what is younger than 5 s", () => {
    const ended = new Ended(0);
    others(ended, 110_000, 0, 3_000);
    ended.add(copy("a"), 3_000, false);
    others(ended, 220_000, 3_000, 4_900);
    expect(ended.has(copy("a"))).toBe(true);
  });

  test("what ended without a delivery to acknowledge is known for ten minutes", () => {
    const ended = new Ended(0);
    ended.add(copy("a"), 0, true);
    others(ended, 100_000, 0, 10 * MINUTE - 1);
    ended.add(copy("b"), 10 * MINUTE - 1, true);
    expect(ended.has(copy("a"))).toBe(true);
    others(ended, 1_000, 10 * MINUTE, 2 * MINUTE);
    ended.add(copy("c"), 12 * MINUTE, true);
    expect(ended.has(copy("a"))).toBe(false);
    expect(ended.has(copy("b"))).toBe(true);
  });

  test("told of it once more, it is known for ten minutes from then", () => {
    const ended = new Ended(0);
    ended.add(copy("a"), 0, true);
    ended.add(copy("b"), 1, true);
    ended.add(copy("a"), 5 * MINUTE, true);
    others(ended, 10_000, 5 * MINUTE, 9 * MINUTE);
    ended.add(copy("c"), 14 * MINUTE, true);
    expect(ended.has(copy("a"))).toBe(true);
    expect(ended.has(copy("b"))).toBe(false);
  });
});

describe("copies of one job", () => {
  const first = copy("a", { attempt: 1, hop: 1 });

  test.each([
    ["the same", { attempt: 1, hop: 1 }, true],
    ["an earlier attempt", { attempt: 0, hop: 1 }, true],
    ["an earlier hop, whatever its attempt", { attempt: 7, hop: 0 }, true],
    ["a later attempt", { attempt: 2, hop: 1 }, false],
    ["a later hop", { attempt: 1, hop: 2 }, false],
    ["a later hop that begins anew", { attempt: 0, hop: 2 }, false],
    ["the same id, enqueued again", { attempt: 1, hop: 1, enqueuedAt: 2 }, false],
    ["the same id, enqueued before", { attempt: 0, hop: 0, enqueuedAt: 0 }, false],
  ])("%s", (_what, fields, known) => {
    for (const long of [false, true]) {
      const ended = new Ended(0);
      ended.add(first, 0, long);
      expect(ended.has(copy("a", fields))).toBe(known);
    }
  });

  test("of a job that ended at its first attempt only that is known", () => {
    const ended = new Ended(0);
    ended.add(copy("a", { enqueuedAt: 5 }), 0, false);
    expect(ended.has(copy("a", { enqueuedAt: 5 }))).toBe(true);
    expect(ended.has(copy("a", { enqueuedAt: 6 }))).toBe(false);
    expect(ended.has(copy("a", { enqueuedAt: 5, attempt: 1 }))).toBe(false);
    expect(ended.has(copy("a", { enqueuedAt: 5, hop: 1 }))).toBe(false);
  });

  test.each([[false], [true]])("an end that is told late does not undo a later one (long: %s)", (long) => {
    const ended = new Ended(0);
    ended.add(copy("a", { attempt: 2 }), 0, long);
    ended.add(copy("a", { attempt: 1 }), 1, long);
    ended.add(copy("a"), 2, long);
    expect(ended.has(copy("a", { attempt: 2 }))).toBe(true);
    expect(ended.has(copy("a", { attempt: 3 }))).toBe(false);
  });

  test("which is later is an order: a hop goes before an attempt", () => {
    const copies = [0, 1, 2].flatMap((hop) => [0, 1, 2].map((attempt) => copy("a", { hop, attempt })));
    for (const [at, one] of copies.entries())
      for (const [other, two] of copies.entries()) {
        expect(isLater(one, two)).toBe(at > other);
        expect(isSame(one, two)).toBe(at === other);
      }
  });
});

describe("its size", () => {
  test("a million ends in fifty seconds are bounded by two generations", () => {
    const ended = new Ended(0);
    let most = 0;
    for (let at = 0; at < 1_000_000; at++) {
      ended.add(copy(`${at}`), at / 20, false);
      most = Math.max(most, ended.size);
    }
    expect(most).toBeLessThanOrEqual(200_001);
    expect(ended.has(copy("999999"))).toBe(true);
    expect(ended.has(copy("900001"))).toBe(true);
  });

  test("at twice that rate it holds what is younger than 5 s, and no more than twice as much", () => {
    const ended = new Ended(0);
    for (let at = 0; at < 500_000; at++) ended.add(copy(`${at}`), at / 40, false);
    expect(ended.size).toBeLessThanOrEqual(400_002);
    expect(ended.has(copy("300001"))).toBe(true);
  });

  test("of those without a delivery it holds 50,000, the youngest", () => {
    const ended = new Ended(0);
    for (let at = 0; at < 60_000; at++) ended.add(copy(`${at}`), at / 2, true);
    others(ended, 220_000, 40_000, 20_000);
    expect(ended.size).toBeLessThanOrEqual(250_002);
    expect(ended.has(copy("10001"))).toBe(true);
    expect(ended.has(copy("9999"))).toBe(false);
  });

  test("args are not kept", () => {
    const ended = new Ended(0);
    const envelope = { ...copy("a", { attempt: 1 }), argsText: "x".repeat(1_000) };
    ended.add(envelope, 0, true);
    envelope.argsText = "";
    expect(Object.keys(envelope)).toContain("argsText");
    expect(ended.has(envelope)).toBe(true);
  });
});

const ends = fc.array(
  fc.record({
    id: fc.constantFrom("a", "b", "c"),
    attempt: fc.nat({ max: 2 }),
    hop: fc.nat({ max: 2 }),
    enqueuedAt: fc.nat({ max: 1 }),
    afterMs: fc.nat({ max: 5_000 }),
    long: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
);

test(`what ended in the last minute is known, what never ended is not (seed ${SEED})`, () => {
  fc.assert(
    fc.property(ends, (script) => {
      const ended = new Ended(0);
      let now = 0;
      const told: { readonly copy: Copy; readonly at: number }[] = [];
      for (const { afterMs, long, ...one } of script) {
        now += afterMs;
        ended.add(one, now, long);
        told.push({ copy: one, at: now });
      }
      for (const [at, one] of told.entries()) {
        // enqueued again under its id meanwhile, it is another job, and that one is known
        const replaced = told
          .slice(at + 1)
          .some(({ copy: { id, enqueuedAt } }) => id === one.copy.id && enqueuedAt !== one.copy.enqueuedAt);
        if (now - one.at < MINUTE && !replaced) expect(ended.has(one.copy)).toBe(true);
      }
      for (const id of ["a", "b", "c"])
        for (const attempt of [0, 1, 2, 3]) {
          const asked = copy(id, { attempt, hop: 2, enqueuedAt: 0 });
          const covered = told.some(
            ({ copy: one }) => one.id === id && one.enqueuedAt === 0 && !isLater(asked, one),
          );
          if (!covered) expect(ended.has(asked)).toBe(false);
        }
    }),
    { numRuns: RUNS, seed: SEED },
  );
});
