/**
 * Exit reasons: the orderly ones as constants, and what is made of a thrown value.
 *
 * Owns no state. Constants, since an actor a job ends with one of them.
 */

import type { ExitReason } from "./types.ts";

export const NORMAL: ExitReason = Object.freeze({ kind: "normal" });
export const SHUTDOWN: ExitReason = Object.freeze({ kind: "shutdown" });
export const KILLED: ExitReason = Object.freeze({ kind: "killed" });
export const NOPROC: ExitReason = Object.freeze({ kind: "noproc" });

export const normal = (): ExitReason => NORMAL;
export const shutdown = (): ExitReason => SHUTDOWN;
export const killed = (): ExitReason => KILLED;

/** Ended by what was thrown; a thrown non-Error becomes one, with the value as its cause. */
export function crash(thrown: unknown): ExitReason {
  return { kind: "crash", error: toError(thrown) };
}

/** `normal` and `shutdown`: nothing went wrong, and a transient child is not restarted. */
export function isOrderly(reason: ExitReason): boolean {
  return reason.kind === "normal" || reason.kind === "shutdown";
}

/** One line for a log or an error's message. */
export function describeExit(reason: ExitReason): string {
  return reason.kind === "crash" ? `crash: ${reason.error.message}` : reason.kind;
}

export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  return new Error(`a thrown value that is no Error: ${text(thrown)}`, { cause: thrown });
}

function text(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}
