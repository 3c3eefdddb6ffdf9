/**
 * The run loop: one microtask drains the mailboxes of all actors that have something to do, in batches.
 *
 * Owns the queue of ready actors and the promise to the event loop: after at most `MESSAGES_A_TURN` messages
 * it lets a turn pass, counted across microtasks, because callers that await each other's answers would
 * otherwise keep the microtask queue full for ever. While it waits for that turn it stays armed, so that no
 * second loop starts. Outlives every actor; what an actor throws is caught before it gets here.
 */

import { Ring } from "./ring.ts";
import type { Clock } from "./types.ts";

/** Messages between two turns of the event loop. */
export const MESSAGES_A_TURN = 4096;
/** Messages of one actor before the next one has its go. */
export const MESSAGES_A_BATCH = 256;

/** What the loop runs. */
export interface Runnable {
  /** Handles at most `most` messages; says how many it handled. Queues itself again when some are left. */
  runBatch(most: number, now: number): number;
}

export class RunLoop {
  private readonly ready = new Ring<Runnable>();
  private armed = false;
  private left = MESSAGES_A_TURN;
  private readonly clock: Clock;
  private readonly drain: () => void;
  private readonly resume: () => void;

  constructor(clock: Clock) {
    this.clock = clock;
    this.drain = () => this.run();
    this.resume = () => {
      this.left = MESSAGES_A_TURN;
      this.run();
    };
  }

  /** The caller sees to it that an actor is queued once only. */
  schedule(actor: Runnable): void {
    this.ready.push(actor);
    if (this.armed) return;
    this.armed = true;
    queueMicrotask(this.drain);
  }

  private run(): void {
    const now = this.clock.now();
    try {
      while (this.ready.size > 0) {
        if (this.left <= 0) return;
        const actor = this.ready.shift();
        if (actor === undefined) continue;
        const handled = actor.runBatch(Math.min(this.left, MESSAGES_A_BATCH), now);
        // An actor that had nothing left to do counts too: the bound is on work, not on messages alone.
        this.left -= handled === 0 ? 1 : handled;
      }
    } finally {
      if (this.ready.size > 0) this.clock.turn(this.resume);
      else this.armed = false;
    }
  }
}
