/**
 * The options of `Runtime.start`: one schema with defaults, relations checked, unknown keys refused.
 *
 * Owns the list of options and what each may be; `docs/options.md` says it for people, and a test compares the two.
 * Every problem is found at once and told in one `InvalidOptions`; nothing has been opened by then.
 */

import { availableParallelism } from "node:os";
import * as Schema from "effect/Schema";
import type { Callbacks } from "../actors/callbacks.ts";
import type { Gateway } from "../actors/external/port.ts";
import type { Logger } from "../actors/services.ts";
import type { BrokerFactory } from "../broker/factory.ts";
import { durationMs, field, structureOf, unknownKeys, whole, withDefault } from "../broker/options.ts";
import type { Persister } from "../broker/persister.ts";
import type { Bytes } from "../jobs/bytes.ts";
import type { JobDefinition } from "../jobs/definition.ts";
import type { Duration } from "../jobs/duration.ts";
import { levelsProblem } from "../jobs/retry.ts";
import type { NamedPool, ProcessOptions, Recycle } from "../threads/types.ts";
import { InvalidOptions } from "./errors.ts";
import { checkPersister, isLocal } from "./persister.ts";
import { type PoolSettings, PoolsSchema, pools, unknownPoolKeys } from "./pool-options.ts";
import { checkQueues, type QueueOptions } from "./queue-options.ts";
import { SizeFields, watermarkProblems } from "./size.ts";
import {
  AmountSchema,
  memoryLimit,
  memoryRelations,
  type ProcessesOptions,
  ProcessesSchema,
  processes,
  type RecycleOptions,
  RecycleSchema,
  type ResourceLimits,
  ResourceLimitsSchema,
  recycle,
  unknownThreadKeys,
} from "./thread-options.ts";
import {
  type CheckedWorkers,
  gateways,
  type WorkersOptions,
  WorkersSchema,
  workers,
} from "./worker-options.ts";

/** What `Runtime.start` takes. Every field is optional; `docs/options.md` has defaults and meanings. */
export interface RuntimeOptions {
  /** `memory()`, `embedded({ path })`, `rabbitmq({ url })`; default `embedded({ path: "./spillway" })`. */
  readonly broker?: BrokerFactory;
  /** A folder URL, files, or definitions; none = this node runs nothing. */
  readonly jobs?: URL | string | readonly (URL | string | JobDefinition)[];
  /** Default none: a producer. */
  readonly partitions?: Readonly<Record<string, QueueOptions>>;
  /** This node's name; default host-pid-random. */
  readonly node?: string;
  /** Slots; default max(2, cores). */
  readonly threads?: number;
  /** Hot threads beside them; default 1. */
  readonly spares?: number;
  /** Asynchronous bodies that share a thread; default 1. */
  readonly jobsPerThread?: number;
  /** Threads kept for job types that name them, beside all others; default none. */
  readonly pools?: Readonly<Record<string, PoolSettings>>;
  /** Most bodies at once on this node, but for those of `pools`; default `threads` × `jobsPerThread`. */
  readonly watermark?: number;
  /** From the signal to the kill; default timeout 0, cancel 1 s, shutdown 1 s. One duration sets all three. */
  readonly grace?:
    | Duration
    | { readonly timeout?: Duration; readonly cancel?: Duration; readonly shutdown?: Duration };
  /** Whether the stack of a killed body is captured; default true. */
  readonly captureStack?: boolean;
  /** Threads that may hang in a native call; default `threads`. */
  readonly maxWedged?: number;
  /** V8's hard limits of a thread; default Node's. */
  readonly resourceLimits?: ResourceLimits;
  /** Bytes (or `"256 MB"`) of a thread's heap and buffers at which it is killed; default none. */
  readonly memoryLimit?: Bytes;
  /** When a thread is replaced by a fresh one; default never. */
  readonly recycle?: RecycleOptions;
  /** For job types that say `runsIn: "process"`. */
  readonly processes?: ProcessesOptions;
  /** Ways for workers outside the process: `gloom({ … })`, `powerhose({ … })` of `spillway/gateways`; default none. */
  readonly gateways?: readonly Gateway[];
  /** How workers behind gateways are kept. */
  readonly workers?: WorkersOptions;
  /** Seconds before attempt 1, 2, …; default 1, 3, 5, 10, 20, 35, 60, 100, 200, 400, 1000, 1800. */
  readonly retryLevels?: readonly number[];
  /** Process crashes after which a job is buried as poison; default 3. */
  readonly maxCrashes?: number;
  /** Bytes of a job's args; default 256 KiB. */
  readonly payloadLimit?: number;
  /** Most buried jobs a queue, above which the oldest are dropped; default: as many as there are. */
  readonly maxBuried?: number;
  /** Bytes of a job's result; default 256 KiB. */
  readonly resultLimit?: number;
  /** One object, or a list that is called in order. */
  readonly callbacks?: Callbacks | readonly Callbacks[];
  /** Where marks, pauses and (on RabbitMQ) queue keys are kept; default: the broker keeps them itself. */
  readonly persister?: Persister | "none";
  /** How long running bodies get when the runtime stops; default 15 s. */
  readonly shutdownTimeout?: Duration;
  /** Silence after which the other nodes take one for gone and start its jobs; default 10 s. */
  readonly nodeTimeout?: Duration;
  /** How old a job must be before it is buried because no live node knows its name, while others live; default 10 min. */
  readonly unknownJobGrace?: Duration;
  /** Jobs of a queue that may wait for execution keys in this node's hands, unacknowledged; default 1,000. */
  readonly maxKeyWaiters?: number;
  /** Edited job modules are picked up without a restart, for development; default false. */
  readonly watch?: boolean;
  /** Default `console`. */
  readonly logger?: Logger;
}

/** The same, checked and in milliseconds. */
export interface CheckedOptions {
  readonly broker: BrokerFactory;
  readonly jobs: RuntimeOptions["jobs"];
  readonly partitions: Readonly<Record<string, QueueOptions>>;
  readonly node: string;
  readonly threads: number;
  readonly spares: number;
  readonly jobsPerThread: number;
  readonly pools: readonly NamedPool[];
  readonly watermark: number;
  readonly graceMs: { readonly timeout: number; readonly cancel: number; readonly shutdown: number };
  readonly captureStack: boolean;
  readonly maxWedged: number;
  readonly resourceLimits: RuntimeOptions["resourceLimits"];
  readonly memoryLimitBytes: number | undefined;
  readonly recycle: Recycle | undefined;
  readonly processes: ProcessOptions;
  readonly gateways: readonly Gateway[];
  readonly workers: CheckedWorkers;
  readonly retryLevels: readonly number[];
  readonly maxCrashes: number;
  readonly maxBuried: number | undefined;
  readonly payloadLimitBytes: number;
  readonly resultLimitBytes: number;
  readonly callbacks: readonly Callbacks[];
  readonly persister: Persister | "none" | undefined;
  readonly shutdownTimeoutMs: number;
  readonly nodeTimeoutMs: number;
  readonly unknownJobGraceMs: number;
  readonly maxKeyWaiters: number;
  readonly watch: boolean;
  readonly logger: Logger;
}

const LEVELS_S = [1, 3, 5, 10, 20, 35, 60, 100, 200, 400, 1000, 1800];
const KIB_256 = 256 * 1024;

const object = (what: string) =>
  Schema.declare((value): value is object => typeof value === "object" && value !== null, { expected: what });
const duration = Schema.Union([Schema.Number, Schema.String]);

const RuntimeSchema = Schema.Struct({
  broker: Schema.optionalKey(object("memory(), embedded({ path }) or rabbitmq({ url })")),
  jobs: Schema.optionalKey(Schema.Unknown),
  partitions: withDefault(Schema.Record(Schema.String, Schema.Unknown), {}),
  node: Schema.optionalKey(Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(128))),
  threads: SizeFields.threads,
  spares: withDefault(whole(0, 16), 1),
  jobsPerThread: withDefault(whole(1, 1_000), 1),
  pools: withDefault(PoolsSchema, {}),
  watermark: SizeFields.watermark,
  grace: Schema.optionalKey(
    Schema.Union([
      duration,
      Schema.Struct({
        timeout: Schema.optionalKey(duration),
        cancel: Schema.optionalKey(duration),
        shutdown: Schema.optionalKey(duration),
      }),
    ]),
  ),
  captureStack: withDefault(Schema.Boolean, true),
  maxWedged: Schema.optionalKey(whole(0, 256)),
  resourceLimits: Schema.optionalKey(ResourceLimitsSchema),
  memoryLimit: Schema.optionalKey(AmountSchema),
  recycle: Schema.optionalKey(RecycleSchema),
  processes: withDefault(ProcessesSchema, {}),
  gateways: Schema.optionalKey(
    Schema.Array(object("gloom({ … }) or powerhose({ … }), of spillway/gateways")),
  ),
  workers: withDefault(WorkersSchema, {}),
  retryLevels: withDefault(Schema.Array(Schema.Number), LEVELS_S),
  maxCrashes: withDefault(whole(1, 1_000), 3),
  maxBuried: Schema.optionalKey(whole(1, 10_000_000)),
  payloadLimit: withDefault(whole(1, 16 * 1024 * 1024), KIB_256),
  resultLimit: withDefault(whole(1, 256 * 1024 * 1024), KIB_256),
  callbacks: Schema.optionalKey(object("an object of callbacks, or a list of them")),
  persister: Schema.optionalKey(Schema.Unknown),
  shutdownTimeout: withDefault(duration, 15_000),
  nodeTimeout: withDefault(duration, 10_000),
  unknownJobGrace: withDefault(duration, 600_000),
  maxKeyWaiters: withDefault(whole(1, 50_000), 1_000),
  watch: withDefault(Schema.Boolean, false),
  logger: Schema.optionalKey(object("an object with debug, info, warn and error")),
});

/** Known from the documentation of what is to come: refused in words that say so, never ignored. */
const LATER: ReadonlySet<string> = new Set(["http"]);

/** Every option's name, for "did you mean" and for the documentation's test. */
export const optionNames: readonly string[] = Object.keys(RuntimeSchema.fields);

const structure = structureOf(RuntimeSchema);

type Raw = typeof RuntimeSchema.Type;

/** What the options do not say themselves. */
export interface OptionDefaults {
  readonly broker: () => BrokerFactory;
  readonly node: () => string;
}

/**
 * Checks everything and fills in what is not given.
 * @throws InvalidOptions with every problem.
 */
export function checkOptions(given: unknown, defaults: OptionDefaults): CheckedOptions {
  const problems = [
    ...unknownKeys(given, optionNames, "", LATER),
    ...unknownKeys(field(given, "grace"), ["timeout", "cancel", "shutdown"], "grace."),
    ...unknownThreadKeys(given),
    ...unknownKeys(field(given, "workers"), Object.keys(WorkersSchema.fields), "workers."),
    ...unknownPoolKeys(field(given, "pools")),
  ];
  const raw = structure(given, problems);
  if (raw === undefined) throw new InvalidOptions(problems);
  const threads = raw.threads ?? Math.max(2, availableParallelism());
  const memoryLimitBytes = memoryLimit(raw.memoryLimit, raw.resourceLimits, problems);
  const options: CheckedOptions = {
    broker: raw.broker === undefined ? defaults.broker() : factory(raw.broker, problems),
    jobs: raw.jobs as RuntimeOptions["jobs"],
    partitions: raw.partitions as CheckedOptions["partitions"],
    node: raw.node ?? defaults.node(),
    threads,
    spares: raw.spares,
    jobsPerThread: raw.jobsPerThread,
    pools: pools(raw.pools, { resourceLimits: raw.resourceLimits, memoryLimitBytes }, problems),
    watermark: raw.watermark ?? threads * raw.jobsPerThread,
    graceMs: grace(raw.grace, problems),
    captureStack: raw.captureStack,
    maxWedged: raw.maxWedged ?? threads,
    resourceLimits: raw.resourceLimits,
    memoryLimitBytes,
    recycle: recycle(raw.recycle, memoryLimitBytes, problems),
    processes: processes(raw.processes, problems),
    gateways: gateways(raw.gateways ?? [], problems),
    workers: workers(raw.workers, problems),
    retryLevels: raw.retryLevels,
    maxCrashes: raw.maxCrashes,
    maxBuried: raw.maxBuried,
    payloadLimitBytes: raw.payloadLimit,
    resultLimitBytes: raw.resultLimit,
    callbacks: callbacks(raw.callbacks, problems),
    persister: checkPersister(raw.persister, problems),
    shutdownTimeoutMs: durationMs("shutdownTimeout", raw.shutdownTimeout, problems),
    nodeTimeoutMs: durationMs("nodeTimeout", raw.nodeTimeout, problems),
    unknownJobGraceMs: durationMs("unknownJobGrace", raw.unknownJobGrace, problems),
    maxKeyWaiters: raw.maxKeyWaiters,
    watch: raw.watch,
    logger: logger(raw.logger, problems),
  };
  relations(options, problems);
  if (problems.length > 0) throw new InvalidOptions(problems);
  return options;
}

function factory(value: object, problems: string[]): BrokerFactory {
  if (!("create" in value) || typeof value.create !== "function")
    problems.push("broker: expected memory(), embedded({ path }) or rabbitmq({ url })");
  return value as BrokerFactory;
}

function grace(value: Raw["grace"], problems: string[]): CheckedOptions["graceMs"] {
  if (typeof value !== "object") {
    if (value === undefined) return { timeout: 0, cancel: 1_000, shutdown: 1_000 };
    const all = durationMs("grace", value, problems);
    return { timeout: all, cancel: all, shutdown: all };
  }
  const part = (name: "timeout" | "cancel" | "shutdown", byDefault: number) =>
    value[name] === undefined ? byDefault : durationMs(`grace.${name}`, value[name], problems);
  return { timeout: part("timeout", 0), cancel: part("cancel", 1_000), shutdown: part("shutdown", 1_000) };
}

const CALLBACKS = ["beforeRun", "afterRun", "onError", "onBuried", "onCancel"];

function callbacks(value: object | undefined, problems: string[]): readonly Callbacks[] {
  const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
  for (const one of list) {
    problems.push(...unknownKeys(one, CALLBACKS, "callbacks."));
    for (const [name, callback] of Object.entries(one ?? {}))
      if (CALLBACKS.includes(name) && typeof callback !== "function")
        problems.push(`callbacks.${name}: expected a function`);
  }
  return list;
}

function logger(value: object | undefined, problems: string[]): Logger {
  if (value === undefined) return console;
  for (const level of ["debug", "info", "warn", "error"])
    if (typeof (value as Record<string, unknown>)[level] !== "function")
      problems.push(`logger: has no function "${level}"`);
  return value as Logger;
}

/** What no single option can say. */
function relations(options: CheckedOptions, problems: string[]): void {
  if (options.broker.kind === "rabbitmq" && isLocal(options.persister))
    problems.push(
      "persister: on RabbitMQ any node may have to read what another has written; put filesystem({ path, shared: true }) on a folder that all nodes see, or leave persister out",
    );
  const levels = levelsProblem(options.retryLevels);
  if (levels !== undefined) problems.push(`retryLevels: ${levels}`);
  for (const [partition, queues] of Object.entries(options.partitions))
    checkQueues(partition, queues, options.broker.kind, problems);
  problems.push(...watermarkProblems(options, options.jobsPerThread));
  memoryRelations(options, problems);
  if (options.graceMs.shutdown > options.shutdownTimeoutMs + 60_000)
    problems.push(
      "grace.shutdown is longer than shutdownTimeout by over a minute: a stop would seem to hang",
    );
}
