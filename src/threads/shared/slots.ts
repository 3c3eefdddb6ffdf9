/**
 * The slots of a thread that runs several bodies at once: they end in any order, so a slot is used again as soon as its
 * own job has gone, and not when all before it have.
 *
 * Owns which task lies in which slot. As `Ring`, everything is found by looking at cells, also when the thread is dead.
 * Ends come by message only: the host of such a thread writes no bare `DONE`.
 */
import { type Cells, MASK, MOST_OPEN, QUEUED, REVOKED, RING, RUNNING } from "../cells.ts";
import type { Slots } from "../ring.ts";
import type { Task } from "../types.ts";

export class SharedSlots implements Slots {
  readonly slow = 0;
  readonly #cells: Cells;
  /** In the order in which they were given. */
  readonly #tasks = new Map<number, Task>();
  /** Slots of tasks that were taken back and that the host has not passed yet. */
  readonly #revoked = new Set<number>();
  #next = 0;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  get open(): number {
    return this.#tasks.size;
  }

  get room(): number {
    for (const slot of this.#revoked)
      if (Atomics.load(this.#cells.state, slot) !== REVOKED) this.#revoked.delete(slot);
    return Math.min(MOST_OPEN, RING - this.#revoked.size) - this.#tasks.size;
  }

  add(task: Task): number {
    while (this.#tasks.has(this.#next) || this.#revoked.has(this.#next)) this.#next = (this.#next + 1) & MASK;
    const slot = this.#next;
    this.#next = (slot + 1) & MASK;
    this.#tasks.set(slot, task);
    Atomics.store(this.#cells.cancel, slot, 0);
    Atomics.store(this.#cells.state, slot, QUEUED);
    return slot;
  }

  take(slot: number): Task | undefined {
    const task = this.#tasks.get(slot);
    this.#tasks.delete(slot);
    return task;
  }

  at(slot: number): Task | undefined {
    return this.#tasks.get(slot);
  }

  nextDone(): number {
    return -1;
  }

  running(): number {
    for (const slot of this.#tasks.keys()) if (this.#runs(slot)) return slot;
    return -1;
  }

  runningSlots(): number[] {
    return [...this.#tasks.keys()].filter((slot) => this.#runs(slot));
  }

  #runs(slot: number): boolean {
    return Atomics.load(this.#cells.state, slot) === RUNNING;
  }

  slotOf(task: Task): number {
    for (const [slot, one] of this.#tasks) if (one === task) return slot;
    return -1;
  }

  revoke(slot: number): Task | undefined {
    const was = Atomics.compareExchange(this.#cells.state, slot, QUEUED, REVOKED);
    if (was !== QUEUED) return undefined;
    this.#revoked.add(slot);
    return this.take(slot);
  }

  revokeAll(): Task[] {
    return [...this.#tasks.keys()].flatMap((slot) => this.revoke(slot) ?? []);
  }

  slots(): number[] {
    return [...this.#tasks.keys()];
  }
}
