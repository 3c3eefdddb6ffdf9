/**
 * The options that say how threads are kept: memory, recycling, bodies a thread, pools.
 *
 * Owns their rules and how they go together. What it finds is added to the list of problems; `options.ts` throws.
 */
import * as Schema from "effect/Schema";
import { field, unknownKeys, whole } from "../broker/options.ts";
import { type Bytes, parseBytes } from "../jobs/bytes.ts";
import { type Duration, parseDuration } from "../jobs/duration.ts";
import type { NamedPool, PoolOptions, ProcessOptions, Recycle } from "../threads/types.ts";

/** When a thread is replaced by a fresh one; what comes first. */
export interface RecycleOptions {
  /** Jobs that have ended in it. */
  readonly jobs?: number;
  /** Its age: a number of minutes, or a duration in text. */
  readonly minutes?: number | Exclude<Duration, number>;
  /** What it keeps: bytes of heap and buffers. */
  readonly heap?: Bytes;
}

export type ResourceLimits = NonNullable<PoolOptions["resourceLimits"]>;

const MEGABYTE = 1_048_576;
/** A thread takes some 8 MB before it has loaded a job. */
const LEAST_LIMIT = 16 * MEGABYTE;
const LEAST_PROCESS = 128 * MEGABYTE;
const MINUTE_MS = 60_000;

export const ResourceLimitsSchema = Schema.Struct({
  maxOldGenerationSizeMb: Schema.optionalKey(whole(8, 1_000_000)),
  maxYoungGenerationSizeMb: Schema.optionalKey(whole(1, 100_000)),
  stackSizeMb: Schema.optionalKey(whole(1, 1_000)),
});

export const AmountSchema = Schema.Union([Schema.Number, Schema.String]);

export const RecycleSchema = Schema.Struct({
  jobs: Schema.optionalKey(whole(1, 1_000_000_000)),
  minutes: Schema.optionalKey(AmountSchema),
  heap: Schema.optionalKey(AmountSchema),
});

/** For job types that say `runsIn: "process"`. */
export interface ProcessesOptions {
  /** Hot processes beside those that run bodies, from the first such job on; default 1. */
  readonly spares?: number;
  /** Memory (RSS) of one process above which it is ended and its job fails with kind `memory`; default none. */
  readonly memoryLimit?: Bytes;
}

export const ProcessesSchema = Schema.Struct({
  spares: Schema.optionalKey(whole(0, 16)),
  memoryLimit: Schema.optionalKey(AmountSchema),
});

/** Names that these options do not have. */
export function unknownThreadKeys(given: unknown): string[] {
  return [
    ...unknownKeys(
      field(given, "resourceLimits"),
      Object.keys(ResourceLimitsSchema.fields),
      "resourceLimits.",
    ),
    ...unknownKeys(field(given, "recycle"), Object.keys(RecycleSchema.fields), "recycle."),
    ...unknownKeys(field(given, "processes"), Object.keys(ProcessesSchema.fields), "processes."),
  ];
}

/** The soft limit, which must leave room below the hard one: what reaches that takes its thread without a report. */
export function memoryLimit(
  value: Bytes | undefined,
  limits: ResourceLimits | undefined,
  problems: string[],
  name = "memoryLimit",
): number | undefined {
  if (value === undefined) return undefined;
  const bytes = bytesOf(name, value, problems);
  if (bytes === undefined) return undefined;
  if (bytes < LEAST_LIMIT) problems.push(`${name}: a thread itself takes some 8 MB; give at least "16 MB"`);
  const hardMb = limits?.maxOldGenerationSizeMb;
  if (hardMb !== undefined && bytes >= hardMb * MEGABYTE)
    problems.push(
      `${name} is ${Math.round(bytes / MEGABYTE)} MB and must lie below resourceLimits.maxOldGenerationSizeMb (${hardMb}): the soft limit acts before the hard one`,
    );
  return bytes;
}

export function recycle(
  value: typeof RecycleSchema.Type | undefined,
  memoryLimitBytes: number | undefined,
  problems: string[],
): Recycle | undefined {
  if (value === undefined) return undefined;
  const { jobs } = value;
  const ageMs = ageOf(value.minutes, problems);
  const heapBytes = value.heap === undefined ? undefined : bytesOf("recycle.heap", value.heap, problems);
  if (heapBytes !== undefined && heapBytes >= (memoryLimitBytes ?? Number.POSITIVE_INFINITY))
    problems.push("recycle.heap must lie below memoryLimit: a thread above that is killed under its body");
  return {
    ...(jobs === undefined ? {} : { jobs }),
    ...(ageMs === undefined ? {} : { ageMs }),
    ...(heapBytes === undefined ? {} : { heapBytes }),
  };
}

export function processes(value: typeof ProcessesSchema.Type, problems: string[]): ProcessOptions {
  const spares = value.spares ?? 1;
  if (value.memoryLimit === undefined) return { spares };
  const bytes = bytesOf("processes.memoryLimit", value.memoryLimit, problems) ?? LEAST_PROCESS;
  if (bytes < LEAST_PROCESS)
    problems.push(`processes.memoryLimit: a process itself takes some 80 MB; give at least "128 MB"`);
  return { spares, memoryLimitBytes: bytes };
}

/** Limits that stand one behind the other, of which a later one would act first. */
export function memoryRelations(
  options: {
    readonly memoryLimitBytes: number | undefined;
    readonly recycle: Recycle | undefined;
    readonly processes: ProcessOptions;
    readonly pools: readonly NamedPool[];
  },
  problems: string[],
): void {
  const { memoryLimitBytes, recycle, processes, pools } = options;
  const ofProcess = processes.memoryLimitBytes ?? Number.POSITIVE_INFINITY;
  if (memoryLimitBytes !== undefined && ofProcess <= memoryLimitBytes)
    problems.push(
      "processes.memoryLimit must lie above memoryLimit: it counts the whole process, its thread and some 65 MB more",
    );
  // One that is the runtime's has been looked at with recycle.
  for (const { name, memoryLimitBytes: ofPool } of pools)
    if (ofPool !== undefined && ofPool !== memoryLimitBytes && (recycle?.heapBytes ?? 0) >= ofPool)
      problems.push(`recycle.heap must lie below pools.${name}.memoryLimit: it holds for that pool too`);
}

function ageOf(value: number | string | undefined, problems: string[]): number | undefined {
  if (value === undefined) return undefined;
  const parsed = parseDuration(typeof value === "number" ? value * MINUTE_MS : value);
  if (parsed.ok) return parsed.ms;
  problems.push(`recycle.minutes: expected a number of minutes above 0, or text like "90 seconds"`);
  return undefined;
}

function bytesOf(name: string, value: unknown, problems: string[]): number | undefined {
  const parsed = parseBytes(value);
  if (parsed.ok) return parsed.bytes;
  problems.push(`${name}: ${parsed.problem}`);
  return undefined;
}
