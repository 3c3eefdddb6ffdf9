/**
 * A channel for calls that may fail: declarations, passive checks. What is refused closes a channel, so these have one
 * of their own, made anew after each refusal.
 *
 * Owns that channel and the order of the calls: one at a time, so that no call is lost to its neighbour's failure.
 */
import type { Channel } from "amqplib";
import { BrokerUnreachable } from "../broker/errors.ts";
import { SpillwayError } from "../kernel/errors.ts";
import type { Clock } from "../kernel/types.ts";
import type { Link } from "./link.ts";
import { severityOf } from "./refusal.ts";

/** A broker that is only just starting may leave a call without an answer. */
const ANSWER_MS = 20_000;

export class Scratch {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #broker: string;
  #channel: Channel | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(link: Link, clock: Clock, broker: string) {
    this.#link = link;
    this.#clock = clock;
    this.#broker = broker;
  }

  /** Rejects with amqplib's own error, whose `code` says what the broker took offence at. */
  call<T>(what: (channel: Channel) => Promise<T>): Promise<T> {
    const next = this.#last.then(() => this.#within(what));
    this.#last = next.catch(() => {});
    return next;
  }

  async #within<T>(what: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = await this.#open();
    let stop = () => {};
    const late = new Promise<never>((_, reject) => {
      stop = this.#clock.timer(ANSWER_MS, () => {
        this.#forget(channel);
        channel.close().catch(() => {});
        reject(new BrokerUnreachable(this.#broker, { cause: new Error("a call was not answered in time") }));
      });
    });
    try {
      return await Promise.race([what(channel), late]);
    } catch (error) {
      if (error instanceof SpillwayError || severityOf(error) === "channel") throw error;
      // not refused: the channel ended under it, with its connection
      throw new BrokerUnreachable(this.#broker, { cause: error });
    } finally {
      stop();
    }
  }

  async #open(): Promise<Channel> {
    if (this.#channel !== undefined) return this.#channel;
    if (!this.#link.isUp) throw new BrokerUnreachable(this.#broker);
    const channel = await this.#link.channel();
    channel.on("error", () => {}); // the call that caused it rejects with it
    channel.on("close", () => this.#forget(channel));
    this.#channel = channel;
    return channel;
  }

  #forget(channel: Channel): void {
    if (this.#channel === channel) this.#channel = undefined;
  }
}
