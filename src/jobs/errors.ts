/**
 * Errors about one job: what was asked of it, and how it ended.
 *
 * Owns the classes only; `docs/errors.md` has a row for each, and a test fails when one is missing.
 */
import { type ErrorOptions, SpillwayError } from "../kernel/errors.ts";
import type { BuriedRecord, Failure, KillReport } from "./failure.ts";

/** The args do not fit the job's schema, or cannot travel as JSON. Nothing was enqueued. */
export class InvalidArgs extends SpillwayError {
  readonly code = "InvalidArgs";
  constructor(
    readonly job: string,
    readonly issues: readonly { readonly path: string; readonly message: string }[],
    options?: ErrorOptions,
  ) {
    super(
      `the args of job "${job}" do not fit: ${issues.map((i) => (i.path === "" ? i.message : `${i.path}: ${i.message}`)).join("; ")}. Args travel as JSON and must fit the job's schema after that.`,
      options,
    );
  }
}

/** A definition, id, key or envelope breaks a rule. */
export class InvalidJob extends SpillwayError {
  readonly code = "InvalidJob";
  constructor(
    readonly job: string,
    readonly problem: string,
    options?: ErrorOptions,
  ) {
    super(`job "${job}": ${problem}`, options);
  }
}

export class PayloadTooLarge extends SpillwayError {
  readonly code = "PayloadTooLarge";
  constructor(
    readonly job: string,
    readonly bytes: number,
    readonly limitBytes: number,
  ) {
    super(
      `the args of job "${job}" are ${bytes} bytes, the limit is ${limitBytes}; store them elsewhere and enqueue a reference, or raise payloadLimit.`,
    );
  }
}

export class DelayTooLong extends SpillwayError {
  readonly code = "DelayTooLong";
  constructor(
    readonly job: string,
    readonly delayMs: number,
    readonly limitMs: number,
  ) {
    super(
      `job "${job}" was to wait ${delayMs} ms, the most is ${limitMs}; enqueue it again from a job that runs earlier.`,
    );
  }
}

/** No module of this name is in the registry of this node. */
export class UnknownJob extends SpillwayError {
  readonly code = "UnknownJob";
  constructor(
    readonly job: string,
    hint?: string,
  ) {
    super(
      `no job named "${job}" is known here${hint === undefined ? "" : `; did you mean "${hint}"?`} Add its module to the jobs option, or enqueue by its definition.`,
    );
  }
}

/** A job with this id, or with this queue key, exists. */
export class DuplicateJob extends SpillwayError {
  readonly code = "DuplicateJob";
  constructor(
    readonly id: string,
    /** The id of the job that is there. */
    readonly holder: string,
    readonly by: "id" | "queueKey",
  ) {
    super(
      by === "id"
        ? `a job with id ${id} exists already; after EnqueueOutcomeUnknown this means that it was stored.`
        : `job ${holder} holds the same queue key; the new one was not enqueued. Wait for its end, or cancel it.`,
    );
  }
}

/** A body failed; `kind` says how. The cause of `JobBuried`. */
export class JobFailed extends SpillwayError {
  readonly code = "JobFailed";
  readonly kind: Failure["kind"];
  readonly report: KillReport | undefined;
  constructor(
    readonly id: string,
    readonly failure: Failure,
    options?: ErrorOptions,
  ) {
    super(`job ${id} failed (${failure.kind}): ${failure.message}`, options);
    this.kind = failure.kind;
    this.report = failure.report;
    if (failure.stack !== undefined) this.stack = failure.stack;
  }
}

/** The job lies buried; it can be listed, re-queued or dropped (`runtime.buried`). */
export class JobBuried extends SpillwayError {
  readonly code = "JobBuried";
  constructor(
    readonly id: string,
    readonly record: BuriedRecord,
  ) {
    super(
      `job ${id} is buried (${record.reason}): ${record.error.message}. See runtime.buried.list; requeue or drop it there.`,
      {
        cause: new JobFailed(id, record.error),
      },
    );
  }
}

export class JobCancelled extends SpillwayError {
  readonly code = "JobCancelled";
  constructor(readonly id: string) {
    super(`job ${id} was cancelled.`);
  }
}

export class JobPurged extends SpillwayError {
  readonly code = "JobPurged";
  constructor(readonly id: string) {
    super(`job ${id} was purged from its queue before it ran.`);
  }
}

/** Nobody remembers how the job ended. The job itself is not affected. */
export class ResultUnknown extends SpillwayError {
  readonly code = "ResultUnknown";
  constructor(
    readonly id: string,
    readonly why: string,
  ) {
    super(
      `the result of job ${id} is not known: ${why}. Results are remembered for 60 s; enqueue with result: true, or store what must last.`,
    );
  }
}

export class ResultTooLarge extends SpillwayError {
  readonly code = "ResultTooLarge";
  constructor(
    readonly id: string,
    readonly bytes: number,
    readonly limitBytes: number,
  ) {
    super(
      `the result of job ${id} is ${bytes} bytes, the limit is ${limitBytes}; store it elsewhere and return a reference, or raise resultLimit.`,
    );
  }
}

/** Bytes that are no state of a `KeySet`. */
export class InvalidKeySet extends SpillwayError {
  readonly code = "InvalidKeySet";
  constructor(
    readonly problem: string,
    options?: ErrorOptions,
  ) {
    super(`these bytes are no state of a KeySet: ${problem}. Give what getState gave.`, options);
  }
}
