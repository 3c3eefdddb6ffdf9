/**
 * What ids, keys and names may look like, for everything that takes them: definitions, options, the wire.
 *
 * Owns the rules. Each check is total and returns the problem in words, or `undefined` when there is none; who asks
 * wraps it in the error that fits. Loaded in threads too, so nothing heavy is imported here.
 */

/** Bytes of UTF-8 that an id or a key may have at most. */
export const KEY_BYTES_MAX = 255;
const JOB_NAME_MAX = 128;

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** Control characters (C0, DEL, C1) and, thanks to the u flag, surrogates without their other half. */
const BROKEN = /[\p{Cc}\p{Cs}]/u;
/** What most ids and keys are: printable ASCII, so that bytes are characters. */
const PLAIN = /^[\x20-\x7e]{1,255}$/;

/** A job's id: 1–255 bytes of UTF-8, well-formed, no control characters. */
export function checkId(id: unknown): string | undefined {
  return checkText("an id", id);
}

/** A queue key or an execution key: the same rule as for ids. */
export function checkKey(key: unknown): string | undefined {
  return checkText("a key", key);
}

/**
 * A partition's or a queue's name: 1–64 letters, digits, `_` and `-`; no dot, so that no two pairs of partition and
 * queue share a name on the broker.
 */
export function checkName(name: unknown): string | undefined {
  if (typeof name === "string" && NAME.test(name)) return undefined;
  return `a name has 1 to 64 letters, digits, "_" and "-", got ${shown(name)}`;
}

/** A job's name: 1–128 characters, well-formed, no control characters. */
export function checkJobName(name: unknown): string | undefined {
  if (typeof name !== "string") return `a job's name is text, got ${shown(name)}`;
  if (name.length === 0 || name.length > JOB_NAME_MAX) {
    return `a job's name has 1 to ${JOB_NAME_MAX} characters, got ${name.length}`;
  }
  if (BROKEN.test(name))
    return `a job's name has no control characters and no lone surrogates, got ${shown(name)}`;
  return undefined;
}

/** Text that is well-formed, free of control characters, not empty, and at most `maxBytes` long in UTF-8. */
export function checkText(what: string, text: unknown, maxBytes = KEY_BYTES_MAX): string | undefined {
  if (typeof text !== "string") return `${what} is text, got ${shown(text)}`;
  if (PLAIN.test(text)) return undefined;
  if (text.length === 0) return `${what} is not empty`;
  if (text.length > maxBytes || Buffer.byteLength(text) > maxBytes) {
    return `${what} has at most ${maxBytes} bytes of UTF-8, got ${Buffer.byteLength(text)}`;
  }
  if (BROKEN.test(text))
    return `${what} has no control characters and no lone surrogates, got ${shown(text)}`;
  return undefined;
}

/** A value in a message: short, quoted, with nothing in it that could break a log line. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value);
  return Array.isArray(value) ? "a list" : typeof value === "undefined" ? "nothing" : `a ${typeof value}`;
}
