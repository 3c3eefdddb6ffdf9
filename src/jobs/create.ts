/**
 * From a definition and args to a job that can be published: checked, keys made, args as text.
 *
 * Owns `prepare`, the hot half of `enqueue` (a promise only when the schema answers with one), and `createJob`, the
 * same for people who want to look first. What passes the schema here passes it in the thread: it is shown what the
 * wire will carry.
 */
import { encodeArgs, parseArgs, validateArgs } from "./args.ts";
import { encodeEnvelope } from "./codec.ts";
import { isJobDefinition, type JobDefinition, type KeyOf, type TextOf } from "./definition.ts";
import { Envelope } from "./envelope.ts";
import { InvalidArgs, InvalidJob, PayloadTooLarge } from "./errors.ts";
import { newId } from "./ids.ts";
import { checkId, checkKey, checkName } from "./names.ts";

const NOT_DEFINED = "expected a definition made by defineJob; import the job's module, or give its name.";

export interface CreateOptions {
  /** The job's id; default a new one. */
  readonly id?: string;
  /** Bytes of args in UTF-8 above which `PayloadTooLarge` is thrown; default none (a runtime gives its own). */
  readonly payloadLimitBytes?: number;
}

/** A job before it is anywhere: what `envelopeOf` needs. One shape for all, made once an enqueue. */
export class Prepared {
  constructor(
    readonly id: string,
    readonly job: string,
    readonly argsText: string,
    readonly queue: string,
    readonly queueKey: string | undefined,
    readonly executionKey: string | undefined,
    /** 0 = unlimited. */
    readonly maxExecutionTimeMs: number,
  ) {}
}

/** A checked, frozen job; may be enqueued as it is, on any runtime. */
export class Job<In = unknown, Result = unknown> extends Prepared {
  /** Carries the types to `enqueue` and `result()`; there is nothing at run time. */
  declare readonly "~types"?: { readonly input: In; readonly result: Result };
  /** What the wire will carry, read back; frozen all the way down. */
  readonly args: unknown;
  constructor(from: Prepared) {
    super(
      from.id,
      from.job,
      from.argsText,
      from.queue,
      from.queueKey,
      from.executionKey,
      from.maxExecutionTimeMs,
    );
    this.args = deepFrozen(parseArgs(from.argsText));
    Object.freeze(this);
  }
}

/**
 * Makes a checked, frozen job without enqueuing it.
 * @throws InvalidArgs, InvalidJob (a bad id, key or queue), PayloadTooLarge. A schema that answers with a promise can't
 * be waited for here: `InvalidArgs` then says to use `enqueue`.
 */
export function createJob<In, Args, Result>(
  definition: JobDefinition<string, In, Args, Result>,
  ...[args, options]: undefined extends In
    ? [args?: In, options?: CreateOptions]
    : [args: In, options?: CreateOptions]
): Job<In, Result> {
  const prepared = prepare(definition, args, options);
  if (!(prepared instanceof Promise)) return new Job(prepared);
  prepared.catch(() => {});
  const message = "the schema answers with a promise; enqueue the args instead of creating a job of them";
  throw new InvalidArgs(definition.name, [{ path: "", message }]);
}

/** Throws, or (with a schema that answers with a promise) rejects with, the errors of `createJob`. */
export function prepare<In, Args, Result>(
  definition: JobDefinition<string, In, Args, Result>,
  args: unknown,
  options?: CreateOptions,
): Prepared | Promise<Prepared> {
  if (!isJobDefinition(definition)) throw new InvalidJob("?", NOT_DEFINED);
  const argsText = encodeArgs(definition.name, args);
  const limit = options?.payloadLimitBytes;
  if (limit !== undefined) checkPayload(definition.name, argsText, limit);
  const id = options?.id === undefined ? newId() : givenId(definition.name, options.id);
  const schema = definition.args;
  if (schema === undefined) return finish(definition, args as Args, argsText, id);
  const output = validateArgs(definition.name, schema, argsText);
  if (!(output instanceof Promise)) return finish(definition, output, argsText, id);
  return output.then((late) => finish(definition, late, argsText, id));
}

/**
 * For a job that was created elsewhere, under another limit or none. A UTF-16 unit has at most three bytes, so most
 * texts need no count.
 * @throws PayloadTooLarge
 */
export function checkPayload(job: string, argsText: string, limitBytes: number): void {
  if (argsText.length * 3 <= limitBytes) return;
  const bytes = Buffer.byteLength(argsText);
  if (bytes > limitBytes) throw new PayloadTooLarge(job, bytes, limitBytes);
}

/** What only the enqueuing side knows. */
export interface EnvelopePlace {
  readonly partition: string;
  /** Overrides the definition's queue, for good: retries and burial keep it. */
  readonly queue?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly levels?: readonly number[] | undefined;
  readonly replyTo?: string | undefined;
  readonly trace?: string | undefined;
}

/** The envelope of a first attempt. Names in `place` were checked by the caller, once for many jobs. */
export function envelopeOf(prepared: Prepared, place: EnvelopePlace): Envelope {
  return new Envelope({
    id: prepared.id,
    job: prepared.job,
    partition: place.partition,
    queue: place.queue ?? prepared.queue,
    queueKey: prepared.queueKey,
    executionKey: prepared.executionKey,
    attempt: 0,
    hop: 0,
    levels: place.levels,
    history: undefined,
    maxExecutionTimeMs: prepared.maxExecutionTimeMs,
    enqueuedAt: place.now,
    startedAt: 0,
    replyTo: place.replyTo,
    trace: place.trace,
    argsText: prepared.argsText,
  });
}

/** The wire format of an envelope, or of a job that goes to `partition` (default `"default"`). */
export function encodeJob(job: Envelope | Job, partition = "default"): string {
  if (job instanceof Envelope) return encodeEnvelope(job);
  const problem = checkName(partition);
  if (problem !== undefined) throw new InvalidJob(job.job, `partition: ${problem}.`);
  return encodeEnvelope(envelopeOf(job, { partition, now: Date.now() }));
}

function finish<In, Args, Result>(
  definition: JobDefinition<string, In, Args, Result>,
  args: Args,
  argsText: string,
  id: string,
): Prepared {
  const { name, queue, queueKey, executionKey, maxExecutionTimeMs } = definition;
  return new Prepared(
    id,
    name,
    argsText,
    typeof queue === "string" ? queue : queueOf(name, queue, args),
    queueKey === undefined ? undefined : keyOf(name, "queueKey", queueKey, args),
    executionKey === undefined ? undefined : keyOf(name, "executionKey", executionKey, args),
    maxExecutionTimeMs,
  );
}

function givenId(job: string, id: string): string {
  const problem = checkId(id);
  if (problem === undefined) return id;
  throw new InvalidJob(job, `id: ${problem}.`);
}

function queueOf<Args>(job: string, queue: Exclude<TextOf<Args>, string>, args: Args): string {
  const name = called(job, "queue", queue, args);
  const problem = checkName(name);
  if (problem === undefined) return name;
  throw new InvalidJob(job, `queue: the function's answer is no name: ${problem}.`);
}

function keyOf<Args>(job: string, field: string, make: KeyOf<Args>, args: Args): string | undefined {
  const key = called(job, field, make, args);
  if (key === undefined || key === null) return undefined;
  const problem = checkKey(key);
  if (problem === undefined) return key;
  throw new InvalidJob(job, `${field}: the function's answer is no key: ${problem}.`);
}

/** The user's own code: what it throws is the job's problem, with the cause kept. */
function called<Args, Value>(job: string, field: string, make: (args: Args) => Value, args: Args): Value {
  try {
    return make(args);
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidJob(job, `${field}: the function threw: ${what}`, { cause });
  }
}

function deepFrozen(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  for (const inner of Object.values(value)) deepFrozen(inner);
  return Object.freeze(value);
}
