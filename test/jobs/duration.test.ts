/** Durations as people write them, and everything that is none. */
import fc from "fast-check";
import { expect, expectTypeOf, test } from "vitest";
import { type Duration, parseDuration, toMs } from "../../src/jobs/duration.ts";

test.each([
  [100, 100],
  [1, 1],
  [1.4, 1],
  ["100 ms", 100],
  ["1 millisecond", 1],
  ["250milliseconds", 250],
  ["1 second", 1000],
  ["30 seconds", 30_000],
  ["30s", 30_000],
  ["2 sec", 2000],
  ["5 minutes", 300_000],
  ["5m", 300_000],
  ["1 min", 60_000],
  ["1 hour", 3_600_000],
  ["1.5 hours", 5_400_000],
  ["2h", 7_200_000],
  ["2 days", 172_800_000],
  ["1d", 86_400_000],
  ["  10   Seconds ", 10_000],
  ["0.1 s", 100],
  ["1.1 m", 66_000],
])("%j is %d ms", (written, ms) => {
  expect(toMs(written)).toBe(ms);
});

test.each([
  [Number.NaN, "NaN is not a duration"],
  [-1, "-1 is negative"],
  ["-5 seconds", '"-5 seconds" is negative'],
  [Number.POSITIVE_INFINITY, "Infinity is too long"],
  [1e300, "is too long to be counted in milliseconds"],
  ["999999999999999 days", "is too long to be counted in milliseconds"],
  [0, "0 means nothing here"],
  ["0 s", "0 means nothing here"],
  [0.4, "0.4 is shorter than 1 ms"],
  ["30", 'has no unit; write "30 ms" or "30 seconds"'],
  ["30 secnds", 'unknown unit "secnds"; did you mean "30 seconds"?'],
  ["3 fortnights", "use ms, seconds, minutes, hours or days"],
  ["", 'text like "30 seconds"'],
  ["soon", 'got "soon"'],
  ["1e3 ms", 'got "1e3 ms"'],
  ["1 hour 30 minutes", 'text like "30 seconds"'],
  [undefined, "got undefined"],
  [null, "got null"],
  [{}, "got object"],
  [10n, "got bigint"],
  ["9".repeat(50), "…"],
])("%s is refused: %s", (written, problem) => {
  const parsed = parseDuration(written);
  expect(parsed).toEqual({ ok: false, problem: expect.stringContaining(problem) });
  expect(() => toMs(written, { name: "grace" })).toThrow(RangeError);
  expect(() => toMs(written, { name: "grace" })).toThrow("grace: ");
});

test("0 is taken where the caller says that it means something", () => {
  expect(toMs(0, { zero: true })).toBe(0);
  expect(toMs("0 s", { zero: true })).toBe(0);
  expect(toMs(-0, { zero: true })).toBe(0);
  expect(parseDuration(-1, { zero: true }).ok).toBe(false);
});

test("whatever is accepted is a whole number of milliseconds, and nothing throws", () => {
  const anything = fc.oneof(
    fc.anything(),
    fc.double(),
    fc.tuple(fc.double(), fc.string()).map((p) => p.join(" ")),
  );
  fc.assert(
    fc.property(anything, fc.boolean(), (value, zero) => {
      const parsed = parseDuration(value, { zero });
      if (parsed.ok) expect(Number.isSafeInteger(parsed.ms) && parsed.ms >= (zero ? 0 : 1)).toBe(true);
      else expect(parsed.problem.length).toBeGreaterThan(0);
    }),
  );
});

test("a unit that is mistyped is found by the compiler", () => {
  expectTypeOf<"30 seconds">().toExtend<Duration>();
  expectTypeOf<"5m">().toExtend<Duration>();
  expectTypeOf<"5 secnds">().not.toExtend<Duration>();
  expectTypeOf<"soon">().not.toExtend<Duration>();
});
