/**
 * What travels between our process and a child, in both directions, as flat arrays led by a word.
 *
 * Owns the words, no state. One body at a time is in a child, so nothing names it. The channel is a pipe of our own
 * and not Node's IPC: what a broken child writes must not throw in the middle of Node, and the child is an orphan at
 * its end and not before.
 */
import type { Failure } from "../../jobs/failure.ts";
import type { AbortReason, LogLevel, Outcome, PoolOptions } from "../types.ts";

/** Number of the channel's descriptor in the child. */
export const CHANNEL = 3;

/** What a child is started with: JSON in its first argument. */
export interface ChildStart {
  readonly graceMs: PoolOptions["graceMs"];
  readonly captureStack: boolean;
  readonly loadLimitMs: number | undefined;
  readonly resourceLimits: PoolOptions["resourceLimits"] | undefined;
  readonly resultLimitBytes: number;
  /** Names of the services that bodies may call. */
  readonly services: readonly string[];
  /** Of the thread's heap and buffers, and of all memory of the process. */
  readonly memoryLimitBytes: number | undefined;
  readonly processLimitBytes: number | undefined;
  readonly recycle: PoolOptions["recycle"] | undefined;
}

/** Why we tell a body to end; of its limits the child knows by itself. */
export type ToldReason = Extract<AbortReason, "cancel" | "shutdown">;

export type ToChild =
  | readonly [
      "run",
      name: string,
      url: string,
      id: string,
      partition: string,
      queue: string,
      attempt: number,
      maxExecutionTimeMs: number,
      argsText: string,
    ]
  | readonly ["abort", reason: ToldReason]
  /** A type that may come: its module is loaded ahead. */
  | readonly ["warm", name: string, url: string]
  /** Of a service: its number, whether it answered, the value or the error. */
  | readonly ["answer", call: number, ok: boolean, value: unknown];

export type FromChild =
  | readonly ["ready"]
  /** The body is in its hands: whatever ends the process now may be its doing. */
  | readonly ["taken"]
  | readonly ["started", at: number]
  | readonly ["progress", value: unknown]
  | readonly ["log", level: LogLevel, text: string, data: unknown]
  | readonly ["ended", outcome: Outcome]
  /** The ladder has come to its last step: end this process, and this is the outcome. */
  | readonly ["kill", outcome: Outcome]
  /** The module of this job did not finish loading. */
  | readonly ["hung", name: string, url: string]
  /** Its thread is no more, so it takes no further body. */
  | readonly ["spent", reason: string]
  /** What a body that had ended left behind has ended the thread. */
  | readonly ["blamed", jobId: string | undefined, failure: Failure]
  | readonly ["ask", call: number, name: string, args: readonly unknown[]];
