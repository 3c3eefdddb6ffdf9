/**
 * The options of `spillway gateway` for heartbeats and ages, the same for every kind.
 *
 * Owns their names. What their values may be is said where they are checked.
 */
import type { Duration } from "../jobs/duration.ts";
import type { UpkeepOptions } from "../runtime/worker-options.ts";
import type { CommandCall } from "./command.ts";

const NAMES = { heartbeat: "heartbeat", maxAge: "max-age", maxAgeJitter: "max-age-jitter" } as const;

export const UPKEEP_OPTIONS: readonly string[] = Object.values(NAMES);

export function upkeepOptions(call: CommandCall): UpkeepOptions {
  const given = Object.entries(NAMES).flatMap(([name, option]) => {
    const text = call.text(option);
    if (text === undefined) return [];
    return [[name, (/^\d+$/.test(text) ? Number(text) : text) as Duration] as const];
  });
  return Object.fromEntries(given);
}
