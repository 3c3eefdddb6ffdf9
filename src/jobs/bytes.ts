/**
 * Amounts of memory as people write them: `"256 MB"`, `"1 GB"`, `268435456` (bytes), always read into whole bytes.
 *
 * Owns the units, each 1,024 of the one before, as V8 and the kernel count. Total, for option checks that gather problems.
 */

/** Bytes, or a number with a unit: `"256 MB"`, `"1.5GB"`; `MB` and `MiB` are the same. */
export type Bytes = number | string;

export type ParsedBytes =
  | { readonly ok: true; readonly bytes: number }
  | { readonly ok: false; readonly problem: string };

const WRITTEN = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?$/i;
const POWERS = ["", "k", "m", "g", "t"];
const EXAMPLES = 'a number of bytes, or text like "256 MB", "1 GB"';

export function parseBytes(value: unknown): ParsedBytes {
  if (typeof value === "number") return checked(value);
  const parts = typeof value === "string" ? WRITTEN.exec(value.trim()) : null;
  if (parts === null) return { ok: false, problem: `expected ${EXAMPLES}` };
  const [, digits = "", unit = ""] = parts;
  return checked(Number(digits) * 1_024 ** POWERS.indexOf(unit.toLowerCase()));
}

function checked(bytes: number): ParsedBytes {
  const whole = Math.round(bytes);
  if (Number.isSafeInteger(whole) && whole > 0) return { ok: true, bytes: whole };
  return { ok: false, problem: `expected ${EXAMPLES}, above 0` };
}
