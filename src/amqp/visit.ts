/**
 * A short visit to a queue: reads its messages from the front, takes some away, and leaves the rest in order.
 *
 * Owns a channel for the length of the visit. A consumer, never `basic.get` (it turns the order around on every version);
 * closing the channel puts back what was held, in its old order. At most 10,000 messages or 64 MiB are held; beyond that
 * the front is published again behind the rest, confirmed before it is acknowledged.
 */
import type { Channel, ConsumeMessage } from "amqplib";
import type { Clock } from "../kernel/types.ts";
import type { Link } from "./link.ts";
import { closed } from "./patience.ts";

export interface VisitParts {
  readonly link: Link;
  readonly clock: Clock;
  /** Publishes a message again to the queue it stands in; resolves when that is confirmed. */
  readonly republish: (queue: string, message: ConsumeMessage) => Promise<void>;
}

/** What to do with one message: leave it, take it away, or leave it and look no further. */
export type Verdict = "keep" | "take" | "stop";

const HOLD_MOST = 10_000;
const HOLD_BYTES = 64 * 1024 * 1024;
const PREFETCH = 500;
/** No message for so long: the queue has no more for us. */
const QUIET_MS = 300;
/** Behind every other consumer. */
const PRIORITY = -10;

/** Messages of a visit, as they come; `undefined` when there are no more. */
class Arrivals {
  readonly #messages: ConsumeMessage[] = [];
  #wake: (() => void) | undefined;
  #ended: Error | true | undefined;

  push(message: ConsumeMessage): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  end(error: Error | undefined): void {
    this.#ended ??= error ?? true;
    this.#wake?.();
  }

  async next(clock: Clock, quietMs: number): Promise<ConsumeMessage | undefined> {
    const there = this.#messages.shift();
    if (there !== undefined) return there;
    if (this.#ended === undefined) {
      let stop = () => {};
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        stop = clock.timer(quietMs, resolve);
      });
      stop();
      this.#wake = undefined;
    }
    if (this.#ended instanceof Error) throw this.#ended;
    return this.#messages.shift();
  }
}

/** Shows each message to `look`, which may take its time. Rejects when the channel breaks; nothing is lost then. */
export async function visit(
  parts: VisitParts,
  queue: string,
  look: (message: ConsumeMessage) => Verdict | Promise<Verdict>,
  quietMs = QUIET_MS,
): Promise<void> {
  const channel = await parts.link.channel();
  const arrivals = new Arrivals();
  let failed: Error | undefined;
  channel.on("error", (error) => {
    failed = error;
  });
  channel.on("close", () => arrivals.end(failed));
  try {
    const { messageCount } = await parts.link.answered(channel.checkQueue(queue));
    if (messageCount === 0) return;
    const ahead = Math.min(HOLD_MOST, Math.max(1, Math.min(PREFETCH, messageCount)));
    await parts.link.answered(subscribe(channel, queue, ahead, arrivals));
    await walk(parts, queue, channel, arrivals, messageCount, look, quietMs);
  } finally {
    await parts.link.answered(closed(channel)).catch(() => {});
  }
}

async function subscribe(channel: Channel, queue: string, ahead: number, arrivals: Arrivals): Promise<void> {
  await channel.prefetch(ahead);
  const receive = (message: ConsumeMessage | null) =>
    message === null ? arrivals.end(new Error("the broker ended the visit")) : arrivals.push(message);
  await channel.consume(queue, receive, { priority: PRIORITY });
}

/** The window grows with what is held, so that there is always room for the next. */
async function walk(
  { link, clock, republish }: VisitParts,
  queue: string,
  channel: Channel,
  arrivals: Arrivals,
  count: number,
  look: (message: ConsumeMessage) => Verdict | Promise<Verdict>,
  quietMs: number,
): Promise<void> {
  const held: ConsumeMessage[] = [];
  let bytes = 0;
  let window = Math.min(PREFETCH, count);
  for (let seen = 0; seen < count; seen++) {
    if (held.length + 1 >= window && window < HOLD_MOST) {
      window += PREFETCH;
      await link.answered(subscribe(channel, queue, PREFETCH, arrivals));
    }
    const message = await arrivals.next(clock, quietMs);
    if (message === undefined) return;
    const verdict = await look(message);
    if (verdict === "stop") return;
    if (verdict === "take") {
      channel.ack(message);
      continue;
    }
    held.push(message);
    bytes += message.content.length;
    while (held.length > 1 && (held.length >= HOLD_MOST || bytes > HOLD_BYTES)) {
      const first = held.shift();
      if (first === undefined) break;
      bytes -= first.content.length;
      await republish(queue, first);
      channel.ack(first);
    }
  }
}
