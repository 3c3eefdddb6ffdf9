/**
 * Errors of the thread pool's own: no thread could be started.
 *
 * Owns the class only; `docs/errors.md` has a row for it. What happens to one job is a `Failure`, not an error here.
 */
import { type ErrorOptions, SpillwayError } from "../kernel/errors.ts";

/** Five threads in a row died before they were ready to run a job. */
export class ThreadsUnavailable extends SpillwayError {
  readonly code = "ThreadsUnavailable";
  constructor(
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `no worker thread could be started: ${reason}. Check resourceLimits and the memory that is left; from a checkout, run npm run build first.`,
      options,
    );
  }
}
