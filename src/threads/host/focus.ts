/**
 * Which of several bodies runs at this moment, for main to read when the thread does not answer.
 *
 * Owns an async hook for the thread's life: before each callback it writes whose it is, as AsyncLocalStorage knows. Some
 * half a microsecond an `await`; a thread that runs one body at a time has none of it.
 */
import { type AsyncLocalStorage, createHook } from "node:async_hooks";
import { type Cells, FOCUS_LAST, FOCUS_NOW, FOCUS_TURN } from "../cells.ts";
import type { RunningJob } from "./job.ts";

export class Focus {
  readonly #cell: Int32Array;
  /** Callbacks may run within each other. */
  readonly #outer: number[] = [];

  constructor({ focus }: Cells, scope: AsyncLocalStorage<RunningJob>) {
    this.#cell = focus;
    createHook({
      before: () => this.enter(scope.getStore()),
      after: () => this.leave(),
    }).enable();
  }

  enter(job: RunningJob | undefined): void {
    const cell = this.#cell;
    this.#outer.push(cell[FOCUS_NOW] ?? 0);
    const now = job === undefined || job.ended ? 0 : job.slot + 1;
    Atomics.store(cell, FOCUS_NOW, now);
    if (now !== 0) cell[FOCUS_LAST] = now;
    cell[FOCUS_TURN] = ((cell[FOCUS_TURN] ?? 0) + 1) | 0;
  }

  leave(): void {
    Atomics.store(this.#cell, FOCUS_NOW, this.#outer.pop() ?? 0);
  }
}
