/**
 * A line in the order of arrival, in which whoever comes back has its old place.
 *
 * Pure data: a heap by the number of arrival. Who leaves is only struck out, and passed over when its turn comes, so that
 * 10,000 who come and go cost no walk over all of them.
 */

/** Struck out, and still in the heap: the heap is made anew when there are so many, and they are most of it. */
const SPARE = 1_024;

export class Line<T extends { readonly arrival: number }> {
  #heap: T[] = [];
  readonly #there = new Set<T>();

  get size(): number {
    return this.#there.size;
  }

  add(item: T): void {
    this.#there.add(item);
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#isBefore(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  delete(item: T): void {
    if (!this.#there.delete(item)) return;
    if (this.#heap.length > SPARE + 2 * this.#there.size) {
      this.#heap = [...this.#there].sort((a, b) => a.arrival - b.arrival);
    }
  }

  /** Who came first, of those who are there. */
  get first(): T | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (this.#there.has(first)) return first;
      this.#dropFirst();
    }
    return undefined;
  }

  #dropFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      let first = at;
      for (const below of [2 * at + 1, 2 * at + 2])
        if (below < heap.length && this.#isBefore(below, first)) first = below;
      if (first === at) return;
      this.#swap(at, first);
      at = first;
    }
  }

  #isBefore(a: number, b: number): boolean {
    return (this.#heap[a]?.arrival ?? 0) < (this.#heap[b]?.arrival ?? 0);
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}
