/**
 * Main's side of one thread's cells: which task lies in which slot, and how far the host has come.
 *
 * Owns the slots: they are given out in ring order and used again only when the host has passed them. A task in
 * here has no outcome yet; one that leaves has got it, or is about to. Everything is found by looking at cells, so
 * it can be asked at any time, also when the thread is dead.
 */
import {
  type Cells,
  DONE,
  ENDED,
  MASK,
  MOST_OPEN,
  QUEUED,
  REVOKED,
  RING,
  RUNNING,
  SKIPPED,
} from "./cells.ts";
import type { Task } from "./types.ts";

/** What a thread asks of its slots. */
export interface Slots {
  /** Tasks without an outcome. */
  readonly open: number;
  /** How many of them may take long (`short` is false). */
  readonly slow: number;
  readonly room: number;
  add(task: Task): number;
  /** Takes a task out whose outcome is known. */
  take(slot: number): Task | undefined;
  at(slot: number): Task | undefined;
  /** The next task that ended by its cell alone, or -1. */
  nextDone(): number;
  /** The slot of a body that runs now, or -1. */
  running(): number;
  /** Slots of all bodies that run now. */
  runningSlots(): number[];
  /** The slot of a task, or -1. */
  slotOf(task: Task): number;
  /** Takes a task back if its body has not started. */
  revoke(slot: number): Task | undefined;
  /** Takes back all that have not started, in their order. */
  revokeAll(): Task[];
  /** Slots of tasks without an outcome, oldest first. */
  slots(): number[];
}

/** Of a thread that runs one body after another. */
export class Ring implements Slots {
  open = 0;
  slow = 0;
  readonly #tasks: (Task | undefined)[] = new Array<Task | undefined>(RING).fill(undefined);
  readonly #cells: Cells;
  /** Next slot to give out, and the oldest that the host may not have passed; both only grow, by wrap-around. */
  #head = 0;
  #tail = 0;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  get room(): number {
    return Math.min(MOST_OPEN - this.open, RING - ((this.#head - this.#tail) | 0));
  }

  add(task: Task): number {
    const slot = this.#head & MASK;
    this.#head = (this.#head + 1) | 0;
    this.#tasks[slot] = task;
    this.open++;
    if (task.short === false) this.slow++;
    Atomics.store(this.#cells.cancel, slot, 0);
    Atomics.store(this.#cells.state, slot, QUEUED);
    return slot;
  }

  take(slot: number): Task | undefined {
    const task = this.#tasks[slot];
    if (task === undefined) return undefined;
    this.#tasks[slot] = undefined;
    this.open--;
    if (task.short === false) this.slow--;
    return task;
  }

  at(slot: number): Task | undefined {
    return this.#tasks[slot];
  }

  /** Moves past what the host has passed; the next task that ended by its cell alone, taken out, or undefined. */
  nextDone(): number {
    const { state } = this.#cells;
    while (this.#tail !== this.#head) {
      const slot = this.#tail & MASK;
      const now = Atomics.load(state, slot);
      const there = this.#tasks[slot] !== undefined;
      if (now === DONE && there) return slot;
      // ENDED with its task still here: its message is on the way.
      if (now !== DONE && now !== SKIPPED && (now !== ENDED || there)) return -1;
      this.#tail = (this.#tail + 1) | 0;
    }
    return -1;
  }

  running(): number {
    for (let at = this.#tail; at !== this.#head; at = (at + 1) | 0) {
      const now = Atomics.load(this.#cells.state, at & MASK);
      if (now === RUNNING) return this.#tasks[at & MASK] === undefined ? -1 : at & MASK;
      if (now === QUEUED) return -1;
    }
    return -1;
  }

  runningSlots(): number[] {
    const slot = this.running();
    return slot === -1 ? [] : [slot];
  }

  /** The slot of a task, or -1. Looks at each: revoking and aborting are rare. */
  slotOf(task: Task): number {
    for (let at = this.#tail; at !== this.#head; at = (at + 1) | 0) {
      if (this.#tasks[at & MASK] === task) return at & MASK;
    }
    return -1;
  }

  revoke(slot: number): Task | undefined {
    const was = Atomics.compareExchange(this.#cells.state, slot, QUEUED, REVOKED);
    return was === QUEUED ? this.take(slot) : undefined;
  }

  revokeAll(): Task[] {
    const tasks: Task[] = [];
    for (let at = this.#tail; at !== this.#head; at = (at + 1) | 0) {
      if (this.#tasks[at & MASK] === undefined) continue;
      const task = this.revoke(at & MASK);
      if (task !== undefined) tasks.push(task);
    }
    return tasks;
  }

  slots(): number[] {
    const slots: number[] = [];
    for (let at = this.#tail; at !== this.#head; at = (at + 1) | 0) {
      if (this.#tasks[at & MASK] !== undefined) slots.push(at & MASK);
    }
    return slots;
  }
}
