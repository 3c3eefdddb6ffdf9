/**
 * The end of a persister: told that its node has stopped, and not waited for without end.
 *
 * Owns nothing. What it has resolved is durable; what it does or throws at its end concerns nobody any more.
 */
import type { Persister } from "../broker/persister.ts";
import type { Clock } from "../kernel/types.ts";

const CLOSE_MS = 5_000;

export function closePersister(persister: Persister | "none" | undefined, clock: Clock): Promise<void> {
  if (persister === undefined || persister === "none") return Promise.resolve();
  return new Promise((resolve) => {
    const stop = clock.timer(CLOSE_MS, resolve);
    const closed = async () => persister.close?.();
    closed()
      .catch(() => {})
      .finally(() => {
        stop();
        resolve();
      });
  });
}
