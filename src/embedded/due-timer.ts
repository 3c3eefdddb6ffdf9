/**
 * One timer for the next job that becomes due, however many are scheduled.
 *
 * Owns that timer. Late by what the event loop is late, never early; a wait of more than a day is taken in
 * days, since Node's timers hold 24.8 of them. Stopped, it forgets; jobs that are due stay where they are
 * stored.
 */
import type { Clock } from "../kernel/types.ts";

const DAY_MS = 86_400_000;

export class DueTimer {
  #dueAt = Number.POSITIVE_INFINITY;
  #stop: (() => void) | undefined;
  constructor(
    readonly clock: Clock,
    readonly fire: () => void,
  ) {}

  /** Makes sure that `fire` is called at `dueAt` or earlier. */
  at(dueAt: number): void {
    if (dueAt >= this.#dueAt) return;
    this.#stop?.();
    this.#dueAt = dueAt;
    const waitMs = Math.max(0, dueAt - this.clock.now());
    this.#stop = this.clock.timer(Math.min(waitMs, DAY_MS), () => this.#rang());
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  #rang(): void {
    const dueAt = this.#dueAt;
    this.stop();
    // Node's timers may ring a millisecond before the clock says so
    if (dueAt <= this.clock.now()) this.fire();
    else this.at(dueAt);
  }
}

/** The last millisecond that a Date can hold. */
const LATEST_MS = 8.64e15;

/** Whole, and a number that SQLite takes and gives back: one that it refused would fail each commit anew. */
export function asTime(dueAt: number): number {
  const due = Math.min(Math.ceil(dueAt), LATEST_MS);
  return due > 0 ? due : 0;
}

/** 0 = at once. */
export function dueOf(dueAt: number | undefined, now: number): number {
  return dueAt === undefined || dueAt <= now ? 0 : asTime(dueAt);
}
