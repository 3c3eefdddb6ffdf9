/**
 * A clock that moves only when a test says so.
 *
 * Owns the armed timers and fires them in the order they are due, those of one instant in the order they were
 * armed. Turns of the event loop stay real (`setImmediate`), so actors run without the clock's help;
 * `advance` lets all of it settle after each timer. Knows what goes through it alone: I/O and threads are not
 * waited for.
 */

import type { Clock } from "../kernel/types.ts";

/** Of the event loop, in one `settle`; some forty million messages. */
const MOST_TURNS = 10_000;

interface Armed {
  readonly due: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  private time: number;
  private readonly armed: Armed[] = [];
  private turns = 0;

  /** Starts at `startMs` since the epoch; default 0. */
  constructor(startMs = 0) {
    this.time = startMs;
  }

  now = (): number => this.time;

  timer(afterMs: number, callback: () => void): () => void {
    const timer: Armed = { due: this.time + Math.max(0, afterMs), callback };
    if (Number.isFinite(timer.due)) this.insert(timer);
    return () => {
      const at = this.armed.indexOf(timer);
      if (at >= 0) this.armed.splice(at, 1);
    };
  }

  turn(callback: () => void): void {
    this.turns++;
    setImmediate(() => {
      this.turns--;
      callback();
    });
  }

  /** Timers that wait. */
  get pending(): number {
    return this.armed.length;
  }

  /** When the next timer is due; undefined when none is armed. */
  get nextDue(): number | undefined {
    return this.armed[0]?.due;
  }

  /** Moves on by `ms`, timer by timer; resolves when all they have set off has settled. */
  async advance(ms: number): Promise<void> {
    const until = this.time + ms;
    await this.settle();
    for (let next = this.armed[0]; next !== undefined && next.due <= until; next = this.armed[0]) {
      this.armed.shift();
      this.time = Math.max(this.time, next.due);
      next.callback();
      await this.settle();
    }
    this.time = until;
  }

  /**
   * Lets microtasks and the turns asked for run until none is left; time stands still. Rejects if it never
   * ends.
   */
  async settle(): Promise<void> {
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.turns === 0) return;
    }
    throw new Error(`still busy after ${MOST_TURNS} turns of the event loop: actors keep each other going`);
  }

  private insert(timer: Armed): void {
    let at = this.armed.length;
    for (; at > 0; at--) {
      const before = this.armed[at - 1];
      if (before !== undefined && before.due <= timer.due) break;
    }
    this.armed.splice(at, 0, timer);
  }
}
