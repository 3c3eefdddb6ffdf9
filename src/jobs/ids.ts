/**
 * Ids that sort by age: 48 bits of time in milliseconds, then 112 random bits, as 27 characters.
 *
 * Owns the pool of randomness (a call to the system's generator an id would cost 3 µs) and the last time written. What holds:
 * as text, an id of a later millisecond sorts behind one of an earlier one, also when the clock was set back
 * meanwhile; within one millisecond the order is random. Main thread only; what an id given by a caller may look
 * like is in `names.ts`.
 */
import { randomFillSync } from "node:crypto";

/** Six bits a character, in the order of their codes: text sorts as the number does. base64url would not. */
const ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
const TIME_CHARACTERS = 8;
/** 18 characters of six bits and a last one of four. */
const RANDOM_CHARACTERS = 19;
const IDS_IN_POOL = 256;

const pool = new Uint8Array(RANDOM_CHARACTERS * IDS_IN_POOL);
let next = pool.length;
let lastMs = -1;
const time = new Uint8Array(TIME_CHARACTERS);

/** A new id; about 0.25 µs. One flat string: a slice of a longer one would keep that alive. */
export function newId(now: number = Date.now()): string {
  if (now > lastMs) writeTime(now);
  if (next === pool.length) refill();
  const at = next;
  next += RANDOM_CHARACTERS;
  return flat(time, pool, at);
}

function writeTime(now: number): void {
  lastMs = now;
  let rest = now;
  for (let i = TIME_CHARACTERS - 1; i >= 0; i--) {
    time[i] = CODES[rest % 64] ?? 0;
    rest = Math.floor(rest / 64);
  }
}

function refill(): void {
  randomFillSync(pool);
  for (let i = 0; i < pool.length; i++) {
    const bits = i % RANDOM_CHARACTERS === RANDOM_CHARACTERS - 1 ? 15 : 63;
    pool[i] = CODES[(pool[i] ?? 0) & bits] ?? 0;
  }
  next = 0;
}

/** Written out: a loop over characters, or a call into C++, is twice as slow. */
// biome-ignore format: one line a part
function flat(t: Uint8Array, r: Uint8Array, a: number): string {
  return String.fromCharCode(
    t[0] as number, t[1] as number, t[2] as number, t[3] as number, t[4] as number, t[5] as number, t[6] as number, t[7] as number,
    r[a] as number, r[a + 1] as number, r[a + 2] as number, r[a + 3] as number, r[a + 4] as number, r[a + 5] as number,
    r[a + 6] as number, r[a + 7] as number, r[a + 8] as number, r[a + 9] as number, r[a + 10] as number, r[a + 11] as number,
    r[a + 12] as number, r[a + 13] as number, r[a + 14] as number, r[a + 15] as number, r[a + 16] as number, r[a + 17] as number,
    r[a + 18] as number,
  );
}
