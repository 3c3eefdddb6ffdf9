/**
 * The jobs of one type that wait: the highest priority first, among equals the oldest.
 *
 * Owns a binary heap. A job that is dropped stays in it, marked, until it would be next or half of the heap is like it;
 * so a master that leaves with a million jobs costs a million marks, and not a million searches.
 */

export interface Queued {
  readonly priority: number;
  /** Grows with each submission; a job that comes back keeps it. */
  readonly age: number;
  dropped: boolean;
}

const COMPACT_ABOVE = 64;

export class JobQueue<J extends Queued> {
  #heap: J[] = [];
  #dropped = 0;

  get size(): number {
    return this.#heap.length - this.#dropped;
  }

  push(job: J): void {
    this.#heap.push(job);
    this.#rise(this.#heap.length - 1);
  }

  take(): J | undefined {
    for (;;) {
      const first = this.#heap[0];
      const last = this.#heap.pop();
      if (first === undefined || last === undefined) return undefined;
      if (this.#heap.length > 0) {
        this.#heap[0] = last;
        this.#sink(0);
      }
      if (!first.dropped) return first;
      this.#dropped -= 1;
    }
  }

  /** The job must be in here. */
  drop(job: J): void {
    job.dropped = true;
    this.#dropped += 1;
    if (this.#dropped > COMPACT_ABOVE && this.#dropped * 2 > this.#heap.length) this.#compact();
  }

  #compact(): void {
    this.#heap = this.#heap.filter((job) => !job.dropped);
    this.#dropped = 0;
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at -= 1) this.#sink(at);
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#before(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  #sink(from: number): void {
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let first = at;
      if (left < this.#heap.length && this.#before(left, first)) first = left;
      if (right < this.#heap.length && this.#before(right, first)) first = right;
      if (first === at) return;
      this.#swap(at, first);
      at = first;
    }
  }

  #before(a: number, b: number): boolean {
    const one = this.#heap[a];
    const other = this.#heap[b];
    if (one === undefined || other === undefined) return false;
    return one.priority === other.priority ? one.age < other.age : one.priority > other.priority;
  }

  #swap(a: number, b: number): void {
    const one = this.#heap[a];
    const other = this.#heap[b];
    if (one === undefined || other === undefined) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}
