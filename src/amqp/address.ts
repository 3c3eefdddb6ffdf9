/**
 * Looks the broker's name up, and remembers the last address that worked.
 *
 * Owns that one address. Name look-ups share libuv's four threads with whatever bodies do there (`pbkdf2` fills
 * them): one that takes over a second is not waited for when an address is known. It comes too late, and is ignored.
 */
import { lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import type { Clock } from "../kernel/types.ts";

const PATIENCE_MS = 1_000;

type Found = { readonly address: string; readonly family: number };

export class Addresses {
  #good: Found | undefined;
  readonly #clock: Clock;
  readonly #system: typeof systemLookup;

  constructor(clock: Clock, system: typeof systemLookup = systemLookup) {
    this.#clock = clock;
    this.#system = system;
  }

  /** A connection was made to this address. */
  worked(address: string | undefined): void {
    if (address !== undefined) this.#good = { address, family: address.includes(":") ? 6 : 4 };
  }

  /** As `net.connect` wants it. */
  readonly lookup: LookupFunction = (host, options, answer) => {
    let answered = false;
    const once: typeof answer = (error, address, family) => {
      if (answered) return;
      answered = true;
      stop();
      answer(error, address, family);
    };
    const good = this.#good;
    const stop =
      good === undefined
        ? () => {}
        : this.#clock.timer(PATIENCE_MS, () => {
            if (options.all === true) once(null, [good]);
            else once(null, good.address, good.family);
          });
    this.#system(host, options, (error, address, family) => once(error, address, family));
  };
}
