/**
 * Heartbeats and ages of whoever is connected, by the same rules for every gateway, beside a runtime or alone.
 *
 * Owns when each was last heard and when it is too old, and the one timer that looks. Who is silent for three beats is
 * ended with its job, who is too old once it has none. Nothing ticks while nobody is there.
 */
import type { Clock } from "../../kernel/types.ts";

export interface UpkeepOptions {
  readonly clock: Clock;
  readonly heartbeatMs: number;
  /** 0 = none. */
  readonly maxAgeMs: number;
  /** Up to so much later, each at random. */
  readonly maxAgeJitterMs: number;
}

/** One that is kept: a worker's seat, a slave of a daemon. */
export interface Kept {
  /** It has a job. */
  readonly busy: boolean;
  /** It answers to `ping`. */
  readonly hears: boolean;
  /** Longest time between the signs of life that it gives unasked; missing: it gives none. */
  readonly beatMs?: number;
  ping(): void;
  /** `body`: it may have one that does not end by itself. */
  end(why: string, body: boolean): void;
}

/** What is known of one that is kept. */
export interface Vitals {
  /** Above this time it is ended, once it has no job. */
  readonly retiresAt: number;
  heardAt: number;
  pingedAt: number;
}

const SILENT_BEATS = 3;
const SWEEP_MS = 1_000;
const TOO_OLD = "it is too old";

export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #kept = new Map<Kept, Vitals>();
  #cancelSweep: (() => void) | undefined;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  admit(one: Kept): Vitals {
    const { clock, maxAgeMs, maxAgeJitterMs } = this.#options;
    const now = clock.now();
    const ageMs = maxAgeMs === 0 ? Number.POSITIVE_INFINITY : maxAgeMs + Math.random() * maxAgeJitterMs;
    const vitals = { retiresAt: now + ageMs, heardAt: now, pingedAt: now };
    this.#kept.set(one, vitals);
    this.#sweepLater();
    return vitals;
  }

  /** The last one that leaves takes the timer along. */
  forget(one: Kept): void {
    this.#kept.delete(one);
    if (this.#kept.size > 0) return;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }

  heard(one: Kept): void {
    const vitals = this.#kept.get(one);
    if (vitals !== undefined) vitals.heardAt = this.#options.clock.now();
  }

  /** Whether it was ended instead of being given anything: it is too old. */
  retire(one: Kept): boolean {
    const vitals = this.#kept.get(one);
    if (vitals === undefined || this.#options.clock.now() < vitals.retiresAt) return false;
    one.end(TOO_OLD, false);
    return true;
  }

  #sweepLater(): void {
    this.#cancelSweep ??= this.#options.clock.timer(SWEEP_MS, () => {
      this.#cancelSweep = undefined;
      for (const [one, vitals] of [...this.#kept]) this.#look(one, vitals);
      if (this.#kept.size > 0) this.#sweepLater();
    });
  }

  #look(one: Kept, vitals: Vitals): void {
    const now = this.#options.clock.now();
    const { heartbeatMs } = this.#options;
    const beatMs = one.hears ? heartbeatMs : Math.max(heartbeatMs, one.beatMs ?? Number.POSITIVE_INFINITY);
    if (now >= vitals.retiresAt && !one.busy) one.end(TOO_OLD, false);
    else if (now - vitals.heardAt > SILENT_BEATS * beatMs) one.end("it is silent", true);
    else if (one.hears && now - vitals.pingedAt >= heartbeatMs) {
      vitals.pingedAt = now;
      one.ping();
    }
  }
}
