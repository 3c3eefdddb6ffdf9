/**
 * How a body ended whose process is gone.
 *
 * Owns no state. What the child's own ladder has said counts; else the way the process went says it: a signal or a code
 * is a crash of the body that ran, V8's last words about its heap make it `memory`.
 */
import type { Failure, KillReport, KillStep } from "../../jobs/failure.ts";
import type { Outcome } from "../types.ts";
import type { ToldReason } from "./wire.ts";

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last that it wrote to its standard error. */
  readonly lastWords: string;
}

const OUT_OF_MEMORY = /heap out of memory|Reached heap limit|Allocation failed|std::bad_alloc/;

/** The outcome of a body whose process died under it; `because`: we ended it, and not for the body's sake. */
export function crashOf(exit: ProcessExit, because: string | undefined, durationMs: number): Outcome {
  const memory = OUT_OF_MEMORY.test(exit.lastWords);
  const how = howItEnded(exit, because);
  const failure: Failure = {
    kind: memory ? "memory" : "crash",
    name: memory ? "OutOfMemory" : "ProcessCrash",
    message: memory ? `its process ran out of memory and ${how}` : `its process ${how}`,
    stack: exit.lastWords === "" ? undefined : exit.lastWords,
    final: false,
    ...(exit.signal === null ? {} : { code: exit.signal }),
  };
  return { kind: "failed", failure, durationMs, processDied: true };
}

/** In words, for events too. */
export function howItEnded({ code, signal }: ProcessExit, because: string | undefined): string {
  if (signal === "SIGKILL" && because !== undefined) return `was ended: ${because}`;
  if (signal === "SIGKILL")
    return "was ended by SIGKILL, and not by this runtime (the kernel does that when memory is short)";
  return signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
}

/** A body that should have ended and whose process did not even answer. */
export function silent(
  reason: ToldReason | "timeout",
  limitMs: number,
  durationMs: number,
  state: KillReport["state"],
): Outcome {
  const steps: KillStep[] = [{ step: "signal", ms: durationMs, outcome: `${reason}; no answer` }];
  const report: KillReport = { stack: undefined, frames: [], state, children: [], steps };
  if (reason !== "timeout") return { kind: "aborted", reason, report };
  const message = `still running after its limit of ${limitMs} ms, in a process that did not answer; it was killed`;
  const failure: Failure = {
    kind: "timeout",
    name: "Timeout",
    message,
    stack: undefined,
    final: false,
    report,
  };
  return { kind: "failed", failure, durationMs };
}

/** The same outcome, with what was done to the process in its report. */
export function withSteps(outcome: Outcome, more: readonly KillStep[], pids: readonly number[]): Outcome {
  if (outcome.kind === "aborted" && outcome.report !== undefined)
    return { ...outcome, report: extended(outcome.report, more, pids) };
  if (outcome.kind !== "failed" || outcome.failure.report === undefined) return outcome;
  const report = extended(outcome.failure.report, more, pids);
  return { ...outcome, failure: { ...outcome.failure, report } };
}

function extended(report: KillReport, more: readonly KillStep[], pids: readonly number[]): KillReport {
  const children = [...new Set([...report.children, ...pids])];
  return { ...report, children, steps: [...report.steps, ...more] };
}
