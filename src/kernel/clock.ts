/**
 * The system's clock: real time, timers that do not keep the process alive, turns by `setImmediate`.
 *
 * Owns nothing. Everything in the tree reads time through the `Clock` it was given, so that a virtual one
 * (`spillway/testing`) can stand in.
 */

import type { Clock } from "./types.ts";

/** What `setTimeout` can hold; it fires at once above that. */
const LONGEST_TIMEOUT_MS = 2_147_483_647;

const nothing = (): void => {};

export const systemClock: Clock = {
  now: Date.now,
  timer(afterMs, callback) {
    if (afterMs === Number.POSITIVE_INFINITY) return nothing;
    if (afterMs > LONGEST_TIMEOUT_MS) return longTimer(afterMs, callback);
    const timeout = setTimeout(callback, afterMs);
    timeout.unref();
    return () => clearTimeout(timeout);
  },
  turn(callback) {
    setImmediate(callback);
  },
};

function longTimer(afterMs: number, callback: () => void): () => void {
  let cancel = systemClock.timer(LONGEST_TIMEOUT_MS, () => {
    cancel = systemClock.timer(afterMs - LONGEST_TIMEOUT_MS, callback);
  });
  return () => cancel();
}
