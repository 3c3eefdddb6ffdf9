/**
 * From the signal to the kill, of a body that has its thread for itself.
 *
 * Owns one timer. A thread that does not answer gets no grace: nobody there would use it. It only says when the time
 * has come; the ladder looks whether the body still runs.
 */

import type { Thread } from "../thread.ts";
import { CpuShare } from "./inspect.ts";

/** A thread that is told to end and has not answered for this long, though it could run, gets no more grace. */
export const SILENT_AFTER_MS = 100;
/** The same for one that the busy machine hardly runs. */
export const STARVED_AFTER_MS = 500;

export interface Patience {
  /** The thread's event loop has answered. */
  readonly alive: boolean;
  begin(): void;
  /** Only ever shorter. */
  hurry(graceMs: number): void;
  answered(): void;
  end(): void;
}

export class Grace implements Patience {
  alive = false;
  readonly #thread: Thread;
  readonly #slot: number;
  readonly #kill: (how: string) => void;
  readonly #startedMs = performance.now();
  readonly #cpu: CpuShare;
  #graceMs: number;
  #timer: NodeJS.Timeout | undefined = undefined;
  #over = false;

  constructor(thread: Thread, slot: number, graceMs: number, kill: (how: string) => void) {
    this.#thread = thread;
    this.#slot = slot;
    this.#graceMs = graceMs;
    this.#kill = kill;
    this.#cpu = new CpuShare(thread.tid);
  }

  begin(): void {
    const left = this.#graceMs - (performance.now() - this.#startedMs);
    if (left <= 0) this.#kill(`${this.#graceMs} ms`);
    else if (left <= SILENT_AFTER_MS) this.#later(left, () => this.#kill("over"));
    else this.#later(SILENT_AFTER_MS, () => this.#silentOrWait());
  }

  hurry(graceMs: number): void {
    if (this.#over || graceMs >= this.#graceMs) return;
    this.#graceMs = graceMs;
    clearTimeout(this.#timer);
    this.begin();
  }

  answered(): void {
    this.alive = true;
  }

  end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  /** Neither the event loop nor the body has seen the signal: nobody there will use the grace. */
  #silentOrWait(): void {
    // What it answered may lie on the port still.
    this.#thread.look();
    if (this.#over) return;
    const passed = performance.now() - this.#startedMs;
    const left = this.#graceMs - passed;
    const seen = this.alive || (this.#thread.cells.cancel[this.#slot] ?? 0) < 0;
    if (seen || left <= 0) this.#later(left, () => this.#kill("over"));
    else if (passed < STARVED_AFTER_MS && this.#cpu.starved())
      this.#later(Math.min(left, SILENT_AFTER_MS), () => this.#silentOrWait());
    else this.#kill(`cut short: no answer within ${Math.round(passed)} ms`);
  }

  #later(ms: number, then: () => void): void {
    this.#timer = setTimeout(then, ms);
  }
}
