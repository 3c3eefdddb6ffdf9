/**
 * One look at a thread that runs several bodies: which have started, whose time is over, whether it still answers.
 *
 * Owns no timer; the pool's one watch calls it. A body that holds the thread up is ended like one that is over its time,
 * also when it has no limit: its neighbours can neither go on nor be moved.
 */
import { guarded } from "../callbacks.ts";
import { FOCUS_NOW, FOCUS_TURN } from "../cells.ts";
import type { Thread } from "../thread.ts";
import type { Task } from "../types.ts";
import { LONG_MS, lookAtTime, type Watched } from "../watch.ts";
import type { Sharing } from "./sharing.ts";

/** Without a word from it for so long, a thread is asked. */
const ASK_AFTER_MS = 1_000;
/** An answer is due within this. */
const ANSWER_WITHIN_MS = 4_000;

/** What is known of a thread and its bodies from look to look. */
export class SharedLooks {
  /** When a body was first seen to run, and whether its start was told. */
  readonly #seen = new Map<Task, { readonly sinceMs: number; told: boolean }>();
  readonly #thread: Thread;
  readonly #sharing: Sharing;
  #heardMs = 0;
  #askedMs = 0;
  #focus = 0;
  #turn = 0;
  #focusSinceMs = 0;

  constructor(thread: Thread, sharing: Sharing) {
    this.#thread = thread;
    this.#sharing = sharing;
  }

  /** It has said something. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#askedMs = 0;
  }

  forget(task: Task): void {
    this.#seen.delete(task);
  }

  /** False when no body runs in it. */
  look(pool: Watched, nowMs: number): boolean {
    const thread = this.#thread;
    const slots = thread.ring.runningSlots();
    for (const slot of slots) this.#lookAt(slot, pool, nowMs);
    thread.long = this.#blockedMs(nowMs) >= LONG_MS;
    const full = slots.length >= this.#sharing.most;
    if ((thread.long || full) && thread.ring.open > slots.length) pool.relieve(thread);
    if (slots.length > 1) this.#lookForAnswer(slots.length, pool, nowMs);
    else this.heard(nowMs);
    return slots.length > 0;
  }

  #lookAt(slot: number, pool: Watched, nowMs: number): void {
    const thread = this.#thread;
    const task = thread.ring.at(slot);
    if (task === undefined) return;
    const seen = this.#seen.get(task) ?? { sinceMs: nowMs, told: false };
    this.#seen.set(task, seen);
    const started = thread.cells.start[slot] ?? 0;
    if (started !== 0 && !seen.told) {
      seen.told = true;
      const at = Math.round(Date.now() - (nowMs - started));
      guarded(() => task.started?.(thread.threadId, at));
    }
    const ranMs = nowMs - (started === 0 ? seen.sinceMs : started);
    lookAtTime(pool, thread, slot, task, ranMs, started !== 0);
  }

  /** How long one piece of code has been running, as far as looks can tell. */
  #blockedMs(nowMs: number): number {
    const { focus } = this.#thread.cells;
    const now = Atomics.load(focus, FOCUS_NOW);
    const turn = focus[FOCUS_TURN] ?? 0;
    if (now === 0 || now !== this.#focus || turn !== this.#turn) this.#focusSinceMs = nowMs;
    this.#focus = now;
    this.#turn = turn;
    return nowMs - this.#focusSinceMs;
  }

  #lookForAnswer(bodies: number, pool: Watched, nowMs: number): void {
    const thread = this.#thread;
    if (this.#heardMs === 0) this.#heardMs = nowMs;
    if (this.#askedMs === 0) {
      if (nowMs - this.#heardMs < ASK_AFTER_MS) return;
      this.#askedMs = nowMs;
      thread.ask();
    } else if (nowMs - this.#askedMs > ANSWER_WITHIN_MS) {
      const blocker = this.#sharing.blocker();
      if (blocker === undefined) return thread.terminate("it did not answer any more");
      const seconds = Math.round((nowMs - this.#heardMs) / 1_000);
      const because = `it has kept the ${bodies - 1} others in its thread from running for ${seconds} s`;
      pool.overrun(thread, blocker.slot, blocker.task, "timeout", because);
    }
  }
}
