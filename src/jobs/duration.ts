/**
 * Durations as people write them: `"30 seconds"`, `"5m"`, `100` (milliseconds), always read into whole milliseconds.
 *
 * Owns the units and the rules: no NaN, nothing negative, nothing infinite, 0 only where the caller says that it
 * means something. `parseDuration` is total, for option checks that gather problems; `toMs` throws.
 */
import { suggest } from "./suggest.ts";

type Unit =
  | "ms"
  | "millisecond"
  | "milliseconds"
  | "s"
  | "sec"
  | "second"
  | "seconds"
  | "m"
  | "min"
  | "minute"
  | "minutes"
  | "h"
  | "hour"
  | "hours"
  | "d"
  | "day"
  | "days";

/** Milliseconds, or a number with a unit: `"30 seconds"`, `"1.5 hours"`, `"5m"`. */
export type Duration = number | `${number} ${Unit}` | `${number}${Unit}`;

export interface DurationRules {
  /** 0 means something here (no grace, no delay). Default false. */
  readonly zero?: boolean;
}

export type ParsedDuration =
  | { readonly ok: true; readonly ms: number }
  | { readonly ok: false; readonly problem: string };

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const UNITS: ReadonlyMap<string, number> = new Map<Unit, number>([
  ["ms", 1],
  ["millisecond", 1],
  ["milliseconds", 1],
  ["s", SECOND],
  ["sec", SECOND],
  ["second", SECOND],
  ["seconds", SECOND],
  ["m", MINUTE],
  ["min", MINUTE],
  ["minute", MINUTE],
  ["minutes", MINUTE],
  ["h", HOUR],
  ["hour", HOUR],
  ["hours", HOUR],
  ["d", DAY],
  ["day", DAY],
  ["days", DAY],
]);

const WRITTEN = /^([+-]?\d+(?:\.\d+)?)\s*([a-z]*)$/i;
const EXAMPLES = 'a number of milliseconds, or text like "30 seconds", "5 minutes", "1 hour"';

/**
 * Reads a duration into whole milliseconds, or says in words what is wrong with it. Fractions are rounded to the
 * nearest millisecond; what lies between 0 and 1 ms is refused.
 */
export function parseDuration(value: unknown, rules?: DurationRules): ParsedDuration {
  if (typeof value === "number") return checked(value, String(value), rules);
  if (typeof value !== "string") return refused(`expected ${EXAMPLES}, got ${describe(value)}`);
  const parts = WRITTEN.exec(value.trim());
  if (parts === null) return refused(`expected ${EXAMPLES}, got ${describe(value)}`);
  const [, digits = "", unit = ""] = parts;
  if (unit === "")
    return refused(`${describe(value)} has no unit; write "${digits} ms" or "${digits} seconds"`);
  const factor = UNITS.get(unit.toLowerCase());
  if (factor === undefined) return refused(unknownUnit(value, digits, unit));
  return checked(Number(digits) * factor, describe(value), rules);
}

/**
 * As `parseDuration`, for calls whose wrong argument is a mistake in the program.
 * @throws RangeError with the same sentence, beginning with `name`.
 */
export function toMs(value: unknown, rules?: DurationRules & { readonly name?: string }): number {
  const parsed = parseDuration(value, rules);
  if (parsed.ok) return parsed.ms;
  throw new RangeError(`${rules?.name ?? "duration"}: ${parsed.problem}`);
}

function checked(ms: number, written: string, rules: DurationRules | undefined): ParsedDuration {
  if (ms === 0 && rules?.zero === true) return { ok: true, ms: 0 };
  if (Number.isNaN(ms)) return refused("NaN is not a duration");
  if (ms < 0) return refused(`${written} is negative`);
  if (ms === 0) return refused("0 means nothing here; give at least 1 ms, or leave it out");
  if (ms < 1) return refused(`${written} is shorter than 1 ms`);
  const whole = Math.round(ms);
  if (!Number.isSafeInteger(whole)) return refused(`${written} is too long to be counted in milliseconds`);
  return { ok: true, ms: whole };
}

function unknownUnit(value: string, digits: string, unit: string): string {
  const near = suggest(unit, UNITS.keys());
  const help =
    near === undefined ? "use ms, seconds, minutes, hours or days" : `did you mean "${digits} ${near}"?`;
  return `${describe(value)} has an unknown unit "${unit}"; ${help}`;
}

function refused(problem: string): ParsedDuration {
  return { ok: false, problem };
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  return value === null ? "null" : typeof value;
}
