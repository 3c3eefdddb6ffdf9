/**
 * How many messages stand in a queue, as the broker said last.
 *
 * Owns what was asked and when. `get` never waits: it answers with what is known, and asks again behind it when that is
 * older than a tenth of a second. What is not looked at is not asked for.
 */
import type { Clock } from "../kernel/types.ts";

const FRESH_MS = 100;
/** Queues that nobody has looked at for a while are forgotten. */
const MOST = 10_000;

export interface Counted {
  /** Messages that nobody has in hand; `undefined`: there is no such queue. */
  readonly ready: number | undefined;
  readonly consumers: number;
}

interface Entry {
  counted: Counted;
  at: number;
  asking: boolean;
}

/** Nobody has asked yet. */
export const UNASKED: Counted = { ready: 0, consumers: 0 };

export class Counts {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;
  readonly #ask: (name: string) => Promise<Counted>;

  constructor(clock: Clock, ask: (name: string) => Promise<Counted>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  get(name: string): Counted {
    const entry = this.#entry(name);
    if (!entry.asking && this.#clock.now() - entry.at >= FRESH_MS) void this.#refresh(name, entry);
    return entry.counted;
  }

  #entry(name: string): Entry {
    const there = this.#entries.get(name);
    if (there !== undefined) return there;
    if (this.#entries.size >= MOST) this.#entries.clear();
    const entry: Entry = { counted: UNASKED, at: Number.NEGATIVE_INFINITY, asking: false };
    this.#entries.set(name, entry);
    return entry;
  }

  /** Asks now; what cannot be had is as it was. */
  async fresh(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#refresh(name, this.#entry(name))));
  }

  #refresh(name: string, entry: Entry): Promise<void> {
    entry.asking = true;
    return this.#ask(name).then(
      (counted) => {
        entry.counted = counted;
        entry.at = this.#clock.now();
        entry.asking = false;
      },
      () => {
        entry.at = this.#clock.now(); // the broker is away: what was known last stands
        entry.asking = false;
      },
    );
  }
}
