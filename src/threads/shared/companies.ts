/**
 * How many may share a thread with a job whose thread died of memory with nobody to blame.
 *
 * Owns a number for each such job, until it ends. All that ran in the thread run again with no attempt spent, in half the
 * company; who takes too much even alone is surely the one. So the innocent of n bodies spend log2(n) runs and no attempt.
 */
import type { Task } from "../types.ts";

export class Companies {
  readonly #most = new Map<string, number>();

  get size(): number {
    return this.#most.size;
  }

  /** Bodies that may run in a thread with this one, itself counted. */
  of(task: Task): number {
    return this.#most.get(task.id) ?? Number.POSITIVE_INFINITY;
  }

  halve(tasks: readonly Task[]): void {
    const most = Math.max(1, Math.floor(tasks.length / 2));
    for (const task of tasks) this.#most.set(task.id, most);
  }

  ended(task: Task): void {
    this.#most.delete(task.id);
  }
}
