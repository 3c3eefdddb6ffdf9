/**
 * One type of external workers: who is free, and which errands wait for one.
 *
 * Owns since when nobody serves the type. Pure data; the pool decides.
 */
import type { Errand } from "./errand.ts";
import type { Seat } from "./seat.ts";

export class ExternalLane {
  readonly type: string;
  /** First come, first served; what comes back from a dead worker goes before the others. */
  readonly waiting: Errand[] = [];
  /** The longest idle first. */
  readonly free = new Set<Seat>();
  seats = 0;
  /** When the last worker left, or the lane was made. */
  unservedSince: number;
  /** A look at what waits without a worker is due. */
  looking = false;
  /** People were told that nobody serves it. */
  told = false;

  constructor(type: string, now: number) {
    this.type = type;
    this.unservedSince = now;
  }

  take(errand: Errand): boolean {
    const at = this.waiting.indexOf(errand);
    return at !== -1 && this.waiting.splice(at, 1).length > 0;
  }
}
