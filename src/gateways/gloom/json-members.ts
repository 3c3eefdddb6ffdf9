/**
 * The members of a JSON object as they are written, so that ids and bodies travel on as they came.
 *
 * Owns nothing. Read and written again, a number above 2^53 would be another one, `5.0` would be `5`, and a body nested
 * a million deep could not be written at all. So a text is parsed only to know that it is JSON, and its parts are cut
 * out of it.
 */
import { isUtf8 } from "node:buffer";

/** What a payload is: an object's members by name, other JSON, or no JSON. */
export type Payload =
  | { readonly kind: "object"; readonly members: ReadonlyMap<string, string> }
  | { readonly kind: "other" }
  | { readonly kind: "invalid"; readonly text: string };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

export function readPayload(bytes: Buffer): Payload {
  const text = bytes.toString("utf8");
  if (!isUtf8(bytes)) return { kind: "invalid", text };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return { kind: "other" };
  } catch {
    return { kind: "invalid", text };
  }
  return { kind: "object", members: membersOf(text) };
}

/** Of a text that is known to be an object; of two members with one name the last counts, as in `JSON.parse`. */
function membersOf(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  let at = skipBlank(text, text.indexOf("{") + 1);
  while (text.charCodeAt(at) !== CLOSE_OBJECT) {
    const nameEnd = endOfString(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const start = skipBlank(text, text.indexOf(":", nameEnd) + 1);
    const end = endOfValue(text, start);
    members.set(name, text.slice(start, end));
    at = skipBlank(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipBlank(text, at + 1);
  }
  return members;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at += 1;
  return at;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function endOfValue(text: string, from: number): number {
  const code = text.charCodeAt(from);
  if (code === QUOTE) return endOfString(text, from);
  if (code === OPEN_OBJECT || code === OPEN_LIST) return endOfNested(text, from);
  let at = from;
  while (!isEnd(text.charCodeAt(at))) at += 1;
  return at;
}

function isEnd(code: number): boolean {
  return code === COMMA || code === CLOSE_OBJECT || code === CLOSE_LIST || code === COLON || isBlank(code);
}

function endOfNested(text: string, from: number): number {
  let depth = 0;
  let at = from;
  do {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    if (code === OPEN_OBJECT || code === OPEN_LIST) depth += 1;
    else if (code === CLOSE_OBJECT || code === CLOSE_LIST) depth -= 1;
    at += 1;
  } while (depth > 0);
  return at;
}

/** Behind the closing quote: the first that has an even number of backslashes before it. */
function endOfString(text: string, from: number): number {
  let quote = text.indexOf('"', from + 1);
  for (;;) {
    let before = quote - 1;
    while (text.charCodeAt(before) === BACKSLASH) before -= 1;
    if ((quote - 1 - before) % 2 === 0) return quote + 1;
    quote = text.indexOf('"', quote + 1);
  }
}
