/**
 * How many bytes a result takes as a structured clone, as cheaply as its shape allows.
 *
 * Owns no state. Primitives, strings and buffers are known at once; small plain objects are bounded by a walk over
 * at most 64 values; only what is left is serialized to be measured, which costs as much as posting it.
 */
import { serialize } from "node:v8";

const MOST_VALUES = 64;
let left = 0;

/** Upper bound or exact size in bytes; 0 when only the post itself can tell (it then fails there). */
export function sizeOf(value: unknown, limitBytes: number): number {
  left = MOST_VALUES;
  try {
    const bound = boundOf(value);
    if (bound >= 0 && bound <= limitBytes) return bound;
    if (typeof value === "string") return cloneBytes(value);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
    return serialize(value).length;
  } catch {
    return 0;
  }
}

// One-byte strings are cloned as one byte a character, all others as two.
function cloneBytes(value: string): number {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 255) return value.length * 2;
  return value.length;
}

/** An upper bound, or -1 for a shape that is not bounded here. */
function boundOf(value: unknown): number {
  if (--left < 0) return -1;
  if (typeof value === "string") return value.length * 2 + 8;
  if (typeof value === "bigint") return -1;
  if (typeof value !== "object" || value === null) return 9;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return -1;
  let sum = 16;
  for (const key in value) {
    const inner = boundOf((value as Record<string, unknown>)[key]);
    if (inner < 0) return -1;
    sum += inner + key.length * 2 + 8;
  }
  return sum;
}
