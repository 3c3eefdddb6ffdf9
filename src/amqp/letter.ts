/**
 * One message on its way to the broker, and what became of it.
 *
 * Owns nothing but the message. A class with every field always there, since one is made for each job. `settle` is
 * called exactly once.
 */
import type { Options } from "amqplib";

/** What became of a message. */
export type Sent =
  | { readonly kind: "confirmed" }
  /** No queue is bound by that name; it is stored nowhere. */
  | { readonly kind: "returned" }
  /** It never left this process. */
  | { readonly kind: "unsent"; readonly error: Error }
  /** It left, and nobody can tell whether it was stored. */
  | { readonly kind: "unknown"; readonly error: Error };

export const CONFIRMED: Sent = Object.freeze({ kind: "confirmed" });
export const RETURNED: Sent = Object.freeze({ kind: "returned" });

/** Where a message goes. */
export interface Route {
  readonly exchange: string;
  readonly key: string;
}

/** A header of what was sent twice: neither of the two is flagged. */
export const COPY = "spillway-copy";

/** A header of what waits in a retry or delay queue: since when, in milliseconds since the epoch. */
export const PUT_OFF_AT = "spillway-put-off-at";

export class Letter {
  returned = false;
  /** Settled; a confirm that comes later means nothing. */
  over = false;
  /** When it was handed over, then when it was written: what its deadline counts from. */
  since = 0;
  /** Channels that were closed with it on the way. */
  deaths = 0;
  readonly options: Options.Publish;

  constructor(
    readonly route: Route,
    readonly body: Buffer,
    id: string,
    type: string,
    headers: Record<string, unknown> | undefined,
    /**
     * It replaces a message that we hold: it is sent until it arrives, at the price of a copy. The others are told to
     * whoever waits when a deadline is over or a connection is lost.
     */
    readonly must: boolean,
    readonly settle: (sent: Sent) => void,
  ) {
    this.options = { persistent: true, mandatory: true, messageId: id, type: short(type) };
    if (headers !== undefined) this.options.headers = headers;
  }

  /** It may stand on the broker already: whoever gets it is to ask before it starts. */
  mayBeCopy(): void {
    this.options.headers = { ...this.options.headers, [COPY]: true };
  }

  end(sent: Sent): void {
    if (this.over) return;
    this.over = true;
    this.settle(sent);
  }
}

/** AMQP's short strings end at 255 bytes, a job's name at 128 characters. It is there for people to see. */
function short(text: string): string {
  return text.length <= 85 || Buffer.byteLength(text) <= 255 ? text : text.slice(0, 85);
}
