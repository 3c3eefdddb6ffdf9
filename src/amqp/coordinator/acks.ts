/**
 * The acknowledgements of one channel that brings both the journal and calls.
 *
 * Owns the channel's ledger: a `multiple` covers all tags below its own, so one for the journal would take calls with
 * it that are not answered yet. They go out once a turn. Dies with its channel, and says nothing more from then on.
 */
import type { Channel, ConsumeMessage } from "amqplib";
import type { Clock } from "../../kernel/types.ts";
import { AckLedger } from "../ledger.ts";

export class Acks {
  readonly #channel: Pick<Channel, "ack">;
  readonly #clock: Clock;
  readonly #ledger = new AckLedger();
  #flushing = false;
  #ended = false;

  constructor(channel: Pick<Channel, "ack">, clock: Clock) {
    this.#channel = channel;
    this.#clock = clock;
  }

  /** In the order of the tags. */
  delivered(tag: number): void {
    this.#ledger.delivered(tag);
  }

  /** Again for the same is nothing. */
  settle(tag: number): void {
    this.#ledger.settled(tag);
    if (this.#flushing || this.#ended) return;
    this.#flushing = true;
    this.#clock.turn(() => this.#flush());
  }

  /** Before the channel is closed: what is settled is not given to the next. */
  end(): void {
    if (this.#ended) return;
    try {
      this.#flush();
    } catch {
      // the channel went before
    }
    this.#ended = true;
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#ended || this.#ledger.pending === 0) return;
    const { upTo, singles } = this.#ledger.take(true);
    if (upTo > 0) this.#channel.ack(messageOf(upTo), true);
    for (const tag of singles) this.#channel.ack(messageOf(tag), false);
  }
}

/** amqplib takes a message and reads its tag. */
function messageOf(deliveryTag: number): ConsumeMessage {
  return { fields: { deliveryTag } } as ConsumeMessage;
}
