/**
 * What follows a failed attempt: another one after a level's delay, or burial. Pure.
 *
 * Owns how attempt, hop and history change. An attempt is spent by a failure only; a snooze, a hand-back and a
 * re-queue publish the same attempt again with a higher hop, so that copies can be told apart.
 */
import { Envelope } from "./envelope.ts";
import type { BuriedReason, Failure } from "./failure.ts";
import { withFailure } from "./history.ts";

/** Most levels of a job. */
export const LEVELS_MAX = 64;
/** Longest level in seconds: what every broker can wait (RabbitMQ's ladder of delays ends there). */
export const LEVEL_SECONDS_MAX = 2 ** 28 - 1;
/** Attempts and hops stop growing here, and the decoder takes no more: what is written can be read. */
export const COUNT_MAX = 2 ** 31 - 1;

export type Next =
  | { readonly kind: "retry"; readonly envelope: Envelope; readonly delayMs: number }
  | { readonly kind: "bury"; readonly envelope: Envelope; readonly reason: BuriedReason };

const NONE: readonly number[] = [];

/** The seconds to wait after attempt 0, 1, …; past the last the job is buried. */
export function levelsOf(
  retry: boolean | { readonly levels: readonly number[] },
  runtimeLevels: readonly number[],
): readonly number[] {
  if (retry === true) return runtimeLevels;
  return retry === false ? NONE : retry.levels;
}

/** What is wrong with a list of levels, or `undefined`. Total: takes anything. */
export function levelsProblem(levels: unknown): string | undefined {
  if (!Array.isArray(levels)) return "levels is a list of seconds";
  if (levels.length > LEVELS_MAX) return `levels has at most ${LEVELS_MAX} entries, got ${levels.length}`;
  for (const seconds of levels) {
    if (Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= LEVEL_SECONDS_MAX) continue;
    return `levels are whole seconds from 1 to ${LEVEL_SECONDS_MAX}, got ${String(seconds)}`;
  }
  return undefined;
}

/**
 * What to do with a job whose attempt failed. Levels that travel with the job go before `levels` (`levelsOf`, of the
 * node that ran it). A buried envelope keeps the number of its last attempt; both carry the failure in their history.
 */
export function nextAttempt(
  envelope: Envelope,
  failure: Failure,
  levels: readonly number[],
  now: number,
): Next {
  const history = withFailure(envelope.history, envelope.attempt, failure, now);
  const seconds = (envelope.levels ?? levels)[envelope.attempt];
  if (failure.final || seconds === undefined) {
    return { kind: "bury", envelope: new Envelope({ ...envelope, history }), reason: reasonOf(failure) };
  }
  const attempt = grown(envelope.attempt);
  return {
    kind: "retry",
    envelope: new Envelope({ ...envelope, attempt, history }),
    delayMs: seconds * 1000,
  };
}

/** The same attempt once more, later: a snooze, or a hand-back that has to be published. */
export function snoozed(envelope: Envelope): Envelope {
  return new Envelope({ ...envelope, hop: grown(envelope.hop) });
}

/** A buried job taken up again: from attempt 0, its history kept, with other args if given. */
export function requeued(envelope: Envelope, argsText: string = envelope.argsText): Envelope {
  return new Envelope({ ...envelope, attempt: 0, hop: grown(envelope.hop), argsText });
}

function grown(count: number): number {
  return Math.min(count + 1, COUNT_MAX);
}

function reasonOf(failure: Failure): BuriedReason {
  if (!failure.final) return "failed";
  return failure.code === "UnknownJob" ? "unknown-job" : "non-retryable";
}
