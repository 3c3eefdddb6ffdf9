/**
 * How options are checked: by a schema with defaults, every problem found at once, unknown names refused with "did
 * you mean". Shared by the runtime's options and by each broker's own.
 *
 * Owns no option. What it finds is added to a list of problems; who asked throws `InvalidOptions` with all of them.
 */
import * as Effect from "effect/Effect";
import * as Schema from "effect/Schema";
import * as SchemaIssue from "effect/SchemaIssue";
import { parseDuration } from "../jobs/duration.ts";
import { suggest } from "../jobs/suggest.ts";

export const whole = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }));
export const withDefault = <S extends Schema.Top>(schema: S, value: S["Encoded"]) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(value)));

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1();
const NO_NAMES: ReadonlySet<string> = new Set();

/** A reader for a schema: what it made of the options, or `undefined` with the problems added to the list. */
export function structureOf<S extends Schema.Codec<unknown, unknown>>(schema: S) {
  const decode = Schema.decodeUnknownSync(schema, { errors: "all" });
  return (given: unknown, problems: string[]): S["Type"] | undefined => {
    try {
      return decode(given ?? {});
    } catch (error) {
      if (!Schema.isSchemaError(error)) throw error;
      for (const issue of issuesOf(error.issue).issues) {
        problems.push(`${(issue.path ?? []).map(String).join(".") || "options"}: ${lower(issue.message)}`);
      }
      return undefined;
    }
  };
}

const lower = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);

/** What was given for one option, as it came: a schema drops keys that it does not know. */
export function field(given: unknown, name: string): unknown {
  return typeof given === "object" && given !== null ? (given as Record<string, unknown>)[name] : undefined;
}

/** A problem for each name that is not known; `later`: names that will be, refused in words that say so. */
export function unknownKeys(
  given: unknown,
  known: readonly string[],
  prefix: string,
  later: ReadonlySet<string> = NO_NAMES,
): string[] {
  if (typeof given !== "object" || given === null) return [];
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  return unknown.map((key) => {
    if (later.has(key)) return `"${key}" is not supported yet; see CHANGELOG.md for what is`;
    const near = suggest(key, known);
    return `there is no option "${prefix}${key}"${near === undefined ? "" : `; did you mean "${prefix}${near}"?`}`;
  });
}

/** A duration in milliseconds; 0, with the problem added, when it is none. */
export function durationMs(name: string, value: unknown, problems: string[]): number {
  const parsed = parseDuration(value, { zero: true });
  if (parsed.ok) return parsed.ms;
  problems.push(`${name}: ${parsed.problem}`);
  return 0;
}
