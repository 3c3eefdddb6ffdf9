/**
 * `spillway/effect`: the runtime as an Effect service and a layer, the counterpart of `child_spec` and `start_link`.
 *
 * Owns the runtime from the layer's scope: made when the scope opens, stopped in order when it closes, also when what
 * it was made for fails or is interrupted. Errors are the tagged classes, typed by call, so `catchTag` knows them; what
 * is none of them is a defect. Interrupting a wait ends the wait, never the job.
 */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as Stream from "effect/Stream";
import type { SpillwayEvent } from "../actors/events.ts";
import type {
  BrokerInUse,
  BrokerRefused,
  BrokerUnreachable,
  EnqueueOutcomeUnknown,
  StorageFull,
  StoreDamaged,
  StoreDriverMissing,
  StoreUnreadable,
  TooManyCancelled,
  UnknownPartition,
  UnknownQueue,
} from "../broker/errors.ts";
import type { InputOf, JobDefinition, ResultOf } from "../jobs/definition.ts";
import type {
  DelayTooLong,
  DuplicateJob,
  InvalidArgs,
  InvalidJob,
  JobBuried,
  JobCancelled,
  JobPurged,
  PayloadTooLarge,
  ResultUnknown,
  UnknownJob,
} from "../jobs/errors.ts";
import { SpillwayError } from "../kernel/errors.ts";
import type { EnqueueOptions } from "./enqueue.ts";
import type { ExecuteTimeout, InvalidOptions, RuntimeStopped } from "./errors.ts";
import type { Cancelled, JobHandle, ResultOptions } from "./handle.ts";
import type { RuntimeOptions } from "./options.ts";
import { type ExecuteOptions, Runtime } from "./runtime.ts";

/** An error class with its code as a literal `_tag`, which `catchTag` needs; at run time it is so anyway. */
export type Tagged<E> = E extends { readonly code: infer Code extends string }
  ? E & { readonly _tag: Code }
  : never;

/** What keeps a runtime from starting. */
export type StartError = Tagged<
  | InvalidOptions
  | InvalidJob
  | BrokerInUse
  | BrokerRefused
  | BrokerUnreachable
  | StoreDamaged
  | StoreDriverMissing
  | StoreUnreadable
>;

/** What keeps a job from being enqueued. */
export type EnqueueError = Tagged<
  | InvalidArgs
  | InvalidJob
  | PayloadTooLarge
  | DelayTooLong
  | UnknownJob
  | UnknownPartition
  | UnknownQueue
  | DuplicateJob
  | StorageFull
  | EnqueueOutcomeUnknown
  | BrokerUnreachable
  | RuntimeStopped
>;

/** How a job ends that has no result, or is not waited for any longer. */
export type ResultError = Tagged<JobBuried | JobCancelled | JobPurged | ResultUnknown | ExecuteTimeout>;

export type CancelError = Tagged<TooManyCancelled | BrokerUnreachable | RuntimeStopped>;

/** What the service offers; the names and meanings of `Runtime`. */
export interface SpillwayService {
  /** Everything else: partitions, queues, buried jobs, info, system. Its `stop` is the layer's business. */
  readonly runtime: Runtime;
  /** Succeeds when the job is durable. */
  enqueue<D extends JobDefinition>(
    definition: D,
    args: InputOf<D>,
    options: EnqueueOptions,
  ): Effect.Effect<JobHandle<ResultOf<D>>, EnqueueError>;
  enqueue(name: string, args: unknown, options: EnqueueOptions): Effect.Effect<JobHandle, EnqueueError>;
  /** Enqueues and waits for the result. */
  execute<D extends JobDefinition>(
    definition: D,
    args: InputOf<D>,
    options: ExecuteOptions,
  ): Effect.Effect<ResultOf<D>, EnqueueError | ResultError>;
  execute(
    name: string,
    args: unknown,
    options: ExecuteOptions,
  ): Effect.Effect<unknown, EnqueueError | ResultError>;
  /** Waits for a job that was enqueued. */
  result<Result>(handle: JobHandle<Result>, options?: ResultOptions): Effect.Effect<Result, ResultError>;
  cancel(partition: string, id: string): Effect.Effect<Cancelled, CancelError>;
  /** Every event from when the stream is run; ends when the runtime has stopped. */
  readonly events: Stream.Stream<SpillwayEvent>;
}

/** The service. `Spillway.layer(options)` starts a runtime for it. */
export class Spillway extends Context.Service<Spillway, SpillwayService>()("spillway/Spillway") {
  /** A runtime that lives as long as the layer's scope. */
  static layer(options: RuntimeOptions = {}): Layer.Layer<Spillway, StartError> {
    const start = attempt<Runtime, StartError>(() => Runtime.start(options));
    const runtime = Effect.acquireRelease(start, (started) => Effect.promise(() => started.stop()));
    return Layer.effect(Spillway, Effect.map(runtime, serviceOf));
  }

  /** A runtime that somebody else started, and stops. */
  static fromRuntime(runtime: Runtime): Layer.Layer<Spillway> {
    return Layer.succeed(Spillway, serviceOf(runtime));
  }
}

function serviceOf(runtime: Runtime): SpillwayService {
  return {
    runtime,
    enqueue: <R>(what: JobDefinition | string, args: unknown, options: EnqueueOptions) =>
      attempt<JobHandle<R>, EnqueueError>(
        () => runtime.enqueue(what as string, args, options) as Promise<JobHandle<R>>,
      ),
    execute: <R>(what: JobDefinition | string, args: unknown, options: ExecuteOptions) =>
      attempt<R, EnqueueError | ResultError>(
        () => runtime.execute(what as string, args, options) as Promise<R>,
      ),
    result: (handle, options) => attempt(() => handle.result(options)),
    cancel: (partition, id) => attempt(() => runtime.cancel(partition, id)),
    events: Stream.suspend(() => Stream.orDie(Stream.fromAsyncIterable(runtime.events(), (error) => error))),
  };
}

/** Errors of ours are failures; anything else is a defect. */
function attempt<A, E>(call: () => Promise<A>): Effect.Effect<A, E> {
  const tried = Effect.tryPromise({ try: call, catch: (error) => error });
  return Effect.catch(tried, (error) =>
    error instanceof SpillwayError ? Effect.fail(error as unknown as E) : Effect.die(error),
  );
}
