/**
 * Any value as one line of JSON: what events and results carry, errors included.
 *
 * Owns what JSON has no words for: errors become their name and message, BigInts text, bytes base64. A value that
 * cannot be written (a cycle) is shown as text; a line of output never throws.
 */
import { inspect } from "node:util";
import { SpillwayError } from "../kernel/errors.ts";

export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value, plain) ?? "null";
  } catch {
    return JSON.stringify({
      unwritable: inspect(value, { depth: 3, breakLength: Number.POSITIVE_INFINITY }),
    });
  }
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return value instanceof Error ? errorFields(value) : value;
}

function errorFields(error: Error): object {
  const code = error instanceof SpillwayError ? { code: error.code } : {};
  const cause = error.cause === undefined ? {} : { cause: error.cause };
  return { ...code, ...error, name: error.name, message: error.message, ...cause };
}
