/**
 * From a body's outcome to what happens to its job: the one place where that is decided.
 *
 * Pure. A plan is data; worker-effects.ts carries it out.
 */
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedReason, BuriedRecord, Failure, KillReport } from "../jobs/failure.ts";
import { nextAttempt, snoozed } from "../jobs/retry.ts";
import type { Outcome } from "../threads/types.ts";

export type Plan =
  | { readonly do: "complete"; readonly value: unknown; readonly durationMs: number }
  | { readonly do: "retry"; readonly next: Envelope; readonly delayMs: number; readonly failure: Failure }
  | { readonly do: "snooze"; readonly next: Envelope; readonly delayMs: number }
  | { readonly do: "bury"; readonly envelope: Envelope; readonly record: BuriedRecord }
  | { readonly do: "cancel"; readonly was: "running" | "queued"; readonly report: KillReport | undefined }
  /** Hand it back to the broker as it came. */
  | { readonly do: "release"; readonly report: KillReport | undefined }
  /** Ask for a slot again, in front; nothing was spent. */
  | { readonly do: "again"; readonly rescued: string | undefined };

/** Why somebody took a job back or aborted it: what its end then means. */
export type Wanted = "cancel" | "release" | undefined;

export interface Case {
  readonly envelope: Envelope;
  readonly levels: readonly number[];
  readonly wanted: Wanted;
  readonly now: number;
}

export function decide(outcome: Outcome, of: Case): Plan {
  switch (outcome.kind) {
    case "completed":
      return { do: "complete", value: outcome.value, durationMs: outcome.durationMs };
    case "failed":
      return afterFailure(outcome.failure, of);
    case "snoozed":
      return { do: "snooze", next: snoozed(of.envelope), delayMs: outcome.delayMs };
    case "aborted":
      if (outcome.reason === "cancel") return { do: "cancel", was: "running", report: outcome.report };
      return { do: "release", report: outcome.report };
    case "rescued":
      return notStarted(of, outcome.reason);
    case "returned":
      return notStarted(of, undefined);
  }
}

function notStarted(of: Case, rescued: string | undefined): Plan {
  if (of.wanted === "cancel") return { do: "cancel", was: "queued", report: undefined };
  if (of.wanted === "release") return { do: "release", report: undefined };
  return { do: "again", rescued };
}

/** Retry by the levels, or bury: past the last level, when it does not retry, or when the failure is final. */
export function afterFailure(failure: Failure, of: Case): Plan {
  const next = nextAttempt(of.envelope, failure, of.envelope.levels ?? of.levels, of.now);
  if (next.kind === "retry") return { do: "retry", next: next.envelope, delayMs: next.delayMs, failure };
  return buryWith(next.envelope, next.reason, failure, of.now);
}

export function buryWith(
  envelope: Envelope,
  reason: BuriedReason,
  error: Failure,
  now: number,
): Plan & { do: "bury" } {
  return { do: "bury", envelope, record: { reason, error, buriedAt: now } };
}

/** A failure that no body threw: the runtime's own verdict on a job. */
export function verdict(kind: Failure["kind"], name: string, message: string, final: boolean): Failure {
  return { kind, name, message, stack: undefined, final };
}

/** A crash outside the body, of this error: the attempt has failed. */
export function crashOf(error: Error, what: string): Failure {
  return { ...verdict("crash", error.name, `${what}: ${error.message}`, false), stack: error.stack };
}
