import { expect, test } from "vitest";
import { type Case, decide } from "../../src/actors/settlement.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import type { Failure } from "../../src/jobs/failure.ts";
import type { Outcome } from "../../src/threads/types.ts";

const envelope = (attempt = 0) =>
  new Envelope({ id: "1", job: "j", partition: "p", queue: "q", argsText: "null", attempt });
const failure: Failure = { kind: "error", name: "Error", message: "no", stack: undefined, final: false };
const of = (more: Partial<Case> = {}): Case => ({
  envelope: envelope(),
  levels: [1, 10],
  wanted: undefined,
  now: 1_000,
  ...more,
});

const table: [string, Outcome, Partial<Case>, object][] = [
  [
    "a body that returns completes",
    { kind: "completed", value: 7, durationMs: 2 },
    {},
    { do: "complete", value: 7, durationMs: 2 },
  ],
  [
    "a failure is tried again after its level",
    { kind: "failed", failure, durationMs: 2 },
    {},
    { do: "retry", delayMs: 1_000, failure },
  ],
  [
    "the second failure after the second level",
    { kind: "failed", failure, durationMs: 2 },
    { envelope: envelope(1) },
    { do: "retry", delayMs: 10_000, next: { attempt: 2, hop: 0 } },
  ],
  [
    "past the last level it is buried",
    { kind: "failed", failure, durationMs: 2 },
    { envelope: envelope(2) },
    { do: "bury", record: { reason: "failed", error: failure, buriedAt: 1_000 } },
  ],
  [
    "without levels it is buried at once",
    { kind: "failed", failure, durationMs: 2 },
    { levels: [] },
    { do: "bury", record: { reason: "failed" } },
  ],
  [
    "a final failure is buried, whatever levels are left",
    { kind: "failed", failure: { ...failure, final: true }, durationMs: 2 },
    {},
    { do: "bury", record: { reason: "non-retryable" } },
  ],
  [
    "a snooze spends no attempt and counts a hop",
    { kind: "snoozed", delayMs: 5 },
    {},
    { do: "snooze", delayMs: 5, next: { attempt: 0, hop: 1 } },
  ],
  [
    "a cancelled body is cancelled",
    { kind: "aborted", reason: "cancel", report: undefined },
    {},
    { do: "cancel", was: "running" },
  ],
  [
    "a body that a shutdown ended is handed back",
    { kind: "aborted", reason: "shutdown", report: undefined },
    {},
    { do: "release" },
  ],
  [
    "a rescued neighbour runs again",
    { kind: "rescued", reason: "killed" },
    {},
    { do: "again", rescued: "killed" },
  ],
  [
    "a rescued one that was cancelled meanwhile does not",
    { kind: "rescued", reason: "killed" },
    { wanted: "cancel" },
    { do: "cancel" },
  ],
  ["what comes back unasked asks again", { kind: "returned" }, {}, { do: "again", rescued: undefined }],
  [
    "what was taken back for the broker goes there",
    { kind: "returned" },
    { wanted: "release" },
    { do: "release" },
  ],
  [
    "what was taken back for a cancel is cancelled as queued",
    { kind: "returned" },
    { wanted: "cancel" },
    { do: "cancel", was: "queued" },
  ],
  [
    "a body that completed in spite of a cancel has completed",
    { kind: "completed", value: undefined, durationMs: 1 },
    { wanted: "cancel" },
    { do: "complete" },
  ],
];

test.each(table)("%s", (_name, outcome, more, plan) => {
  expect(decide(outcome, of(more))).toMatchObject(plan);
});
