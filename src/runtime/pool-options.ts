/**
 * The `pools` option: threads that are kept for job types that say so.
 *
 * Owns its rules. What a pool does not say is as for the runtime's own threads, but for bodies a thread: a pool is for
 * what must not share one.
 */
import * as Schema from "effect/Schema";
import { unknownKeys, whole } from "../broker/options.ts";
import type { Bytes } from "../jobs/bytes.ts";
import { checkName } from "../jobs/names.ts";
import { suggest } from "../jobs/suggest.ts";
import type { LoadedJob } from "../threads/modules/load.ts";
import type { NamedPool } from "../threads/types.ts";
import { AmountSchema, memoryLimit, type ResourceLimits, ResourceLimitsSchema } from "./thread-options.ts";

/** One pool of threads, for the job types whose definition names it. */
export interface PoolSettings {
  /** Its slots. */
  readonly threads: number;
  /** Hot threads beside them; default 1. */
  readonly spares?: number;
  /** Asynchronous bodies that share a thread; default 1. */
  readonly jobsPerThread?: number;
  /** Default: the runtime's. */
  readonly resourceLimits?: ResourceLimits;
  /** Default: the runtime's. */
  readonly memoryLimit?: Bytes;
}

const PoolSchema = Schema.Struct({
  threads: whole(1, 256),
  spares: Schema.optionalKey(whole(0, 16)),
  jobsPerThread: Schema.optionalKey(whole(1, 1_000)),
  resourceLimits: Schema.optionalKey(ResourceLimitsSchema),
  memoryLimit: Schema.optionalKey(AmountSchema),
});

export const PoolsSchema = Schema.Record(Schema.String, PoolSchema);

const MEGABYTE = 1_048_576;

/** What the runtime's own threads have. */
export interface OfRuntime {
  readonly resourceLimits: ResourceLimits | undefined;
  readonly memoryLimitBytes: number | undefined;
}

export function unknownPoolKeys(pools: unknown): string[] {
  if (typeof pools !== "object" || pools === null) return [];
  return Object.entries(pools).flatMap(([name, pool]) => [
    ...unknownKeys(pool, Object.keys(PoolSchema.fields), `pools.${name}.`),
    ...unknownKeys(
      (pool as { resourceLimits?: unknown } | null)?.resourceLimits,
      Object.keys(ResourceLimitsSchema.fields),
      `pools.${name}.resourceLimits.`,
    ),
  ]);
}

export function pools(
  given: typeof PoolsSchema.Type,
  runtime: OfRuntime,
  problems: string[],
): readonly NamedPool[] {
  return Object.entries(given).map(([name, pool]) => {
    const wrong = checkName(name);
    if (wrong !== undefined) problems.push(`pools: "${name}": ${wrong}`);
    const resourceLimits = pool.resourceLimits ?? runtime.resourceLimits;
    const own = memoryLimit(pool.memoryLimit, resourceLimits, problems, `pools.${name}.memoryLimit`);
    const memoryLimitBytes = own ?? runtime.memoryLimitBytes;
    const hardBytes = (pool.resourceLimits?.maxOldGenerationSizeMb ?? Number.POSITIVE_INFINITY) * MEGABYTE;
    if (own === undefined && (memoryLimitBytes ?? 0) >= hardBytes)
      problems.push(
        `pools.${name}.memoryLimit: the runtime's memoryLimit does not lie below this pool's resourceLimits; give it one of its own`,
      );
    return {
      name,
      threads: pool.threads,
      spares: pool.spares ?? 1,
      jobsPerThread: pool.jobsPerThread ?? 1,
      maxWedged: pool.threads,
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
      ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
    };
  });
}

/** A problem for each job that asks for a pool which is not there. */
export function poolProblems(jobs: readonly LoadedJob[], there: readonly NamedPool[]): string[] {
  const names = there.map(({ name }) => name);
  return jobs.flatMap(({ definition: { name, pool } }) => {
    if (pool === undefined || names.includes(pool)) return [];
    const near = suggest(pool, names);
    const hint = near === undefined ? `add pools: { "${pool}": { threads: 2 } }` : `did you mean "${near}"?`;
    return [`jobs: "${name}" asks for the pool "${pool}", which pools does not have; ${hint}`];
  });
}
