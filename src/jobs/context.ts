/**
 * What a body is given beside its args: who it is, whether it should stop, and how to talk to the outside.
 *
 * Owns the interface only; the host inside the thread makes the object (`src/threads/`). It dies with its body: calls
 * on a context whose body has ended do nothing.
 */
import type { Duration } from "./duration.ts";

/** A line of a job's log; `data` must survive a structured clone, else it is shown as text. */
export type JobLog = (text: string, data?: unknown) => void;

export interface JobContext {
  readonly id: string;
  readonly partition: string;
  readonly queue: string;
  /** 0 for the first; a snooze, a rescue and a hand-back keep it. */
  readonly attempt: number;
  /** Aborts when the body should end: time limit, cancel, shutdown. Made when first read. */
  readonly signal: AbortSignal;
  /** The same question without an event loop: works inside a synchronous loop. */
  isCancelled(): boolean;
  /** Emits `job.progress` on the host; several within one turn may arrive together, in order. */
  progress(value: unknown): void;
  readonly log: {
    readonly debug: JobLog;
    readonly info: JobLog;
    readonly warn: JobLog;
    readonly error: JobLog;
  };
  /** Milliseconds since the epoch when the time limit is reached; `undefined` = unlimited. */
  readonly deadline: number | undefined;
  /**
   * Ends this run and runs the same attempt again after `delay`: throws `Snooze`, so nothing behind it runs (and a
   * `catch` around it must pass it on). 0 = at once.
   * @throws RangeError for a delay that is no duration.
   */
  snooze(delay: Duration): never;
}
