/**
 * The journal as its writer sees it: what is on the way, what has come back, what is held unacknowledged.
 *
 * Owns the sequence of one term. A record counts when its publish is confirmed *and* it has come back: what comes back
 * was stored while we were the active consumer, so whoever is active next gets it from us. A confirm alone does not say
 * that: in a parted cluster it may follow an election. Dies with its channel; what was on the way is then rejected.
 */
import type { Clock } from "../../kernel/types.ts";

export interface TapeParts {
  readonly clock: Clock;
  /** To the journal; calls back when the broker has confirmed, and never when it refused: the term ends then. */
  readonly publish: (bytes: Buffer, seq: number, confirmed: () => void) => void;
  readonly isBlocked: () => boolean;
  readonly failed: (error: Error) => void;
}

interface Flight {
  readonly seq: number;
  since: number;
  confirmed: boolean;
  back: boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface HeldRecord {
  readonly seq: number;
  readonly tag: number;
}

/** A broker that has not stored a record by then will not; another channel may fare better. An alarm's time does not count. */
export const STORED_MS = 30_000;

export class Tape {
  /** The sequence that the next record gets. */
  next = 1;
  readonly #parts: TapeParts;
  readonly #flights = new Map<number, Flight>();
  #held: HeldRecord[] = [];
  #nextBack = 1;
  #stopWatch: (() => void) | undefined;
  #error: Error | undefined;

  constructor(parts: TapeParts) {
    this.#parts = parts;
  }

  /** Records of this term in the journal, those on the way included. */
  get size(): number {
    return this.#held.length + this.next - this.#nextBack;
  }

  /** Resolves when it is stored for whoever comes next. */
  write(bytesOf: (seq: number) => Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      const seq = this.next++;
      const since = this.#parts.clock.now();
      const flight: Flight = { seq, since, confirmed: false, back: false, resolve, reject };
      this.#flights.set(seq, flight);
      this.#watch();
      this.#parts.publish(bytesOf(seq), seq, () => {
        flight.confirmed = true;
        this.#landed(flight);
      });
    });
  }

  /** False: not the one that is due. The broker has taken deliveries from us and given them again: another may rule. */
  came(seq: number, tag: number): boolean {
    if (seq !== this.#nextBack) return false;
    this.#nextBack += 1;
    this.#held.push({ seq, tag });
    const flight = this.#flights.get(seq);
    if (flight === undefined) return false;
    flight.back = true;
    this.#landed(flight);
    return true;
  }

  /** Tags of what is held from before this sequence; it is held no longer. */
  letGoBefore(seq: number): number[] {
    const at = this.#held.findIndex((one) => one.seq >= seq);
    return this.#held.splice(0, at === -1 ? this.#held.length : at).map(({ tag }) => tag);
  }

  end(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#stopWatch?.();
    for (const flight of this.#flights.values()) flight.reject(error);
    this.#flights.clear();
  }

  #landed(flight: Flight): void {
    if (!flight.confirmed || !flight.back || !this.#flights.delete(flight.seq)) return;
    flight.resolve();
  }

  #watch(): void {
    this.#stopWatch ??= this.#parts.clock.timer(STORED_MS, () => {
      this.#stopWatch = undefined;
      this.#look(this.#parts.clock.now());
      if (this.#flights.size > 0) this.#watch();
    });
  }

  #look(now: number): void {
    const [oldest] = this.#flights.values();
    if (oldest === undefined) return;
    if (this.#parts.isBlocked()) oldest.since = now;
    else if (now - oldest.since >= STORED_MS)
      this.#parts.failed(new Error(`the journal took no record for ${STORED_MS / 1_000} s`));
  }
}
