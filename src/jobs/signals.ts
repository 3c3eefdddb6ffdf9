/**
 * What a body throws to say how its end is meant: bury now, or run later.
 *
 * Owns the two classes and how they are recognized: by a brand from the global symbol registry, since a job's
 * module may have loaded another copy of this package than the thread's host. Loaded in threads: imports nothing heavy.
 */
import { type Duration, toMs } from "./duration.ts";

const NON_RETRYABLE: unique symbol = Symbol.for("spillway.NonRetryable") as never;
const SNOOZE: unique symbol = Symbol.for("spillway.Snooze") as never;

/** Thrown by a body: the job is buried at once with reason `non-retryable`, whatever levels are left. */
export class NonRetryable extends Error {
  readonly [NON_RETRYABLE] = true;
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
  }
  override get name(): string {
    return "NonRetryable";
  }
}

/** Thrown by a body: the same attempt runs again after `delay`; none is spent, no callback is called. */
export class Snooze extends Error {
  readonly [SNOOZE] = true;
  /** Whole milliseconds, 0 = at once. */
  readonly delayMs: number;
  /** @throws RangeError for a delay that is no duration. */
  constructor(delay: Duration) {
    const delayMs = toMs(delay, { zero: true, name: "snooze delay" });
    super(`runs again in ${delayMs} ms`);
    this.delayMs = delayMs;
  }
  override get name(): string {
    return "Snooze";
  }
}

/** Whether a thrown value is a `NonRetryable` of any copy of this package. Never throws. */
export function isNonRetryable(thrown: unknown): thrown is NonRetryable {
  return branded(thrown, NON_RETRYABLE);
}

/** Whether a thrown value is a `Snooze` of any copy of this package. Never throws. */
export function isSnooze(thrown: unknown): thrown is Snooze {
  if (!branded(thrown, SNOOZE)) return false;
  const { delayMs } = thrown as { delayMs?: unknown };
  return typeof delayMs === "number" && Number.isSafeInteger(delayMs) && delayMs >= 0;
}

/** A thrown value can be anything, a proxy that throws included. */
function branded(thrown: unknown, brand: symbol): boolean {
  if (typeof thrown !== "object" || thrown === null) return false;
  try {
    return (thrown as Record<symbol, unknown>)[brand] === true;
  } catch {
    return false;
  }
}
