/**
 * The one timer of a pool: while jobs are out it looks at every thread's cells.
 *
 * Owns the timer. A look finds completions that are stuck behind a long body, tells which bodies have started, starts
 * the kill ladder at a time limit, moves what waits behind a long body to a thread with nothing to do, and ends a
 * thread that takes no jobs. It stops by itself when nothing is out; a timer a job would cost more than the job.
 */

import { guarded } from "./callbacks.ts";
import { monotonicMs } from "./clock.ts";
import type { Thread } from "./thread.ts";
import type { AbortReason, Task } from "./types.ts";

const LOOK_EVERY_MS = 5;
/** A body that has run this long is one that others should not wait behind. */
export const LONG_MS = 5;
/** Looks without a job before the timer ends: lone jobs in a row share it. */
const IDLE_LOOKS = 20;
/** Said of what may have loaded a module ahead, that does not finish loading. */
export const HUNG_AHEAD = "a module that it may have loaded ahead did not finish loading";
/** How long a module may load. */
export const LOAD_LIMIT_MS = 30_000;
/** Looks in a row (some 10 s) at which a thread has jobs, runs none and loads nothing: it does not run any more. */
const DEAF_LOOKS = 2_000;

export interface Watched {
  /** Threads that bodies run in. */
  readonly inService: readonly Thread[];
  /** A module that loads this long is hung, as a body would be. */
  readonly loadLimitMs: number;
  /** The module of this type did not finish loading. */
  loadHung(type: number): void;
  /** Sends the body of this slot down the ladder. */
  overrun(thread: Thread, slot: number, task: Task, reason: AbortReason, because?: string): void;
  /** Something may be moved away from behind this thread's body. */
  relieve(thread: Thread): void;
  /** After each look, at `monotonicMs`. */
  looked(nowMs: number): void;
}

export class Watch {
  readonly #pool: Watched;
  #timer: NodeJS.Timeout | undefined = undefined;
  #idleLooks = 0;

  constructor(pool: Watched) {
    this.#pool = pool;
  }

  /** Cheap when it runs already. */
  arm(): void {
    this.#idleLooks = 0;
    this.#timer ??= setInterval(() => this.#tick(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const now = monotonicMs();
    let open = 0;
    // A copy: a look may end a thread and change the list.
    for (const thread of [...this.#pool.inService]) {
      if (thread.ring.open === 0) continue;
      thread.flooded = false;
      thread.look();
      open += thread.ring.open;
      this.#look(thread, now);
    }
    this.#pool.looked(now);
    this.#idleLooks = open === 0 ? this.#idleLooks + 1 : 0;
    if (this.#idleLooks > IDLE_LOOKS) this.stop();
  }

  #look(thread: Thread, now: number): void {
    if (thread.shared !== undefined) {
      if (thread.shared.looks.look(this.#pool, now)) thread.deafLooks = 0;
      else this.#lookForLife(thread);
      return;
    }
    const slot = thread.ring.running();
    const task = slot === -1 ? undefined : thread.ring.at(slot);
    if (task === undefined) {
      this.#lookForLife(thread);
      return;
    }
    thread.deafLooks = 0;
    const started = thread.cells.start[slot] ?? 0;
    if (thread.running !== task) {
      thread.running = task;
      thread.runningSinceMs = now;
      thread.toldStart = false;
    }
    if (started !== 0 && !thread.toldStart) {
      thread.toldStart = true;
      const at = Math.round(Date.now() - (now - started));
      guarded(() => task.started?.(thread.threadId, at));
    }
    const ranMs = now - (started === 0 ? thread.runningSinceMs : started);
    lookAtTime(this.#pool, thread, slot, task, ranMs, started !== 0);
    if (ranMs < LONG_MS) return;
    thread.long = true;
    if (thread.ring.open > 1) this.#pool.relieve(thread);
  }

  /** Jobs lie there and none runs: between two bodies, or hung outside of any. */
  #lookForLife(thread: Thread): void {
    thread.deafLooks = thread.ring.open === 0 ? 0 : thread.deafLooks + 1;
    const ahead = Atomics.load(thread.cells.ahead, 0) - 1;
    if (ahead === -1) {
      if (thread.deafLooks > DEAF_LOOKS) thread.terminate("it took no jobs any more");
    } else if (thread.deafLooks * LOOK_EVERY_MS > this.#pool.loadLimitMs) {
      this.#pool.loadHung(ahead);
      thread.terminate(HUNG_AHEAD);
    }
  }
}

/** Ends a body whose time is over, or the loading of its module. */
export function lookAtTime(
  pool: Watched,
  thread: Thread,
  slot: number,
  task: Task,
  ranMs: number,
  started: boolean,
): void {
  const limitMs = started ? task.maxExecutionTimeMs : pool.loadLimitMs;
  if (limitMs === 0 || ranMs < limitMs) return;
  if (!started) pool.loadHung(task.type);
  const because = started ? undefined : `its module did not finish loading in ${limitMs} ms`;
  pool.overrun(thread, slot, task, "timeout", because);
}
