/**
 * A list in order of place whose items carry its links: push, shift and remove touch no other item.
 *
 * Owns the links, not the items; an item is in one list at a time. What was handed out and comes back is
 * inserted at its old place, near the head. Holds nothing beyond the items themselves, so it ends with its
 * owner.
 */

export interface Linked<T> {
  /** Its place; grows along the list. */
  ord: number;
  before: T | undefined;
  behind: T | undefined;
}

export class OrderedList<T extends Linked<T>> {
  head: T | undefined = undefined;
  tail: T | undefined = undefined;
  size = 0;
  /** Where the last `insert` went: a run of hand-backs in order does not walk the list again for each. */
  #hint: T | undefined = undefined;

  /** At the tail; its `ord` must be the highest. */
  push(item: T): void {
    item.before = this.tail;
    item.behind = undefined;
    if (this.tail === undefined) this.head = item;
    else this.tail.behind = item;
    this.tail = item;
    this.size += 1;
  }

  /** At the place its `ord` says. */
  insert(item: T): void {
    let next = this.#hint !== undefined && this.#hint.ord < item.ord ? this.#hint.behind : this.head;
    while (next !== undefined && next.ord < item.ord) next = next.behind;
    if (next === undefined) this.push(item);
    else this.#insertBefore(next, item);
    this.#hint = item;
  }

  shift(): T | undefined {
    const item = this.head;
    if (item !== undefined) this.remove(item);
    return item;
  }

  /** The item must be in this list. */
  remove(item: T): void {
    if (item.before === undefined) this.head = item.behind;
    else item.before.behind = item.behind;
    if (item.behind === undefined) this.tail = item.before;
    else item.behind.before = item.before;
    item.before = undefined;
    item.behind = undefined;
    if (this.#hint === item) this.#hint = undefined;
    this.size -= 1;
  }

  /** Unlinks nothing: the items must not be used as members again. */
  clear(): void {
    this.head = undefined;
    this.tail = undefined;
    this.#hint = undefined;
    this.size = 0;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let item = this.head; item !== undefined; item = item.behind) yield item;
  }

  #insertBefore(next: T, item: T): void {
    item.before = next.before;
    item.behind = next;
    if (next.before === undefined) this.head = item;
    else next.before.behind = item;
    next.before = item;
    this.size += 1;
  }
}
