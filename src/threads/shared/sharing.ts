/**
 * What a thread is that runs several bodies at once: who holds it up, who is told, who may be in it with whom.
 *
 * Owns the warnings that were given. A body that gives up because its thread is to end has not failed: it is rescued. It
 * dies with its thread; the companies are the pool's.
 */
import { endTask } from "../callbacks.ts";
import { CANCEL_REASONS, FOCUS_LAST } from "../cells.ts";
import type { Ladder } from "../kill/ladder.ts";
import type { Dying, Thread } from "../thread.ts";
import type { Outcome, Task } from "../types.ts";
import type { Companies } from "./companies.ts";
import { NOTICE_MS } from "./grace.ts";
import { SharedLooks } from "./watch.ts";

export class Sharing {
  readonly looks: SharedLooks;
  /** Bodies that may run at once. */
  readonly most: number;
  readonly #thread: Thread;
  readonly #companies: Companies;
  /** Bodies that were told that their thread ends for another's sake, and why. */
  readonly #warned = new Map<Task, string>();
  #evacuated = false;

  constructor(thread: Thread, most: number, companies: Companies) {
    this.#thread = thread;
    this.most = most;
    this.#companies = companies;
    this.looks = new SharedLooks(thread, this);
  }

  /** Whether it may be in this thread with those that are there. */
  accepts(task: Task): boolean {
    if (this.#companies.size === 0) return true;
    const { ring } = this.#thread;
    const there = ring.slots().map((slot) => {
      const other = ring.at(slot);
      return other === undefined ? Number.POSITIVE_INFINITY : this.#companies.of(other);
    });
    return ring.open < Math.min(this.#companies.of(task), ...there);
  }

  /** The body whose code ran last: what holds the thread up, if it does not answer. */
  blocker(): { readonly slot: number; readonly task: Task } | undefined {
    const { cells, ring } = this.#thread;
    const slot = (cells.focus[FOCUS_LAST] ?? 0) - 1;
    const task = slot < 0 ? undefined : ring.at(slot);
    return task !== undefined && this.#thread.isRunning(slot, task) ? { slot, task } : undefined;
  }

  /** Tells the other bodies, but for those on a ladder of their own, that the thread may end; how many run still. */
  warnOthers(except: Task | undefined, because: string): number {
    const { ring, ladders, cells } = this.#thread;
    let running = 0;
    for (const slot of ring.runningSlots()) {
      const task = ring.at(slot);
      if (task === undefined || task === except || ladders.has(task)) continue;
      running++;
      if (this.#warned.has(task)) continue;
      this.#warned.set(task, because);
      Atomics.store(cells.cancel, slot, CANCEL_REASONS.indexOf("rescue"));
      this.#thread.tellAbort(slot);
    }
    return running;
  }

  /** All that run in it are to run again, in smaller company: one of them takes too much, and it is not known which. */
  evacuate(because: string): void {
    if (this.#evacuated || this.#thread.state !== "ready") return;
    this.#evacuated = true;
    this.warnOthers(undefined, because);
    setTimeout(() => this.#thread.terminate(because), NOTICE_MS);
  }

  settle(task: Task, ladder: Ladder | undefined, outcome: Outcome): void {
    const because = this.#warned.get(task);
    this.#warned.delete(task);
    this.looks.forget(task);
    if (ladder !== undefined) endTask(task, ladder.endedByItself(outcome));
    else if (because !== undefined && outcome.kind === "failed")
      return endTask(task, { kind: "rescued", reason: because });
    else endTask(task, outcome);
    this.#companies.ended(task);
  }

  /** Bodies of a thread that has died, any of which may be to blame, and none is known to be. */
  suspects(dying: Dying | undefined): ReadonlySet<Task> {
    const { killer, leavingBecause } = this.#thread;
    const named = dying !== undefined && (dying.slot !== -1 || dying.jobId !== undefined);
    const ended =
      killer !== undefined || (leavingBecause !== undefined && !this.#evacuated && dying === undefined);
    const bodies = named || ended ? [] : this.#thread.bodies();
    if (bodies.length < 2) return new Set();
    this.#companies.halve(bodies);
    return new Set(bodies);
  }
}
