/**
 * Errors of the runtime's own calls: options, waiting for results, stopping.
 *
 * Owns the classes only; `docs/errors.md` has a row for each.
 */
import { SpillwayError } from "../kernel/errors.ts";

export { InvalidOptions } from "../broker/errors.ts";

/** Some of an `enqueueMany` were refused; all others are enqueued. */
export class EnqueueManyFailed<H = unknown> extends SpillwayError {
  readonly code = "EnqueueManyFailed";
  constructor(
    readonly outcomes: readonly (
      | { readonly index: number; readonly handle: H }
      | { readonly index: number; readonly error: Error }
    )[],
  ) {
    const failed = outcomes.filter((o) => "error" in o);
    super(
      `${failed.length} of ${outcomes.length} jobs were refused; the others are enqueued. See outcomes, each with its index.`,
      {
        cause: failed[0] !== undefined && "error" in failed[0] ? failed[0].error : undefined,
      },
    );
  }
}

export class ExecuteTimeout extends SpillwayError {
  readonly code = "ExecuteTimeout";
  constructor(
    readonly id: string,
    readonly timeoutMs: number,
  ) {
    super(`job ${id} had no result within ${timeoutMs} ms; it goes on. Cancel it if it should not.`);
  }
}

export class RuntimeStopped extends SpillwayError {
  readonly code = "RuntimeStopped";
  constructor(readonly node: string) {
    super(`the runtime of node ${node} is stopping or has stopped; start a new one.`);
  }
}
