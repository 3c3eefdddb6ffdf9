/**
 * Waiting for what may never end: a close that the broker does not answer, a step that a dead connection holds up.
 *
 * Owns one timer a wait, and takes it away with the wait.
 */
import type { Clock } from "../kernel/types.ts";

/** Resolves when `what` has ended, well or not, or when the time is over. */
export async function within(clock: Clock, ms: number, what: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = clock.timer(ms, resolve);
    const over = () => {
      stop();
      resolve();
    };
    what.then(over, over);
  });
}
