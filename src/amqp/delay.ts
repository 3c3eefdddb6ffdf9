/**
 * How long a job waits, as a path through the ladder of delays.
 *
 * Pure. 28 rungs of 2^0 … 2^27 seconds; a message takes those whose bit is set in its delay, the longest first, led by
 * the bits in its routing key. Each rung's queue has one fixed time to live, so nothing long ever stands before
 * something short, and no plugin is needed. Whole seconds, rounded up: never early, late by less than one.
 */

export const RUNGS = 28;

/** Whole seconds, so that what is due is never delivered before it is. */
export function secondsOf(ms: number): number {
  return Math.min(2 ** RUNGS - 1, Math.max(0, Math.ceil(ms / 1_000)));
}

/** The rungs whose queues a delay passes through. */
export function rungsOf(seconds: number): number[] {
  const rungs: number[] = [];
  for (let rung = RUNGS - 1; rung >= 0; rung--) if (bit(seconds, rung)) rungs.push(rung);
  return rungs;
}

/** Where it enters: its highest bit. */
export function topRung(seconds: number): number {
  return Math.floor(Math.log2(seconds));
}

/** All bits, the highest first, then the name of the queue: `0.0.1.….myapp.default`. */
export function delayKey(seconds: number, queue: string): string {
  let key = "";
  for (let rung = RUNGS - 1; rung >= 0; rung--) key += bit(seconds, rung) ? "1." : "0.";
  return key + queue;
}

/** What an exchange of the ladder looks at: one word of the key. */
export function patternOf(rung: number, value: 0 | 1): string {
  return `${"*.".repeat(RUNGS - 1 - rung)}${value}.#`;
}

/** 2^27 is beyond what `>>` can tell from the sign, were it 2^31; 28 bits are safe. */
function bit(seconds: number, rung: number): boolean {
  return ((seconds >> rung) & 1) === 1;
}
