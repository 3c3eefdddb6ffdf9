/** What follows a failed attempt: a table, and properties of the history. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeEnvelope, encodeEnvelope } from "../../src/jobs/codec.ts";
import { Envelope, type HistoryEntry } from "../../src/jobs/envelope.ts";
import type { Failure } from "../../src/jobs/failure.ts";
import { HISTORY_BYTES_MAX, historyBytes, withFailure } from "../../src/jobs/history.ts";
import { COUNT_MAX, levelsOf, levelsProblem, nextAttempt, requeued, snoozed } from "../../src/jobs/retry.ts";

const failure: Failure = { kind: "error", name: "Error", message: "no", stack: "at x", final: false };
const fields = { id: "a", job: "resize", partition: "p", queue: "q", argsText: "1" };
const NOW = 1_000_000;

test("the definition's levels go before the runtime's", () => {
  expect(levelsOf(true, [1, 3])).toEqual([1, 3]);
  expect(levelsOf(false, [1, 3])).toEqual([]);
  expect(levelsOf({ levels: [7] }, [1, 3])).toEqual([7]);
  expect(levelsOf({ levels: [] }, [1, 3])).toEqual([]);
});

test("a job that always fails waits each level once, then is buried with its last attempt's number", () => {
  let envelope = new Envelope(fields);
  const waits: number[] = [];
  for (;;) {
    const next = nextAttempt(envelope, failure, [1, 10], NOW);
    envelope = next.envelope;
    if (next.kind === "bury") {
      expect(next.reason).toBe("failed");
      break;
    }
    waits.push(next.delayMs);
  }
  expect(waits).toEqual([1000, 10_000]);
  expect(envelope).toMatchObject({ attempt: 2, hop: 0 });
  expect(envelope.history.map((entry) => entry.attempt)).toEqual([0, 1, 2]);
});

test("a job without levels is buried after its first attempt", () => {
  expect(nextAttempt(new Envelope(fields), failure, [], NOW)).toMatchObject({
    kind: "bury",
    reason: "failed",
    envelope: { attempt: 0, history: [{ attempt: 0, at: NOW, kind: "error", message: "no", stack: "at x" }] },
  });
});

test("levels that travel with the job go before the node's", () => {
  const envelope = new Envelope({ ...fields, levels: [5] });
  expect(nextAttempt(envelope, failure, [60], NOW)).toMatchObject({ kind: "retry", delayMs: 5000 });
  const none = new Envelope({ ...fields, levels: [] });
  expect(nextAttempt(none, failure, [60], NOW).kind).toBe("bury");
});

test.each([
  [{ ...failure, final: true }, "non-retryable"],
  [{ ...failure, final: true, code: "UnknownJob" }, "unknown-job"],
  [{ ...failure, final: true, code: "InvalidArgs" }, "non-retryable"],
] as const)("a final failure is buried at once, whatever levels are left (%#)", (final, reason) => {
  expect(nextAttempt(new Envelope(fields), final, [1, 2, 3], NOW)).toMatchObject({ kind: "bury", reason });
});

test("a retry keeps everything but attempt and history", () => {
  const envelope = new Envelope({
    ...fields,
    queueKey: "k",
    executionKey: "e",
    hop: 3,
    maxExecutionTimeMs: 5,
    enqueuedAt: 7,
    startedAt: 8,
    replyTo: "n",
    trace: "t",
  });
  const next = nextAttempt(envelope, failure, [1], NOW).envelope;
  expect(next).toEqual(new Envelope({ ...envelope, attempt: 1, history: next.history }));
  expect(next).toBeInstanceOf(Envelope);
});

test("a snooze spends a hop and no attempt", () => {
  const envelope = new Envelope({ ...fields, attempt: 2, hop: 4 });
  expect(snoozed(envelope)).toEqual(new Envelope({ ...envelope, hop: 5 }));
});

test("a re-queue starts from attempt 0 with a higher hop, and takes other args", () => {
  const envelope = new Envelope({ ...fields, attempt: 2, hop: 4 });
  expect(requeued(envelope)).toEqual(new Envelope({ ...envelope, attempt: 0, hop: 5 }));
  expect(requeued(envelope, "[2]").argsText).toBe("[2]");
});

test("counts stop growing where the decoder stops reading them", () => {
  const envelope = new Envelope({ ...fields, attempt: 3, hop: COUNT_MAX });
  const read = decodeEnvelope(encodeEnvelope(snoozed(envelope)));
  expect(read).toMatchObject({ ok: true, envelope: { hop: COUNT_MAX } });
});

test.each([
  [[], undefined],
  [[1, 1800], undefined],
  [new Array(64).fill(1), undefined],
  [new Array(65).fill(1), "at most 64"],
  [[0], "from 1"],
  [[-1], "from 1"],
  [[0.5], "got 0.5"],
  [[2 ** 28], "to 268435455"],
  [["1"], "got 1"],
  [[Number.NaN], "got NaN"],
  ["1,2", "is a list"],
  [undefined, "is a list"],
])("levels %j: %s", (levels, problem) => {
  if (problem === undefined) expect(levelsProblem(levels)).toBeUndefined();
  else expect(levelsProblem(levels)).toContain(problem);
});

test("only the last five failures travel", () => {
  let history: readonly HistoryEntry[] = [];
  for (let attempt = 0; attempt < 9; attempt++) history = withFailure(history, attempt, failure, NOW);
  expect(history.map((entry) => entry.attempt)).toEqual([4, 5, 6, 7, 8]);
});

test("stacks are given up before messages, and the newest failure always stays", () => {
  let history: readonly HistoryEntry[] = [];
  const long = { ...failure, message: "m".repeat(1000), stack: "s".repeat(100_000) };
  for (let attempt = 0; attempt < 5; attempt++) history = withFailure(history, attempt, long, NOW);
  expect(history).toHaveLength(5);
  expect(history.every((entry) => entry.message.length === 1000)).toBe(true);
  expect(history.some((entry) => (entry.stack?.length ?? 0) > 200)).toBe(true);
});

test("whatever a body throws, history stays within its limits and can be read back", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 50 }),
    fc.nat({ max: 40_000 }).map((n) => "\u0000".repeat(n)),
    fc.nat({ max: 40_000 }).map((n) => "日\ud800".repeat(n / 2)),
  );
  const failures = fc.array(fc.record({ message: text, stack: fc.option(text, { nil: undefined }) }), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(failures, (list) => {
      let envelope = new Envelope(fields);
      for (const thrown of list) {
        envelope = nextAttempt(envelope, { ...failure, ...thrown }, new Array(20).fill(1), NOW).envelope;
      }
      expect(historyBytes(envelope.history)).toBeLessThanOrEqual(HISTORY_BYTES_MAX);
      expect(envelope.history.length).toBeGreaterThan(0);
      expect(envelope.history.length).toBeLessThanOrEqual(5);
      expect(envelope.history.at(-1)?.attempt).toBe(list.length - 1);
      expect(decodeEnvelope(encodeEnvelope(envelope))).toEqual({ ok: true, envelope });
    }),
    { numRuns: 60 },
  );
});
