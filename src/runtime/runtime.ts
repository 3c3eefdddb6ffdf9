/**
 * Runtime: the public face of one node.
 *
 * Owns the node from `start` to `stop`. `start` resolves when the broker is open, the threads are hot and every
 * partition of the options runs or waits; it rejects with nothing left running. `stop` may be called twice, or while
 * something else goes on; it resolves when all is stopped but threads that hang in native calls, which it names.
 */
import { hostname } from "node:os";
import type { EventType, Listener, SpillwayEvent } from "../actors/events.ts";
import { ExternalPool } from "../actors/external/pool.ts";
import { WithWorkers } from "../actors/external/with-workers.ts";
import type { JobRef } from "../actors/job-ref.ts";
import type { NodeAnswer } from "../broker/contract.ts";
import { embedded } from "../embedded/index.ts";
import type { Job } from "../jobs/create.ts";
import type { InputOf, JobDefinition, ResultOf } from "../jobs/definition.ts";
import { type Duration, toMs } from "../jobs/duration.ts";
import { newId } from "../jobs/ids.ts";
import { systemClock } from "../kernel/clock.ts";
import type { Clock, KernelApi, Ref } from "../kernel/types.ts";
import { makePool } from "../threads/router.ts";
import type { ThreadPool } from "../threads/types.ts";
import { CANCEL, cancelCommand, cancelJob } from "./cancel.ts";
import { BuriedJobs, Partitions } from "./control.ts";
import { type EnqueueOptions, Enqueuer } from "./enqueue.ts";
import { InvalidOptions, RuntimeStopped } from "./errors.ts";
import type { Cancelled, JobHandle } from "./handle.ts";
import { ClusterInfo, NodeInfo } from "./info.ts";
import { Keys } from "./keys.ts";
import { loadJobs } from "./load-jobs.ts";
import { makeNode, type Node, startTree } from "./node.ts";
import { type CheckedOptions, checkOptions, type RuntimeOptions } from "./options.ts";
import { refusesQueueKeys, warnOfQueueKeys } from "./persister.ts";
import { poolProblems } from "./pool-options.ts";
import { Queues } from "./queues.ts";
import { serveRoom } from "./room.ts";
import { System } from "./system.ts";
import { threadLog } from "./thread-log.ts";

/** What a stop could not end: jobs whose threads hang in native calls. */
export interface Stopped {
  readonly wedged: readonly JobRef[];
}

/** Parts that tests and benches put in the place of the real ones. */
export interface RuntimeParts {
  readonly clock?: Clock;
  readonly pool?: (options: CheckedOptions) => ThreadPool;
}

// biome-ignore lint/suspicious/noConfusingVoidType: a body without args has the input `void`
type NoInput = undefined | void;
/** What follows a definition: its args and the options, or the options alone where it takes no args. */
type ArgsAnd<D, Options> =
  InputOf<D> extends NoInput
    ? [options: Options] | [args: InputOf<D> | undefined, options: Options]
    : [args: InputOf<D>, options: Options];

export class Runtime {
  readonly #node: Node;
  readonly #options: CheckedOptions;
  readonly #enqueuer: Enqueuer;
  #root: Ref<never> | undefined;
  #stopped: Promise<Stopped> | undefined;

  readonly partitions: Partitions;
  readonly queues: Queues;
  readonly buried: BuriedJobs;
  /** Who has a queue key or an execution key. */
  readonly keys: Keys;
  /** The whole cluster, one entry a node. */
  readonly info: ClusterInfo;
  /** This node only, plain values. */
  readonly node: NodeInfo;
  readonly system: System;
  /** Resolves when the tree has ended, whoever ended it: `stop`, a store that was taken, a root that gave up. */
  readonly ended: Promise<void>;
  #end: () => void = () => {};

  /** Checks the options, loads the jobs, starts the tree. Rejects with a typed error, with nothing left running. */
  static async start(options: RuntimeOptions = {}): Promise<Runtime> {
    return startRuntime(options, {});
  }

  /** @internal `Runtime.start` makes it. */
  constructor(node: Node, options: CheckedOptions) {
    const { services, kernel } = node;
    this.#node = node;
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#enqueuer = new Enqueuer({
      node: options.node,
      catalogue: services.catalogue,
      events: services.events,
      results: services.results,
      broker: services.broker,
      payloadLimitBytes: options.payloadLimitBytes,
      refusesQueueKeys: refusesQueueKeys(options.persister),
      now: () => services.clock.now(),
      stopping: () => this.#stopped !== undefined,
      cancel: (partition, id) => this.cancel(partition, id),
    });
    this.partitions = new Partitions(node, () => this.#announceUnreachable());
    this.queues = new Queues(node);
    this.buried = new BuriedJobs(node);
    this.keys = new Keys(node);
    this.node = new NodeInfo(node);
    serveRoom(node, this.node);
    this.info = new ClusterInfo(node, this.node);
    node.commands.set(CANCEL, cancelCommand(kernel, services));
    this.system = new System(node, () => this.#root !== undefined && kernel.isAlive(this.#root));
  }

  /** @internal */
  async open(): Promise<void> {
    this.#root = await startTree(this.#node, this.#options, (error) => this.#fatal(error));
    // its store was taken while it started: the stop came before there was anything to stop
    if (this.#stopped !== undefined) {
      await this.#node.kernel.stop(this.#root, MAX_STOP_MS);
      throw new RuntimeStopped(this.#options.node);
    }
    this.#node.services.phase = "running";
    this.#node.kernel.onExit(this.#root, () => {
      // a root that gave up ends the runtime as a stop does: what is called after it says so
      void this.stop();
      this.#end();
    });
    this.#sweep();
    for (const [partition, queues] of Object.entries(this.#options.partitions))
      await this.partitions.start(partition, queues);
    this.#opening = false;
    // a turn later, so that whoever awaits `start` has had the time to listen
    this.#node.services.clock.turn(() => this.#announceUnreachable());
  }

  #cancelSweep: () => void = () => {};

  /** Who waits for the result of a job that is nowhere is told so, within some seconds. */
  #sweep(): void {
    const { clock, results, broker } = this.#node.services;
    this.#cancelSweep = clock.timer(SWEEP_MS, () => {
      results
        .sweep((partition, id) => broker.find(partition, id))
        .then(
          () => this.#sweepAgain(),
          () => this.#sweepAgain(), // a store that can't answer now is asked again
        );
    });
  }

  #sweepAgain(): void {
    if (this.#stopped === undefined) this.#sweep();
  }

  /** @internal The actors themselves, for tests. */
  get kernel(): KernelApi {
    return this.#node.kernel;
  }

  /** This node's name. */
  get name(): string {
    return this.#options.node;
  }

  /**
   * Resolves when the job is durable. By name it must be in this node's registry; a definition needs no registry.
   * @throws InvalidArgs, InvalidJob, PayloadTooLarge, DelayTooLong, UnknownJob, UnknownPartition, UnknownQueue,
   * DuplicateJob, QueueKeyRefused, StorageFull, EnqueueOutcomeUnknown, RuntimeStopped.
   */
  enqueue<D extends JobDefinition>(
    definition: D,
    ...rest: ArgsAnd<D, EnqueueOptions>
  ): Promise<JobHandle<ResultOf<D>>>;
  enqueue<In, Result>(
    job: Job<In, Result>,
    ...rest: [options: EnqueueOptions] | [args: undefined, options: EnqueueOptions]
  ): Promise<JobHandle<Result>>;
  enqueue(
    name: string,
    ...rest: [options: EnqueueOptions] | [args: unknown, options: EnqueueOptions]
  ): Promise<JobHandle>;
  enqueue(
    what: JobDefinition | Job | string,
    args: unknown,
    options?: EnqueueOptions,
  ): Promise<JobHandle<never>> {
    const handle =
      options === undefined
        ? this.#enqueuer.enqueue(what, undefined, optionsAlone(args))
        : this.#enqueuer.enqueue(what, args, options);
    return handle as Promise<JobHandle<never>>;
  }

  /** All in one group of confirms. @throws EnqueueManyFailed with an outcome for each index when some were refused. */
  enqueueMany<D extends JobDefinition>(
    definition: D,
    args: readonly InputOf<D>[],
    options: Omit<EnqueueOptions, "id">,
  ): Promise<JobHandle<ResultOf<D>>[]>;
  enqueueMany(
    name: string,
    args: readonly unknown[],
    options: Omit<EnqueueOptions, "id">,
  ): Promise<JobHandle[]>;
  enqueueMany(
    what: JobDefinition | string,
    args: readonly unknown[],
    options: Omit<EnqueueOptions, "id">,
  ): Promise<JobHandle[]> {
    return this.#enqueuer.enqueueMany(what, args, options);
  }

  /** Enqueues and waits for the result; past `timeout` `ExecuteTimeout`, and the job goes on. */
  execute<D extends JobDefinition>(definition: D, ...rest: ArgsAnd<D, ExecuteOptions>): Promise<ResultOf<D>>;
  execute(
    name: string,
    ...rest: [options: ExecuteOptions] | [args: unknown, options: ExecuteOptions]
  ): Promise<unknown>;
  async execute(what: JobDefinition | string, args: unknown, options?: ExecuteOptions): Promise<never> {
    const { timeout, ...rest } = options ?? (optionsAlone(args) as ExecuteOptions);
    if (timeout !== undefined) toMs(timeout, { name: "timeout" });
    const given = options === undefined ? undefined : args;
    const handle = (await this.#enqueuer.enqueue(what, given, { ...rest, result: true })) as JobHandle<never>;
    return handle.result(timeout === undefined ? {} : { timeout });
  }

  /** Ends a job wherever it is; an id nobody has seen is remembered, so that it never starts. */
  async cancel(partition: string, id: string): Promise<Cancelled> {
    this.#check();
    return cancelJob(this.#node.kernel, this.#node.services, partition, id);
  }

  /** Whether a job that has not started is to be ended when it comes: it was cancelled before it was seen. */
  async isCancelled(partition: string, id: string): Promise<boolean> {
    this.#check();
    const { broker } = this.#node.services;
    await broker.ready(partition);
    return broker.isMarked(partition, id);
  }

  on<T extends EventType>(type: T | "*", listener: Listener<T>): this {
    this.#node.services.events.on(type, listener);
    return this;
  }

  once<T extends EventType>(type: T, listener: Listener<T>): this {
    this.#node.services.events.once(type, listener);
    return this;
  }

  off<T extends EventType>(type: T | "*", listener: Listener<T>): this {
    this.#node.services.events.off(type, listener);
    return this;
  }

  /** Every event from now on; ends when the runtime has stopped. A reader 10,000 behind loses the oldest. */
  events(): AsyncIterableIterator<SpillwayEvent> {
    return this.#node.services.events.stream();
  }

  /** Nothing new → what has not started is handed back → bodies get `shutdownTimeout` → the rest is killed. */
  stop(): Promise<Stopped> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<Stopped> {
    const { kernel, services } = this.#node;
    this.#cancelSweep();
    services.phase = "stopping";
    this.#node.reload?.stop();
    if (this.#root !== undefined) await kernel.stop(this.#root, MAX_STOP_MS);
    services.results.close();
    services.events.close();
    return { wedged: [...services.wedged] };
  }

  #fatal(error: Error): void {
    this.#options.logger.error("the runtime stops: its store is no longer its own", error);
    void this.stop();
  }

  #check(): void {
    if (this.#stopped !== undefined) throw new RuntimeStopped(this.#options.node);
  }

  #opening = true;
  #announcedUnreachable = false;

  /** Once: more bodies were asked for than can ever run at once here. */
  #announceUnreachable(): void {
    const { pools } = this.#options;
    const inPools = pools.map(({ threads, jobsPerThread }) => threads * jobsPerThread);
    const watermark = inPools.reduce((a, b) => a + b, this.#node.size.now.watermark);
    const sums = [...this.#node.wanted.values()].flatMap((wanted) => Object.values(wanted.queues));
    const concurrency = sums.reduce((sum, queue) => sum + queue.concurrency, 0);
    if (this.#opening || concurrency <= watermark || this.#announcedUnreachable) return;
    this.#announcedUnreachable = true;
    this.#node.services.events.emit("concurrency.unreachable", { concurrency, watermark });
  }
}

export interface ExecuteOptions extends EnqueueOptions {
  /** Default: no limit. */
  readonly timeout?: Duration;
}

const SWEEP_MS = 1_000;

/** Without args the options stand in their place: a partition is always named, so there is no other reading. */
function optionsAlone(given: unknown): EnqueueOptions {
  return (typeof given === "object" && given !== null ? given : {}) as EnqueueOptions;
}

/** Every part of the tree has its own limit; this one is only so that none is none. */
const MAX_STOP_MS = 2 ** 31 - 1;

/** `Runtime.start`, with parts that tests put in the place of the real ones. */
export async function startRuntime(given: RuntimeOptions, parts: RuntimeParts): Promise<Runtime> {
  const options = checkOptions(given, { broker: () => embedded({ path: "./spillway" }), node: nodeName });
  const jobs = await loadJobs(options.jobs);
  const unknownPools = poolProblems(jobs, options.pools);
  if (unknownPools.length > 0) throw new InvalidOptions(unknownPools);
  warnOfQueueKeys(options.persister, jobs, options.logger);
  const clock = parts.clock ?? systemClock;
  const external = externalPool(options, clock, jobs);
  const pool = new WithWorkers((parts.pool ?? poolOf)(options), external);
  const runtime = new Runtime(makeNode({ options, clock, pool, external, jobs }), options);
  try {
    await runtime.open();
    return runtime;
  } catch (error) {
    await runtime.stop();
    throw error;
  }
}

function nodeName(): string {
  return `${hostname()}-${process.pid}-${newId().slice(-6)}`;
}

/** A job that only workers can run needs a way for them to come, unless this node only enqueues it. */
function externalPool(
  options: CheckedOptions,
  clock: Clock,
  jobs: readonly { readonly definition: JobDefinition }[],
): ExternalPool {
  const outside = jobs.find(({ definition }) => typeof definition.runsIn === "object");
  const runsAny = Object.keys(options.partitions).length > 0;
  if (outside !== undefined && runsAny && options.gateways.length === 0)
    throw new InvalidOptions([
      `jobs: "${outside.definition.name}" runs in a worker, but there are no gateways for workers to come through; give gateways: [gloom()]`,
    ]);
  const { graceMs, resultLimitBytes, workers } = options;
  return new ExternalPool({ clock, graceMs, resultLimitBytes, ...workers });
}

function poolOf(options: CheckedOptions): ThreadPool {
  const { threads, spares, graceMs, captureStack, maxWedged, resultLimitBytes } = options;
  const { resourceLimits, memoryLimitBytes, recycle, jobsPerThread } = options;
  return makePool({
    threads,
    spares,
    processes: options.processes,
    jobsPerThread,
    pools: options.pools,
    graceMs,
    captureStack,
    maxWedged,
    resultLimitBytes,
    giveBack: true,
    event: threadLog(options.logger),
    ...(resourceLimits === undefined ? {} : { resourceLimits }),
    ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
    ...(recycle === undefined ? {} : { recycle }),
  });
}

export type { JobRef, NodeAnswer };
