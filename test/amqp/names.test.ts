/**
 * What things are called on the broker: no two share a name, and a name says what it stands for.
 *
 * SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Names } from "../../src/amqp/names.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 2_000 : 100_000;

const name = fc.oneof(
  fc.constantFrom("a", "b", "ab", "-", "_", "spillway"),
  fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
);
const ref = fc.record({ partition: name, queue: name });
const prefix = fc.option(name, { nil: undefined });

/** All that a cluster may declare, beside its queues of jobs. */
function own(names: Names): string[] {
  const { enqueue, work, unroutable, delayed, system } = names;
  const retries = [1, 5, 60, 3_600].map((seconds) => names.retry(seconds));
  const delays = [0, 1, 5, 27].map((level) => names.delay(level));
  return [
    enqueue,
    work,
    unroutable,
    delayed,
    system,
    names.topology(),
    names.topology(2),
    ...retries,
    ...delays,
  ];
}

test("what is ours is known by its name, also a rung of the delays; what another cluster or system has is not", () => {
  for (const prefix of [undefined, "app"]) {
    const names = new Names(prefix);
    for (const exchange of ["", ...own(names)]) expect(names.isOurs(exchange), exchange).toBe(true);
    for (const exchange of ["orders", "amq.topic", "other.$work", "spillway", "app"])
      expect(names.isOurs(exchange), exchange).toBe(false);
  }
});

describe("queues of jobs", () => {
  test(`no two pairs of partition and queue share a name (seed ${SEED})`, () => {
    fc.assert(
      fc.property(prefix, ref, ref, (before, one, two) => {
        const names = new Names(before);
        const same = one.partition === two.partition && one.queue === two.queue;
        expect(names.queue(one) === names.queue(two)).toBe(same);
        expect(names.buried(one) === names.buried(two)).toBe(same);
        expect(names.queue(one)).not.toBe(names.buried(two));
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test(`a name is read back as what it was made of (seed ${SEED})`, () => {
    fc.assert(
      fc.property(prefix, ref, (before, one) => {
        const names = new Names(before);
        expect(names.refOf(names.queue(one))).toEqual(one);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test(`no other name is taken for one (seed ${SEED})`, () => {
    fc.assert(
      fc.property(prefix, ref, (before, one) => {
        const names = new Names(before);
        for (const other of [
          ...own(names),
          names.buried(one),
          `${names.buried(one)}.lock`,
          `x.${names.queue(one)}.y`,
        ])
          expect(names.refOf(other)).toBeUndefined();
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test(`any text at all is a queue's name or none (seed ${SEED})`, () => {
    fc.assert(
      fc.property(
        prefix,
        fc.string({ unit: fc.constantFrom(".", "a", "$", "é", " ", "") }),
        (before, text) => {
          const names = new Names(before);
          const found = names.refOf(text);
          if (found !== undefined) expect(names.queue(found)).toBe(text);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

describe("clusters on one broker", () => {
  test(`with two prefixes share nothing, but for the one that is the default's (seed ${SEED})`, () => {
    fc.assert(
      fc.property(prefix, prefix, ref, ref, (one, two, first, second) => {
        fc.pre(one !== two && one !== "spillway" && two !== "spillway");
        const [ours, theirs] = [new Names(one), new Names(two)];
        const mine = new Set([...own(ours), ours.queue(first), ours.buried(first)]);
        for (const other of [...own(theirs), theirs.queue(second), theirs.buried(second)])
          expect(mine.has(other)).toBe(false);
        expect(ours.refOf(theirs.queue(second))).toBeUndefined();
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

test("what is ours begins alike, and no partition can", () => {
  expect(own(new Names(undefined)).every((one) => one.startsWith("spillway.$"))).toBe(true);
  expect(own(new Names("staging")).every((one) => one.startsWith("staging.$"))).toBe(true);
  expect(new Set(own(new Names("staging"))).size).toBe(own(new Names("staging")).length);
  expect(new Names("staging").queue({ partition: "p", queue: "q" })).toBe("staging.p.q");
  expect(new Names(undefined).buried({ partition: "p", queue: "q" })).toBe("p.q.$buried");
});
