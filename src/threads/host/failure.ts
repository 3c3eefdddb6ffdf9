/**
 * What was thrown, as plain data that crosses to main.
 *
 * Owns no state. Total: a thrown value may be anything, a proxy that throws on every look included, and telling of
 * it must neither fail nor flood main's memory.
 */
import { inspect } from "node:util";
import type { FailureKind } from "../../jobs/envelope.ts";
import { InvalidArgs } from "../../jobs/errors.ts";
import type { Failure } from "../../jobs/failure.ts";
import { isNonRetryable } from "../../jobs/signals.ts";

const MOST_MESSAGE = 8_192;
const MOST_STACK = 16_384;

/** A failure of this kind, told by whatever was thrown. */
export function failureOf(thrown: unknown, kind: FailureKind = "error"): Failure {
  try {
    if (thrown instanceof Error || isErrorLike(thrown)) return ofError(thrown, kind);
    return plain(kind, "NonError", `threw ${describe(thrown)}, which is no Error`, false);
  } catch {
    return plain(kind, "NonError", "threw a value that cannot be looked at", false);
  }
}

/** A failure that the host itself found. */
export function plain(kind: FailureKind, name: string, message: string, final: boolean): Failure {
  return { kind, name, message: cut(message, MOST_MESSAGE), stack: undefined, final };
}

function ofError(error: Error, kind: FailureKind): Failure {
  const code: unknown = (error as { code?: unknown }).code;
  const stack: unknown = error.stack;
  const base = {
    kind,
    name: text(error.name, "Error"),
    message: cut(text(error.message, ""), MOST_MESSAGE),
    stack: typeof stack === "string" ? cut(stack, MOST_STACK) : undefined,
    final: isNonRetryable(error) || error instanceof InvalidArgs,
  };
  return typeof code === "string" || typeof code === "number" ? { ...base, code: String(code) } : base;
}

// An Error of another realm (vm, a module of Node's own) is no instance of this one's.
function isErrorLike(thrown: unknown): thrown is Error {
  return (
    typeof thrown === "object" &&
    thrown !== null &&
    typeof (thrown as Error).message === "string" &&
    typeof (thrown as Error).stack === "string"
  );
}

function describe(thrown: unknown): string {
  return inspect(thrown, { depth: 2, maxStringLength: 512, maxArrayLength: 16 });
}

function text(value: unknown, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}

function cut(value: string, most: number): string {
  return value.length <= most ? value : `${value.slice(0, most)}… (${value.length} characters)`;
}
