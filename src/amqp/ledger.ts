/**
 * Which deliveries of one channel are settled, and the fewest acknowledgements that say so.
 *
 * Pure. Deliveries are numbered 1, 2, … by the broker. A `multiple` acknowledgement covers all up to its tag, so it may
 * only name the end of a closed run of settled ones; what is settled above a gap is acknowledged singly, at the second
 * look, since most gaps close within one. Dies with its channel.
 */

export interface Acks {
  /** Acknowledge all up to this tag; 0 = none. */
  readonly upTo: number;
  readonly singles: readonly number[];
}

const OPEN = 0;
const SETTLED = 1;
/** Acknowledged or handed back already; a `multiple` must not end at it (the broker takes it for a double ack). */
const DONE = 2;
const NOTHING: readonly number[] = [];

export class AckLedger {
  /** States of the tags from `#base` on. */
  #states: number[] = [];
  #base = 1;
  /** Index of the lowest open tag. */
  #low = 0;
  #loose: number[] = [];
  /** Settled since the last look at `take`. */
  pending = 0;
  /** Delivered and not settled. */
  open = 0;

  delivered(tag: number): void {
    // tags come in order; one that was skipped (it cannot be) would count as done
    while (this.#base + this.#states.length < tag) this.#states.push(DONE);
    this.#states.push(OPEN);
    this.open += 1;
  }

  settled(tag: number): void {
    const at = tag - this.#base;
    if (this.#states[at] !== OPEN) return;
    this.#states[at] = SETTLED;
    this.open -= 1;
    this.pending += 1;
    if (at !== this.#low) this.#loose.push(tag);
    else this.#low += 1;
  }

  /** It was handed back by itself: nothing is left to say of it. */
  returned(tag: number): void {
    const at = tag - this.#base;
    if (this.#states[at] !== OPEN) return;
    this.#states[at] = DONE;
    this.open -= 1;
  }

  /** `eager`: singles at once, for small windows that would stand still meanwhile. */
  take(eager: boolean): Acks {
    this.pending = 0;
    const upTo = this.#closedRun();
    const low = this.#base;
    const above = this.#loose.filter((tag) => tag >= low && this.#states[tag - low] === SETTLED);
    const singles = eager ? above : above.filter((tag) => this.#old.has(tag));
    for (const tag of singles) this.#states[tag - low] = DONE;
    this.#loose = singles.length === 0 ? above : above.filter((tag) => this.#states[tag - low] === SETTLED);
    this.#old = this.#loose.length === 0 ? NONE_OLD : new Set(this.#loose);
    this.pending = this.#loose.length;
    return upTo === 0 && singles.length === 0 ? NO_ACKS : { upTo, singles };
  }

  #old: ReadonlySet<number> = NONE_OLD;

  /** Moves past all that is settled from below; the highest of it that was not acknowledged yet, or 0. */
  #closedRun(): number {
    const states = this.#states;
    let upTo = 0;
    let at = 0;
    for (; at < states.length && states[at] !== OPEN; at++)
      if (states[at] === SETTLED) upTo = this.#base + at;
    if (at > 0) {
      this.#states = at === states.length ? [] : states.slice(at);
      this.#base += at;
    }
    this.#low = 0;
    return upTo;
  }
}

const NONE_OLD: ReadonlySet<number> = new Set();
const NO_ACKS: Acks = Object.freeze({ upTo: 0, singles: NOTHING });
