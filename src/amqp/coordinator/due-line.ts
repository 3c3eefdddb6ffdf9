/**
 * What is due some fixed time after it was put in: a line in which whoever came first is due first.
 *
 * Owns its entries, also those whose reason is gone: who takes them looks whether it still stands. After a clock that
 * went back something may be due behind what is due later; it then waits for that. `sorted` mends the order.
 */

/** Slots at the front that have been taken are given back when there are so many, and they are half of all. */
const SPARE = 1_024;

interface Entry<T> {
  readonly at: number;
  readonly item: T;
}

export class DueLine<T> {
  #entries: Entry<T>[] = [];
  #head = 0;

  push(at: number, item: T): void {
    this.#entries.push({ at, item });
  }

  /** Entries, also those whose reason is gone. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  /** When something is due next. */
  get next(): number | undefined {
    return this.#entries[this.#head]?.at;
  }

  /** What is due by now, one after the other. */
  take(now: number): T | undefined {
    const first = this.#entries[this.#head];
    if (first === undefined || first.at > now) return undefined;
    this.#head++;
    if (this.#head >= SPARE && 2 * this.#head >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return first.item;
  }

  /** Holds these and nothing else. */
  sorted(entries: readonly Entry<T>[]): void {
    this.#entries = [...entries].sort((a, b) => a.at - b.at);
    this.#head = 0;
  }
}
