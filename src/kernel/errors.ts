/**
 * The root of every error that Spillway throws, and the kernel's own errors.
 *
 * Owns the shape: a tagged class whose `_tag` and `code` are its name, so that `switch`, Effect's `catchTag` and
 * a log line all see the same word. The message says what to do next; the identity of what failed is in fields.
 * Knows nothing of jobs, so the kernel stays a kernel.
 */

/** What a tagged error carries beside its message. */
export interface ErrorOptions {
  readonly cause?: unknown;
}

/** The root class. `code` is the class's name; it has a row in `docs/errors.md`. */
export abstract class SpillwayError extends Error {
  abstract readonly code: string;
  /** The same word as `code`, under the name Effect's `catchTag` reads. */
  get _tag(): string {
    return this.code;
  }
  constructor(message: string, options?: ErrorOptions) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
  }
  override get name(): string {
    return this.code;
  }
}

/** A call to an actor that did not answer within its time. The actor may still carry the request out. */
export class CallTimeout extends SpillwayError {
  readonly code = "CallTimeout";
  constructor(
    readonly actor: string,
    readonly timeoutMs: number,
  ) {
    super(
      `${actor} did not answer within ${timeoutMs} ms; it may still act on the request. Ask again, or look at its mailbox in info.tree().`,
    );
  }
}

/** A call or cast to an actor that has ended, or that ended before it answered. */
export class ActorStopped extends SpillwayError {
  readonly code = "ActorStopped";
  constructor(
    readonly actor: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `${actor} is not running (${reason}); whoever needs it is restarted with it, or the runtime is stopping.`,
      options,
    );
  }
}

/** A bounded mailbox was full and its policy is to refuse. */
export class MailboxFull extends SpillwayError {
  readonly code = "MailboxFull";
  constructor(
    readonly actor: string,
    readonly capacity: number,
  ) {
    super(
      `the mailbox of ${actor} holds its most of ${capacity} messages; send slower, or wait for an answer.`,
    );
  }
}

/** A supervisor gave up: more restarts than its intensity allows within its period. */
export class RestartIntensityExceeded extends SpillwayError {
  readonly code = "RestartIntensityExceeded";
  constructor(
    readonly supervisor: string,
    readonly child: string,
    readonly restarts: number,
    readonly periodMs: number,
    options?: ErrorOptions,
  ) {
    super(
      `${supervisor} restarted ${child} ${restarts} times within ${periodMs} ms and gave up; its cause is the last crash.`,
      options,
    );
  }
}

/** A name in the registry that a live actor has already. */
export class NameTaken extends SpillwayError {
  readonly code = "NameTaken";
  constructor(readonly actor: string) {
    super(`an actor named ${actor} is running already; stop it first, or use its reference.`);
  }
}

/** A supervisor could not do what it was asked to: the id is taken or unknown, the child runs, or there are too many. */
export class SupervisorRefused extends SpillwayError {
  readonly code = "SupervisorRefused";
  constructor(
    readonly supervisor: string,
    readonly child: string,
    readonly because: "exists" | "unknown" | "running" | "not running" | "too many children",
  ) {
    super(`${supervisor} cannot do this with child ${child} (${because}); whichChildren shows what it has.`);
  }
}
