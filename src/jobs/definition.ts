/**
 * A job type: its name, how its args are checked, where it waits, how long it may run, and its body.
 *
 * Owns `defineJob`: every mistake in a definition is found there, at once, with all problems in one error. The result
 * is frozen. Loaded in threads (`spillway/job`): no Effect and nothing that is slow to load.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { JobContext } from "./context.ts";
import { readDefinition } from "./definition-check.ts";
import type { Duration } from "./duration.ts";
import { moduleOfCaller } from "./module-of.ts";

/** Text for all jobs of a type, or made of the args (the schema's output). */
export type TextOf<Args> = string | Call<Args, string>;
/** `undefined`: this job has no key. */
export type KeyOf<Args> = Call<Args, string | undefined>;
/** As a method's, the parameter is bivariant: a definition of any args fits where any definition is asked for. */
type Call<Args, Value> = { call(args: Args): Value }["call"];

/** `true`: the runtime's `retryLevels`. `false`: none. `levels`: whole seconds ≥ 1, at most 64 of them. */
export type Retry = boolean | { readonly levels: readonly number[] };

/**
 * `"process"`: in a child process, for native code that hangs, crashes or eats memory: any body can be ended there.
 * `{ worker }`: by a worker of that type behind a gateway (`docs/gateways.md`); it has the body, so there is no `perform`.
 */
export type RunsIn = "thread" | "process" | { readonly worker: string };

interface CommonOptions<Name extends string, Args, Result> {
  /** What travels on the wire: 1–128 characters, no control characters. */
  readonly name: Name;
  /** Default `"default"`. 1–64 letters, digits, `_` and `-`. */
  readonly queue?: TextOf<Args>;
  /** Unique from enqueue to end: a second job with that key is refused with `DuplicateJob`. */
  readonly queueKey?: KeyOf<Args>;
  /** Two jobs with that key never run at once. */
  readonly executionKey?: KeyOf<Args>;
  /** Milliseconds or text, at least 1 ms; default unlimited. A body that overruns is killed. */
  readonly maxExecutionTime?: Duration;
  /** Default `false`. */
  readonly retry?: Retry;
  /** Default `"thread"`. */
  readonly runsIn?: RunsIn;
  /** Name of a pool in the runtime's `pools`: it runs in threads that are kept for it. */
  readonly pool?: string;
  /** The body. Throw `NonRetryable` to bury now, call `context.snooze` to run later. */
  perform(args: Args, context: JobContext): Result;
}

/** A job whose body is elsewhere: a worker of that type has it. Its args reach it as they were enqueued. */
export interface WorkerJobOptions<Name extends string, Args>
  extends Omit<CommonOptions<Name, Args, unknown>, "perform" | "runsIn" | "pool"> {
  readonly args?: StandardSchemaV1<unknown, Args> | undefined;
  readonly runsIn: { readonly worker: string };
}

/** With a schema: `enqueue` takes its input, `perform` and the key functions get its output. */
export interface SchemaJobOptions<Name extends string, Schema extends StandardSchemaV1, Result>
  extends CommonOptions<Name, StandardSchemaV1.InferOutput<Schema>, Result> {
  readonly args: Schema;
}

/** Without one: args are what `perform`'s parameter says, unchecked; none when it has none. */
export interface PlainJobOptions<Name extends string, Args, Result>
  extends CommonOptions<Name, Args, Result> {
  readonly args?: undefined;
}

/** A checked, frozen job type. `JobDefinition` without parameters stands for any of them. */
export interface JobDefinition<Name extends string = string, In = unknown, Args = unknown, Result = unknown> {
  readonly name: Name;
  readonly args: StandardSchemaV1<In, Args> | undefined;
  readonly queue: TextOf<Args>;
  readonly queueKey: KeyOf<Args> | undefined;
  readonly executionKey: KeyOf<Args> | undefined;
  /** 0 = unlimited. */
  readonly maxExecutionTimeMs: number;
  readonly retry: Retry;
  readonly runsIn: RunsIn;
  readonly pool: string | undefined;
  perform(args: Args, context: JobContext): Result | Promise<Result>;
  /**
   * `file:` URL of the file that called `defineJob`, for threads to load. Wrong when a helper elsewhere made the
   * call; the job must be an export of that file. `undefined` when it could not be told: then give `jobs` a folder.
   */
  readonly module: string | undefined;
}

/** Any definition: what lists of jobs and registries hold. */
export type AnyJobDefinition = JobDefinition;

/** What `enqueue` takes for a definition. */
export type InputOf<D> = D extends JobDefinition<string, infer In, infer _Args, infer _Result> ? In : never;
/** What a job's handle resolves with. */
export type ResultOf<D> =
  D extends JobDefinition<string, infer _In, infer _Args, infer Result> ? Result : never;

const BRAND: unique symbol = Symbol.for("spillway.JobDefinition") as never;

/**
 * Defines a job type; the default export of its module.
 * @throws InvalidJob with every problem of the definition.
 */
export function defineJob<const Name extends string, Schema extends StandardSchemaV1, Result>(
  options: SchemaJobOptions<Name, Schema, Result>,
): JobDefinition<
  Name,
  StandardSchemaV1.InferInput<Schema>,
  StandardSchemaV1.InferOutput<Schema>,
  Awaited<Result>
>;
export function defineJob<const Name extends string, Args = void, Result = unknown>(
  options: PlainJobOptions<Name, Args, Result>,
): JobDefinition<Name, Args, Args, Awaited<Result>>;
export function defineJob<const Name extends string, Args = unknown>(
  options: WorkerJobOptions<Name, Args>,
): JobDefinition<Name, Args, Args, unknown>;
export function defineJob(options: unknown): JobDefinition {
  const definition = { ...readDefinition(options), module: moduleOfCaller(defineJob), [BRAND]: true };
  return Object.freeze(definition);
}

/** Whether a value was made by `defineJob`, of this copy of the package or another. Never throws. */
export function isJobDefinition(value: unknown): value is JobDefinition {
  if (typeof value !== "object" || value === null) return false;
  try {
    return (value as Record<symbol, unknown>)[BRAND] === true;
  } catch {
    return false;
  }
}
