import fc from "fast-check";
import { expect, test } from "vitest";
import { crash, type ExitReason, type RestartKind, type Strategy } from "../../src/kernel/index.ts";
import {
  addRestart,
  backoffDelayMs,
  DEFAULT_INTENSITY,
  decide,
  type ExitCase,
  isRestarted,
  restartPlan,
} from "../../src/kernel/restart.ts";

const reasons: Record<string, ExitReason> = {
  normal: { kind: "normal" },
  shutdown: { kind: "shutdown" },
  killed: { kind: "killed" },
  noproc: { kind: "noproc" },
  crash: crash(new Error("boom")),
};

test.each([
  ["permanent", "normal", true],
  ["permanent", "shutdown", true],
  ["permanent", "killed", true],
  ["permanent", "noproc", true],
  ["permanent", "crash", true],
  ["transient", "normal", false],
  ["transient", "shutdown", false],
  ["transient", "killed", true],
  ["transient", "noproc", true],
  ["transient", "crash", true],
  ["temporary", "normal", false],
  ["temporary", "shutdown", false],
  ["temporary", "killed", false],
  ["temporary", "noproc", false],
  ["temporary", "crash", false],
] as const)("a %s child that ends with %s is restarted: %s", (kind, reason, expected) => {
  expect(isRestarted(kind, reasons[reason] ?? { kind: "normal" })).toBe(expected);
});

const abcd = (["a", "b", "c", "d"] as const).map((id) => ({
  id,
  kind: "permanent" as const,
  running: id !== "b",
}));

test.each([
  ["one_for_one", "b", "", "b"],
  ["one_for_all", "b", "d c a", "a b c d"],
  ["rest_for_one", "b", "d c", "b c d"],
  ["rest_for_one", "a", "d c a", "a b c d"],
  ["rest_for_one", "d", "d", "d"],
] as const)("%s: when %s fails, it stops [%s] and starts [%s]", (strategy, failed, stop, start) => {
  const plan = restartPlan(strategy, abcd, failed);
  expect([plan.stop.join(" "), plan.start.join(" ")]).toEqual([stop, start]);
});

test("a temporary sibling is stopped with the others and not started again", () => {
  const children = abcd.map((child) => (child.id === "c" ? { ...child, kind: "temporary" as const } : child));
  expect(restartPlan("one_for_all", children, "b")).toEqual({
    stop: ["d", "c", "a"],
    start: ["a", "b", "d"],
    forget: ["c"],
  });
});

const kinds = fc.constantFrom<RestartKind>("permanent", "transient", "temporary");
const strategies = fc.constantFrom<Strategy>("one_for_one", "one_for_all", "rest_for_one");

test("every plan stops right to left what it starts left to right, and touches nothing the strategy spares", () => {
  const children = fc.array(fc.record({ kind: kinds, running: fc.boolean() }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(strategies, children, fc.nat(), (strategy, list, pick) => {
      const failedAt = pick % list.length;
      const named = list.map((child, at) => ({
        ...child,
        id: `c${at}`,
        running: child.running && at !== failedAt,
        kind: at === failedAt ? ("permanent" as const) : child.kind,
      }));
      const inScope = (at: number): boolean =>
        strategy === "one_for_all" || at === failedAt || (strategy === "rest_for_one" && at > failedAt);
      const scope = named.filter((_child, at) => inScope(at));
      const plan = restartPlan(strategy, named, `c${failedAt}`);
      expect([...plan.stop].reverse()).toEqual(scope.filter((c) => c.running).map((c) => c.id));
      expect(plan.start).toEqual(scope.filter((c) => c.kind !== "temporary").map((c) => c.id));
      expect(plan.start).toContain(`c${failedAt}`);
    }),
  );
});

test("intensity is 1 in 5 s by default", () => {
  expect(DEFAULT_INTENSITY).toEqual({ restarts: 1, periodMs: 5_000 });
  const first = addRestart([], 0, DEFAULT_INTENSITY);
  expect(first.exceeded).toBe(false);
  expect(addRestart(first.restarts, 5_000, DEFAULT_INTENSITY).exceeded).toBe(true);
  expect(addRestart(first.restarts, 5_001, DEFAULT_INTENSITY).exceeded).toBe(false);
});

test("the intensity window agrees with counting all restarts ever", () => {
  const gaps = fc.array(fc.nat({ max: 3_000 }), { maxLength: 60 });
  const intensity = fc.record({ restarts: fc.nat({ max: 5 }), periodMs: fc.integer({ min: 1, max: 6_000 }) });
  fc.assert(
    fc.property(gaps, intensity, (list, bound) => {
      const ever: number[] = [];
      let window: readonly number[] = [];
      let now = 0;
      for (const gap of list) {
        now += gap;
        ever.push(now);
        const next = addRestart(window, now, bound);
        const within = ever.filter((at) => at >= now - bound.periodMs);
        expect(next.restarts).toEqual(within);
        expect(next.exceeded).toBe(within.length > bound.restarts);
        window = next.restarts;
      }
    }),
  );
});

test("adding a restart leaves the old list as it was", () => {
  const before = Object.freeze([1, 2, 3]);
  addRestart(before, 10_000, DEFAULT_INTENSITY);
  expect(before).toEqual([1, 2, 3]);
});

test.each([
  [1, 100],
  [2, 200],
  [3, 400],
  [4, 800],
  [5, 1_000],
  [50, 1_000],
])("backoff before restart %i in a row is %i ms", (nth, expected) => {
  expect(backoffDelayMs({ firstMs: 100, factor: 2, maxMs: 1_000 }, nth, 0.123)).toBe(expected);
});

test("jitter moves the delay by at most its share, and never below 0", () => {
  const random = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(random, random, fc.integer({ min: 1, max: 40 }), (jitter, chance, nth) => {
      const backoff = { firstMs: 50, factor: 1.7, maxMs: 3_000 };
      const plain = backoffDelayMs(backoff, nth, 0.5);
      const jittered = backoffDelayMs({ ...backoff, jitter }, nth, chance);
      expect(Math.abs(jittered - plain)).toBeLessThanOrEqual(plain * jitter + 1e-6);
      expect(jittered).toBeGreaterThanOrEqual(0);
    }),
  );
});

const base: ExitCase = {
  kind: "permanent",
  reason: { kind: "killed" },
  now: 10_000,
  restarts: [],
  intensity: DEFAULT_INTENSITY,
  inRow: 0,
  random: 0.5,
};
const backoff = { firstMs: 100, factor: 3, maxMs: 5_000 };

test.each<[string, Partial<ExitCase>, unknown]>([
  ["restarts at once", {}, { type: "restart", afterMs: 0, restarts: [10_000] }],
  ["waits its backoff", { backoff, inRow: 1 }, { type: "restart", afterMs: 300, restarts: [10_000] }],
  ["gives up", { restarts: [9_000] }, { type: "giveUp", restarts: [9_000, 10_000] }],
  [
    "delays instead of giving up",
    { restarts: [9_000], delayedRestartMs: 700 },
    { type: "delay", afterMs: 700, restarts: [9_000, 10_000] },
  ],
  ["forgets a temporary", { kind: "temporary", restarts: [9_000] }, { type: "forget" }],
  [
    "lets a transient rest",
    { kind: "transient", reason: { kind: "shutdown" }, restarts: [9_000] },
    { type: "rest" },
  ],
  [
    "never restarts at intensity 0",
    { intensity: { restarts: 0, periodMs: 1 } },
    { type: "giveUp", restarts: [10_000] },
  ],
])("the decision %s", (_what, change, expected) => {
  expect(decide({ ...base, ...change })).toEqual(expected);
});

test("a child that is delayed for a week does not fill the memory", () => {
  let restarts: readonly number[] = [];
  for (let now = 0; now < 10_000; now++) {
    const decision = decide({
      ...base,
      now,
      restarts,
      delayedRestartMs: 1,
      intensity: { restarts: 3, periodMs: 1e9 },
    });
    if ("restarts" in decision) restarts = decision.restarts;
  }
  expect(restarts).toEqual([9_996, 9_997, 9_998, 9_999]);
});
