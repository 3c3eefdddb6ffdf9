/**
 * Deliveries of one queue that wait on this node for execution keys which other jobs have.
 *
 * Pure data. So many are counted: they take nobody's place, since the queue may deliver as many more. Whoever waits above
 * that does so in a place of the queue's concurrency, and moves up when one of the counted leaves.
 */

export interface Waiting {
  /** Grows along the line for a key. */
  readonly place: number;
  readonly key: string;
}

export class Crowd<W extends Waiting> {
  readonly #counted = new Set<W>();
  readonly #above = new Set<W>();
  readonly #byKey = new Map<string, number>();

  get counted(): number {
    return this.#counted.size;
  }

  get above(): number {
    return this.#above.size;
  }

  /** Waiters for one key. */
  of(key: string): number {
    return this.#byKey.get(key) ?? 0;
  }

  has(waiter: W): boolean {
    return this.#counted.has(waiter) || this.#above.has(waiter);
  }

  /** `most`: how many are counted. */
  add(waiter: W, most: number): void {
    (this.#counted.size < most ? this.#counted : this.#above).add(waiter);
    this.#byKey.set(waiter.key, this.of(waiter.key) + 1);
  }

  /** False when it was not there: it never had to wait. */
  delete(waiter: W): boolean {
    const wasCounted = this.#counted.delete(waiter);
    if (!wasCounted && !this.#above.delete(waiter)) return false;
    const left = this.of(waiter.key) - 1;
    if (left === 0) this.#byKey.delete(waiter.key);
    else this.#byKey.set(waiter.key, left);
    if (wasCounted) this.#moveUp();
    return true;
  }

  /** Who came last to the line. */
  get last(): W | undefined {
    let last: W | undefined;
    for (const all of [this.#counted, this.#above])
      for (const waiter of all) if (last === undefined || waiter.place > last.place) last = waiter;
    return last;
  }

  #moveUp(): void {
    const [next] = this.#above;
    if (next === undefined) return;
    this.#above.delete(next);
    this.#counted.add(next);
  }
}
