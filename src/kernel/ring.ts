/**
 * A growing queue in one array: a ring whose length is a power of two.
 *
 * Owns its slots and clears each one it hands out, so that nothing taken is kept alive by it. The array is
 * made with the first item and given back after a burst, so an actor that never gets a message never pays for
 * a mailbox. Knows no bound; `mailbox.ts` adds one.
 */

const NONE: never[] = [];
/** An actor that lives for one job has one or two messages waiting. */
const FIRST_LENGTH = 2;
/**
 * A drained ring longer than this gives its array back: a burst of 300,000 is 4 MiB that nobody needs again.
 */
const KEPT_LENGTH = 4096;

export class Ring<T> {
  size = 0;
  private items: (T | undefined)[] = NONE;
  private head = 0;

  push(item: T): void {
    if (this.size === this.items.length) this.grow();
    this.items[(this.head + this.size) & (this.items.length - 1)] = item;
    this.size++;
  }

  /** The oldest item; `undefined` when empty (look at `size` first where `undefined` may be an item). */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const head = this.head;
    const item = this.items[head];
    this.items[head] = undefined;
    this.head = (head + 1) & (this.items.length - 1);
    if (--this.size === 0 && this.items.length > KEPT_LENGTH) this.clear();
    return item;
  }

  clear(): void {
    this.items = NONE;
    this.head = 0;
    this.size = 0;
  }

  private grow(): void {
    const old = this.items;
    const size = this.size;
    const grown = new Array<T | undefined>(size === 0 ? FIRST_LENGTH : size * 2);
    for (let i = 0; i < size; i++) grown[i] = old[(this.head + i) & (old.length - 1)];
    this.items = grown;
    this.head = 0;
  }
}
