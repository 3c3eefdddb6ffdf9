/**
 * How a body ended whose thread is gone: read from what the thread said, the ladder, and the way it exited.
 *
 * Owns no state. Whose doing it was decides everything: the guilty body fails with its kind, a neighbour is rescued
 * and spends no attempt.
 */
import type { FailureKind } from "../jobs/envelope.ts";
import type { Failure } from "../jobs/failure.ts";
import type { Ladder } from "./kill/ladder.ts";
import type { Dying } from "./thread.ts";
import type { Outcome } from "./types.ts";

export interface Exit {
  readonly code: number;
  readonly error: Error | undefined;
  readonly dying: Dying | undefined;
  /** Why main ended it, if it did. */
  readonly because: string | undefined;
  /** Whether that was for a body's sake. */
  readonly killed: boolean;
}

/** The outcome of a body that was running when its thread went. `ladder` is the body's own, if it was on one. */
export function outcomeAtExit(
  exit: Exit,
  slot: number,
  ladder: Ladder | undefined,
  durationMs: number,
): Outcome {
  const { dying, error } = exit;
  // Told to end: whatever took the thread, that is the end it came to.
  if (ladder?.killed === true) return ladder.outcome(durationMs);
  // Over its time, but so was the one that held the thread up: who of the two is slow is not known.
  if (ladder?.reason === "timeout" && exit.killed)
    return ladder.alive ? ladder.endedWithThread(durationMs) : rescued(exit);
  if (ladder !== undefined && ladder.reason !== "memory")
    return ladder.endedByItself({ kind: "rescued", reason: "" });
  if (dying !== undefined) {
    if (dying.slot !== slot) return { kind: "rescued", reason: rescueText(dying) };
    return { kind: "failed", failure: dying.failure, durationMs };
  }
  if (error !== undefined) return { kind: "failed", failure: ofError(error), durationMs };
  if (exit.because !== undefined) return rescued(exit);
  const message = `ended its thread with code ${exit.code}`;
  return { kind: "failed", failure: failure("exit", "ProcessExit", message), durationMs };
}

function rescued({ because, error }: Exit): Outcome {
  return { kind: "rescued", reason: because ?? error?.message ?? "its thread ended" };
}

/** Of a body that shared a thread which died with nobody to blame: it may have been any of them. */
export function outcomeOfOneOf(exit: Exit, bodies: number): Outcome {
  const why = exit.because ?? exit.error?.message ?? `exit code ${exit.code}`;
  return {
    kind: "rescued",
    reason: `its thread ended (${why}), and any of its ${bodies} bodies may be to blame`,
  };
}

function ofError(error: Error): Failure {
  const { code } = error as { code?: unknown };
  const memory = code === "ERR_WORKER_OUT_OF_MEMORY";
  const made = failure(memory ? "memory" : "crash", error.name, error.message);
  return typeof code === "string" ? { ...made, stack: error.stack, code } : { ...made, stack: error.stack };
}

function rescueText({ failure, jobId }: Dying): string {
  const whose = jobId === undefined ? "code of no running body" : `job ${jobId}, which had ended,`;
  return `${whose} ended the thread: ${failure.message}`;
}

function failure(kind: FailureKind, name: string, message: string): Failure {
  return { kind, name, message, stack: undefined, final: false };
}
