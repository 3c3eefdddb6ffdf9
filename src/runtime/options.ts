/**
 * The options of `Runtime.start`: one schema with defaults, relations checked, unknown keys refused.
 *
 * Owns the list of options and what each may be; `docs/options.md` says it for people, and a test compares the two.
 * Every problem is found at once and told in one `InvalidOptions`; nothing has been opened by then.
 */

import { availableParallelism } from "node:os";
import * as Schema from "effect/Schema";
import type { Callbacks } from "../actors/callbacks.ts";
import type { Logger } from "../actors/services.ts";
import type { BrokerFactory } from "../broker/factory.ts";
import { durationMs, field, structureOf, unknownKeys, whole, withDefault } from "../broker/options.ts";
import type { JobDefinition } from "../jobs/definition.ts";
import type { Duration } from "../jobs/duration.ts";
import { checkName } from "../jobs/names.ts";
import { levelsProblem } from "../jobs/retry.ts";
import { InvalidOptions } from "./errors.ts";

/** Queues of a partition: the most bodies of each that run at once on this node; 0 = not consumed here, and shown. */
export type QueueOptions = Readonly<Record<string, number>>;

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
  /** Bodies that share a thread; only 1 yet. */
  readonly jobsPerThread?: number;
  /** Most bodies at once on this node; default `threads`. */
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
  readonly resourceLimits?: {
    readonly maxOldGenerationSizeMb?: number;
    readonly maxYoungGenerationSizeMb?: number;
    readonly stackSizeMb?: number;
  };
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
  /** How long running bodies get when the runtime stops; default 15 s. */
  readonly shutdownTimeout?: Duration;
  /** Silence after which the other nodes take one for gone and start its jobs; default 10 s. */
  readonly nodeTimeout?: Duration;
  /** How old a job must be before it is buried because no live node knows its name, while others live; default 10 min. */
  readonly unknownJobGrace?: Duration;
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
  readonly watermark: number;
  readonly graceMs: { readonly timeout: number; readonly cancel: number; readonly shutdown: number };
  readonly captureStack: boolean;
  readonly maxWedged: number;
  readonly resourceLimits: RuntimeOptions["resourceLimits"];
  readonly retryLevels: readonly number[];
  readonly maxCrashes: number;
  readonly maxBuried: number | undefined;
  readonly payloadLimitBytes: number;
  readonly resultLimitBytes: number;
  readonly callbacks: readonly Callbacks[];
  readonly shutdownTimeoutMs: number;
  readonly nodeTimeoutMs: number;
  readonly unknownJobGraceMs: number;
  readonly logger: Logger;
}

const LEVELS_S = [1, 3, 5, 10, 20, 35, 60, 100, 200, 400, 1000, 1800];
const KIB_256 = 256 * 1024;

const object = (what: string) =>
  Schema.declare((value): value is object => typeof value === "object" && value !== null, { expected: what });
const duration = Schema.Union([Schema.Number, Schema.String]);

const ResourceLimits = Schema.Struct({
  maxOldGenerationSizeMb: Schema.optionalKey(whole(8, 1_000_000)),
  maxYoungGenerationSizeMb: Schema.optionalKey(whole(1, 100_000)),
  stackSizeMb: Schema.optionalKey(whole(1, 1_000)),
});

const RuntimeSchema = Schema.Struct({
  broker: Schema.optionalKey(object("memory(), embedded({ path }) or rabbitmq({ url })")),
  jobs: Schema.optionalKey(Schema.Unknown),
  partitions: withDefault(Schema.Record(Schema.String, Schema.Record(Schema.String, whole(0, 10_000))), {}),
  node: Schema.optionalKey(Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(128))),
  threads: Schema.optionalKey(whole(1, 256)),
  spares: withDefault(whole(0, 16), 1),
  jobsPerThread: withDefault(whole(1, 1_000), 1),
  watermark: Schema.optionalKey(whole(1, 100_000)),
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
  resourceLimits: Schema.optionalKey(ResourceLimits),
  retryLevels: withDefault(Schema.Array(Schema.Number), LEVELS_S),
  maxCrashes: withDefault(whole(1, 1_000), 3),
  maxBuried: Schema.optionalKey(whole(1, 10_000_000)),
  payloadLimit: withDefault(whole(1, 16 * 1024 * 1024), KIB_256),
  resultLimit: withDefault(whole(1, 256 * 1024 * 1024), KIB_256),
  callbacks: Schema.optionalKey(object("an object of callbacks, or a list of them")),
  shutdownTimeout: withDefault(duration, 15_000),
  nodeTimeout: withDefault(duration, 10_000),
  unknownJobGrace: withDefault(duration, 600_000),
  logger: Schema.optionalKey(object("an object with debug, info, warn and error")),
});

/** Known from the documentation of what is to come: refused in words that say so, never ignored. */
const LATER: ReadonlySet<string> = new Set([ "pools", "memoryLimit", "recycle", "persister", "gateways", "http",
  "maxKeyWaiters", "watch",
]); // biome-ignore format: one glance

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
    ...unknownKeys(field(given, "resourceLimits"), Object.keys(ResourceLimits.fields), "resourceLimits."),
  ];
  const raw = structure(given, problems);
  if (raw === undefined) throw new InvalidOptions(problems);
  const threads = raw.threads ?? Math.max(2, availableParallelism());
  const options: CheckedOptions = {
    broker: raw.broker === undefined ? defaults.broker() : factory(raw.broker, problems),
    jobs: raw.jobs as RuntimeOptions["jobs"],
    partitions: raw.partitions,
    node: raw.node ?? defaults.node(),
    threads,
    spares: raw.spares,
    watermark: raw.watermark ?? threads,
    graceMs: grace(raw.grace, problems),
    captureStack: raw.captureStack,
    maxWedged: raw.maxWedged ?? threads,
    resourceLimits: raw.resourceLimits,
    retryLevels: raw.retryLevels,
    maxCrashes: raw.maxCrashes,
    maxBuried: raw.maxBuried,
    payloadLimitBytes: raw.payloadLimit,
    resultLimitBytes: raw.resultLimit,
    callbacks: callbacks(raw.callbacks, problems),
    shutdownTimeoutMs: durationMs("shutdownTimeout", raw.shutdownTimeout, problems),
    nodeTimeoutMs: durationMs("nodeTimeout", raw.nodeTimeout, problems),
    unknownJobGraceMs: durationMs("unknownJobGrace", raw.unknownJobGrace, problems),
    logger: logger(raw.logger, problems),
  };
  if (raw.jobsPerThread > 1) problems.push("jobsPerThread: more than 1 body a thread is not supported yet");
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
  const levels = levelsProblem(options.retryLevels);
  if (levels !== undefined) problems.push(`retryLevels: ${levels}`);
  for (const [partition, queues] of Object.entries(options.partitions)) {
    const named = checkName(partition);
    if (named !== undefined) problems.push(`partitions: "${partition}": ${named}`);
    for (const queue of Object.keys(queues)) {
      const problem = checkName(queue);
      if (problem !== undefined) problems.push(`partitions.${partition}: "${queue}": ${problem}`);
    }
  }
  if (options.watermark > options.threads)
    problems.push(
      `watermark is ${options.watermark}, but ${options.threads} threads run one body each; raise threads, or leave watermark out`,
    );
  if (options.graceMs.shutdown > options.shutdownTimeoutMs + 60_000)
    problems.push(
      "grace.shutdown is longer than shutdownTimeout by over a minute: a stop would seem to hang",
    );
}
