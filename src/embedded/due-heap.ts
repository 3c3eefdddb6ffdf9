/**
 * Scheduled jobs by the time they are due, equal times in order of arrival; any one can be removed in O(log
 * n).
 *
 * Owns the places of its items (`slot`). Holds nothing else and ends with its owner.
 */

export interface Due {
  /** Milliseconds since the epoch. */
  dueAt: number;
  /** Order of arrival among equal times. */
  ord: number;
  /** Its place in the heap; -1 outside. */
  slot: number;
}

const before = (a: Due, b: Due): boolean => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.ord < b.ord);

export class DueHeap<T extends Due> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The next one due. */
  peek(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    this.#items.push(item);
    this.#up(item, this.#items.length - 1);
  }

  remove(item: T): void {
    const slot = item.slot;
    item.slot = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#up(last, slot);
    this.#down(last, last.slot);
  }

  /** In no order. */
  items(): readonly T[] {
    return this.#items;
  }

  #up(item: T, from: number): void {
    let slot = from;
    while (slot > 0) {
      const parent = this.#items[(slot - 1) >> 1];
      if (parent === undefined || !before(item, parent)) break;
      this.#put(parent, slot);
      slot = (slot - 1) >> 1;
    }
    this.#put(item, slot);
  }

  #down(item: T, from: number): void {
    let slot = from;
    for (;;) {
      const left = this.#items[2 * slot + 1];
      const right = this.#items[2 * slot + 2];
      const child = right !== undefined && left !== undefined && before(right, left) ? right : left;
      if (child === undefined || !before(child, item)) break;
      const to = child.slot;
      this.#put(child, slot);
      slot = to;
    }
    this.#put(item, slot);
  }

  #put(item: T, slot: number): void {
    this.#items[slot] = item;
    item.slot = slot;
  }
}
