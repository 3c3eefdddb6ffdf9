/**
 * The ladder of delays, walked as a topic exchange walks it: which queues a message stands in, and for how long.
 *
 * The model is AMQP's own rule for topics (`*` is one word, `#` any number), on the bindings that topology.ts makes.
 * SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { delayKey, patternOf, RUNGS, rungsOf, secondsOf, topRung } from "../../src/amqp/delay.ts";
import { Names } from "../../src/amqp/names.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);
const RUNS = process.env.SPILLWAY_LONG === undefined ? 2_000 : 100_000;
const LONGEST = 2 ** RUNGS - 1;

function matches(pattern: readonly string[], words: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return words.length === 0;
  if (first === "#") return matches(rest, words) || (words.length > 0 && matches(pattern, words.slice(1)));
  return words.length > 0 && (first === "*" || first === words[0]) && matches(rest, words.slice(1));
}

const routes = (pattern: string, key: string) => matches(pattern.split("."), key.split("."));

/** Where a message goes that is published to the exchange of a rung: the rungs that it waits in, down to the end. */
function walk(key: string, from: number): number[] {
  const waited: number[] = [];
  for (let rung = from; rung >= 0; rung--) {
    const [past, into] = [routes(patternOf(rung, 0), key), routes(patternOf(rung, 1), key)];
    if (past === into) throw new Error(`at rung ${rung} ${key} is ${past ? "doubled" : "lost"}`);
    if (into) waited.push(rung);
  }
  return waited;
}

const seconds = fc.oneof(
  fc.integer({ min: 1, max: LONGEST }),
  fc.integer({ min: 0, max: RUNGS - 1 }).map((rung) => 2 ** rung),
  fc.integer({ min: 1, max: RUNGS }).map((rung) => 2 ** rung - 1),
  fc.integer({ min: 1, max: 100 }),
);
const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
/** Names that look like the bits of a key. */
const awkward = fc.oneof(fc.constantFrom("0", "1", "-", "_"), name);

describe("a message", () => {
  test(`waits in exactly the rungs of its bits, and those sum up to its delay (seed ${SEED})`, () => {
    fc.assert(
      fc.property(seconds, awkward, awkward, (delay, partition, queue) => {
        const key = delayKey(delay, `${partition}.${queue}`);
        const waited = walk(key, topRung(delay));
        expect(waited).toEqual(rungsOf(delay));
        expect(waited.reduce((sum, rung) => sum + 2 ** rung, 0)).toBe(delay);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test(`arrives in its own queue and in no other (seed ${SEED})`, () => {
    const prefix = fc.option(awkward, { nil: undefined });
    fc.assert(
      fc.property(seconds, prefix, awkward, awkward, awkward, awkward, (delay, before, p1, q1, p2, q2) => {
        const names = new Names(before);
        const [mine, other] = [
          names.queue({ partition: p1, queue: q1 }),
          names.queue({ partition: p2, queue: q2 }),
        ];
        const key = delayKey(delay, mine);
        expect(routes(`#.${mine}`, key)).toBe(true);
        expect(routes(`#.${other}`, key)).toBe(mine === other);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test("of the longest delay climbs the whole ladder", () => {
    const key = delayKey(LONGEST, "p.q");
    expect(walk(key, topRung(LONGEST))).toEqual(Array.from({ length: RUNGS }, (_, at) => RUNGS - 1 - at));
    expect(rungsOf(LONGEST).reduce((sum, rung) => sum + 2 ** rung, 0)).toBe(LONGEST);
  });

  test("needs a key that AMQP takes, whatever the names", () => {
    const long = "n".repeat(64);
    const key = delayKey(LONGEST, new Names(long).queue({ partition: long, queue: long }));
    expect(Buffer.byteLength(key)).toBeLessThanOrEqual(255);
  });

  test("of one second stands in the lowest rung alone", () => {
    expect(rungsOf(1)).toEqual([0]);
    expect(topRung(1)).toBe(0);
    expect(delayKey(1, "p.q")).toBe(`${"0.".repeat(27)}1.p.q`);
    expect(patternOf(0, 1)).toBe(`${"*.".repeat(27)}1.#`);
    expect(patternOf(27, 1)).toBe("1.#");
  });
});

describe("whole seconds", () => {
  test.each([
    [0, 0],
    [-5, 0],
    [1, 1],
    [999, 1],
    [1_000, 1],
    [1_001, 2],
    [60_000, 60],
    [LONGEST * 1_000, LONGEST],
    [LONGEST * 1_000 + 1, LONGEST],
    [Number.MAX_SAFE_INTEGER, LONGEST],
    [Number.POSITIVE_INFINITY, LONGEST],
  ])("%d ms are %d s: never early", (ms, expected) => {
    expect(secondsOf(ms)).toBe(expected);
  });

  test("the top rung is the highest bit, at every power of two and beside it", () => {
    for (let rung = 0; rung < RUNGS; rung++) {
      expect(topRung(2 ** rung)).toBe(rung);
      expect(topRung(2 ** (rung + 1) - 1)).toBe(rung);
      expect(rungsOf(2 ** rung)).toEqual([rung]);
    }
  });
});
