/**
 * The mailbox of one actor: a ring with a bound and a policy for when the bound is reached.
 *
 * Owns the messages that wait. On its actor's death all of them are dropped at once; calls among them are
 * refused by `calls.ts`, which knows who waits for an answer. What the kernel itself sends (exits, timers,
 * the ask to stop) goes past the bound: a full mailbox must not hide a crash.
 */

import { Ring } from "./ring.ts";
import type { MailboxOptions } from "./types.ts";

/** Most messages that wait unless a behaviour says otherwise. */
export const DEFAULT_CAPACITY = 1_048_576;

export class Mailbox extends Ring<unknown> {
  readonly capacity: number;
  private readonly dropsOldest: boolean;

  constructor(options: MailboxOptions | undefined) {
    super();
    this.capacity = options?.capacity ?? DEFAULT_CAPACITY;
    this.dropsOldest = options?.overflow === "drop-oldest";
  }

  /** `false`: full, and the policy is to refuse. */
  offer(message: unknown): boolean {
    if (this.size >= this.capacity) {
      if (!this.dropsOldest || this.capacity < 1) return false;
      this.shift();
    }
    this.push(message);
    return true;
  }
}
