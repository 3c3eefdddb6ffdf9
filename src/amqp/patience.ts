/**
 * Waiting for what may never end: a close that the broker does not answer, a step that a dead connection holds up.
 *
 * Owns one timer a wait, and takes it away with the wait.
 */
import type { Channel } from "amqplib";
import type { Clock } from "../kernel/types.ts";

/** A broker that does not answer a close is not waited for longer, where its connection ends next. */
export const CLOSE_MS = 2_000;

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

/** Closes a channel; resolves when it is closed, also by the end of its connection, of which amqplib tells no `close`. */
export async function closed(channel: Channel): Promise<void> {
  const gone = new Promise<void>((resolve) => channel.once("close", resolve));
  const close = async () => channel.close(); // it throws when it was closed already
  await Promise.race([close().catch(() => {}), gone]);
}
