/**
 * The system's clock, for a broker that was given none.
 *
 * Owns nothing; its timers do not keep the process alive and end with it.
 */
import type { Clock } from "../kernel/types.ts";

export const systemClock: Clock = {
  now: () => Date.now(),
  timer(afterMs, callback) {
    const timer = setTimeout(callback, afterMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  turn: (callback) => void setImmediate(callback),
};
