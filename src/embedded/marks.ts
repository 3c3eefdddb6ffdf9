/**
 * Marks of cancelled ids that no broker has seen, as main answers `isMarked` from.
 *
 * Owns a bounded map a partition: 100,000 ids, kept 30 days; none is dropped for room. The SQLite broker
 * stores them too and fills this at open; in memory they die with the process.
 */
import { TooManyCancelled } from "../broker/errors.ts";

export const MOST_MARKS = 100_000;
export const MARK_KEPT_MS = 30 * 24 * 3_600_000;

const NONE: ReadonlyMap<string, number> = new Map();

export class Marks {
  readonly #partitions = new Map<string, Map<string, number>>();

  /** @throws TooManyCancelled */
  add(partition: string, id: string, at: number): void {
    const ids = this.#partitions.get(partition) ?? new Map<string, number>();
    this.#partitions.set(partition, ids);
    if (ids.has(id)) return;
    if (ids.size >= MOST_MARKS) this.#forget(ids, at - MARK_KEPT_MS);
    if (ids.size >= MOST_MARKS) throw new TooManyCancelled(partition, MOST_MARKS);
    ids.set(id, at);
  }

  has(partition: string, id: string): boolean {
    return this.#partitions.get(partition)?.has(id) ?? false;
  }

  delete(partition: string, id: string): void {
    this.#partitions.get(partition)?.delete(id);
  }

  /** Ids and when they were marked, oldest first. */
  of(partition: string): ReadonlyMap<string, number> {
    return this.#partitions.get(partition) ?? NONE;
  }

  replace(partition: string, ids: Map<string, number>): void {
    this.#partitions.set(partition, ids);
  }

  clear(): void {
    this.#partitions.clear();
  }

  /** They are in the order they were made, so the old ones come first. */
  #forget(ids: Map<string, number>, before: number): void {
    for (const [id, at] of ids) {
      if (at >= before) return;
      ids.delete(id);
    }
  }
}
