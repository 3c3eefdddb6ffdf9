/**
 * What a failed attempt looks like outside the thread: plain data, so that it crosses threads, brokers and time.
 *
 * Owns the record and the kill report's shape. `JobFailed` (errors.ts) wraps it for callers.
 */
import type { FailureKind } from "./envelope.ts";

/** One frame of a hung body, mapped back to its source. */
export interface Frame {
  readonly function: string;
  /** A path or URL; source-mapped where a map is there. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
}

/** One step of the kill ladder, and how it went. */
export interface KillStep {
  readonly step: "signal" | "grace" | "inspect" | "capture" | "terminate" | "sigkill" | "children" | "exit";
  readonly ms: number;
  readonly outcome: string;
}

/** What is known of a body that was killed; `frames` is empty when nothing could be captured. */
export interface KillReport {
  readonly stack: string | undefined;
  readonly frames: readonly Frame[];
  /** The thread's state as the operating system has it (`/proc/self/task/<tid>`), where it can be had. */
  readonly state: Readonly<Record<string, unknown>>;
  /** Process ids that the body had started and that were killed with it. */
  readonly children: readonly number[];
  readonly steps: readonly KillStep[];
}

export interface Failure {
  readonly kind: FailureKind;
  /** The thrown error's name, or the kind's. */
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** The thrown error's `code`, if it had one. */
  readonly code?: string;
  /** Buried at once, whatever levels are left (`NonRetryable`, invalid args, unknown job). */
  readonly final: boolean;
  readonly report?: KillReport;
}

/** Why a job lies buried. */
export type BuriedReason =
  | "failed" /* levels exhausted, or the job does not retry */
  | "non-retryable"
  | "poison" /* took the process down `maxCrashes` times */
  | "undecodable"
  | "unknown-job"
  | "unroutable"
  | "duplicate";

/** What stands beside a buried job's bytes. */
export interface BuriedRecord {
  readonly reason: BuriedReason;
  readonly error: Failure;
  readonly buriedAt: number;
}
