/**
 * The options of workers outside the process: the gateways they come through, and how they are kept.
 *
 * Owns their rules. What it finds is added to the list of problems; `options.ts` throws.
 */
import * as Schema from "effect/Schema";
import type { Gateway } from "../actors/external/port.ts";
import { durationMs } from "../broker/options.ts";
import type { Duration } from "../jobs/duration.ts";

/** How whoever is connected is kept, behind a gateway or beside a daemon. */
export interface UpkeepOptions {
  /** How often a worker is asked for a sign of life, where its wire has a word for that; default 10 s. */
  readonly heartbeat?: Duration;
  /** Age at which an idle worker is ended; default none. */
  readonly maxAge?: Duration;
  /** Up to so much later, each at random, so that not all go at once; default 0. */
  readonly maxAgeJitter?: Duration;
}

export interface WorkersOptions extends UpkeepOptions {
  /** How long a type may be without a worker before its jobs fail; default 10 min. */
  readonly noWorker?: Duration;
}

export interface CheckedUpkeep {
  readonly heartbeatMs: number;
  readonly maxAgeMs: number;
  readonly maxAgeJitterMs: number;
}

export interface CheckedWorkers extends CheckedUpkeep {
  readonly noWorkerMs: number;
}

const duration = Schema.optionalKey(Schema.Union([Schema.Number, Schema.String]));

export const upkeepFields = { heartbeat: duration, maxAge: duration, maxAgeJitter: duration };
const UpkeepSchema = Schema.Struct(upkeepFields);

export const WorkersSchema = Schema.Struct({ ...upkeepFields, noWorker: duration });

export function workers(value: typeof WorkersSchema.Type, problems: string[]): CheckedWorkers {
  const noWorkerMs = durationMs("workers.noWorker", value.noWorker ?? 600_000, problems);
  return { ...upkeep("workers", value, problems), noWorkerMs };
}

export function upkeep(name: string, value: typeof UpkeepSchema.Type, problems: string[]): CheckedUpkeep {
  const ms = (field: keyof UpkeepOptions, otherwise: number) =>
    durationMs(`${name}.${field}`, value[field] ?? otherwise, problems);
  const checked = {
    heartbeatMs: ms("heartbeat", 10_000),
    maxAgeMs: ms("maxAge", 0),
    maxAgeJitterMs: ms("maxAgeJitter", 0),
  };
  if (checked.heartbeatMs < 1_000) problems.push(`${name}.heartbeat: must be at least 1 second`);
  if (checked.maxAgeJitterMs > 0 && checked.maxAgeMs === 0)
    problems.push(`${name}.maxAgeJitter: without maxAge there is no age to add to`);
  return checked;
}

const PARTS = ["start", "stop", "describe"] as const;

export function gateways(given: readonly object[], problems: string[]): readonly Gateway[] {
  for (const one of given)
    if (PARTS.some((part) => typeof (one as Record<string, unknown>)[part] !== "function"))
      problems.push("gateways: expected gloom({ … }) or powerhose({ … }) of spillway/gateways");
  return given as readonly Gateway[];
}
