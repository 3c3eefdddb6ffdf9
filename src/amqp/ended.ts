/**
 * Jobs that ended here a short while ago, by id, attempt and hop: what comes again of them is acknowledged, not run.
 *
 * Owns two generations of 100,000 ends, turned over every minute or when full, but never while the younger one is
 * less than 5 s old; what ended without a delivery to acknowledge stays 10 minutes. A broker that is killed gives out
 * again what was acknowledged in its last half second. Dies with the process: then a copy may run once more.
 */
import { hashOf, IdFilter } from "./id-filter.ts";

/** What tells copies of one job apart: a copy that was published later has a higher hop, or a higher attempt. */
export interface Copy {
  readonly id: string;
  readonly attempt: number;
  readonly hop: number;
  /** Enqueued again under the same id, it is another job. */
  readonly enqueuedAt: number;
}

const HALF_COUNT = 100_000;
const HALF_AGE_MS = 60_000;
const LEAST_AGE_MS = 5_000;
const LONG_AGE_MS = 600_000;
const LONG_COUNT = 50_000;

/** The whole of most ends is their `enqueuedAt`: attempt 0, hop 0. */
type Mark = number | Copy;

/** Of most ids that are asked for nothing is known: their filter says so. */
class Generation {
  readonly #marks = new Map<string, Mark>();
  readonly #filter = new IdFilter();

  get size(): number {
    return this.#marks.size;
  }

  get(id: string, hash: number): Mark | undefined {
    return this.#filter.mayHave(hash) ? this.#marks.get(id) : undefined;
  }

  set(id: string, hash: number, mark: Mark): void {
    this.#filter.add(hash);
    this.#marks.set(id, mark);
  }
}

export class Ended {
  #young = new Generation();
  #old: Generation | undefined = undefined;
  #since: number;
  readonly #long = new Map<string, { readonly copy: Copy; readonly until: number }>();

  constructor(now: number) {
    this.#since = now;
  }

  /**
   * `long`: nothing could be acknowledged; the copy that will come may take its time. Ends may be told late and out of
   * order: an earlier one does not undo a later one.
   */
  add(copy: Copy, now: number, long: boolean): void {
    if (long) this.#addLong(copy, now);
    this.#turnOver(now);
    const hash = hashOf(copy.id);
    const known = this.#young.get(copy.id, hash) ?? this.#old?.get(copy.id, hash);
    this.#young.set(copy.id, hash, known !== undefined && covers(known, copy) ? known : markOf(copy));
  }

  #addLong(copy: Copy, now: number): void {
    const known = this.#long.get(copy.id)?.copy;
    this.#long.delete(copy.id); // so that they stay in the order of their times
    this.#forget(now);
    const last = known !== undefined && covers(known, copy) ? known : copyOf(copy);
    this.#long.set(copy.id, { copy: last, until: now + LONG_AGE_MS });
  }

  /** Whether this copy, or a later one of the same job, has ended. */
  has(copy: Copy): boolean {
    const hash = hashOf(copy.id);
    return (
      covers(this.#young.get(copy.id, hash), copy) ||
      covers(this.#old?.get(copy.id, hash), copy) ||
      (this.#long.size > 0 && covers(this.#long.get(copy.id)?.copy, copy))
    );
  }

  /** Those that ended without a delivery to acknowledge. */
  get unacknowledged(): readonly Copy[] {
    return [...this.#long.values()].map(({ copy }) => copy);
  }

  get size(): number {
    return this.#young.size + (this.#old?.size ?? 0) + this.#long.size;
  }

  /** The clock is looked at once in 64 ends. */
  #turnOver(now: number): void {
    const { size } = this.#young;
    const full = size >= HALF_COUNT;
    if (!full && (size & 63) !== 0) return;
    const age = now - this.#since;
    if (age < (full ? LEAST_AGE_MS : HALF_AGE_MS)) return;
    this.#old = this.#young;
    this.#young = new Generation();
    this.#since = now;
  }

  /** They are in the order they were added, so the old ones come first. */
  #forget(now: number): void {
    for (const [id, { until }] of this.#long) {
      if (until > now && this.#long.size < LONG_COUNT) return;
      this.#long.delete(id);
    }
  }
}

function markOf(copy: Copy): Mark {
  return copy.attempt === 0 && copy.hop === 0 ? copy.enqueuedAt : copyOf(copy);
}

/** Not the envelope itself: it would keep the args. */
function copyOf({ id, attempt, hop, enqueuedAt }: Copy): Copy {
  return { id, attempt, hop, enqueuedAt };
}

function covers(mark: Mark | undefined, copy: Copy): boolean {
  if (mark === undefined) return false;
  if (typeof mark === "number") return mark === copy.enqueuedAt && copy.attempt === 0 && copy.hop === 0;
  return mark.enqueuedAt === copy.enqueuedAt && !isLater(copy, mark);
}

/** Snooze, hand-back and re-queue raise the hop; a retry raises the attempt under the same hop. */
export function isLater(copy: Copy, than: Copy): boolean {
  return copy.hop > than.hop || (copy.hop === than.hop && copy.attempt > than.attempt);
}

export function isSame(a: Copy, b: Copy): boolean {
  return a.id === b.id && a.attempt === b.attempt && a.hop === b.hop && a.enqueuedAt === b.enqueuedAt;
}
