/**
 * What is declared on the broker, at first need: exchanges, work queues, retry and delay queues, buried queues.
 *
 * Owns which of it this node has declared over the present connection, and since when: a quorum queue that was made a
 * moment ago can lose confirmed messages when the broker is killed, so nothing is relied on in one for `newQueueGrace`.
 * All of it is durable, none of it ever expires, and it outlives every node.
 */
import type { Channel, Options } from "amqplib";
import type { QueueRef } from "../broker/contract.ts";
import { BrokerRefused } from "../broker/errors.ts";
import type { Binding } from "../broker/foreign.ts";
import type { Clock } from "../kernel/types.ts";
import { patternOf, rungsOf, topRung } from "./delay.ts";
import type { Names } from "./names.ts";
import { TOPOLOGY_VERSION } from "./names.ts";
import type { QueueType } from "./options.ts";
import { channelError, hasCode, severityOf } from "./refusal.ts";
import type { Scratch } from "./scratch.ts";

export interface TopologyParts {
  readonly scratch: Scratch;
  readonly names: Names;
  readonly clock: Clock;
  readonly broker: string;
  readonly queueType: QueueType;
  readonly graceMs: number;
}

/** No number of returns ever buries anything: attempts and crashes are counted by us. -1 loses messages on 3.10. */
const NO_LIMIT = 2_147_483_647;

/** Between nodes; whoever binds to it may be the first that is there. */
export async function assertSystem(channel: Channel, names: Names): Promise<void> {
  await channel.assertExchange(names.system, "direct", { durable: true });
}

export class Topology {
  readonly #parts: TopologyParts;
  /** What is there, or on its way, since the connection was made. */
  #declared = new Map<string, Promise<void>>();
  #done = new Set<string>();
  /** When this node first declared a queue, in its whole life. */
  readonly #firstDeclared = new Map<string, number>();

  constructor(parts: TopologyParts) {
    this.#parts = parts;
  }

  /** A new connection: somebody may have deleted things meanwhile. */
  renew(): void {
    this.#declared = new Map();
    this.#done = new Set();
  }

  /** What every node needs. */
  base(): Promise<void> {
    return this.#once("base", "the exchanges", async (channel) => {
      const { names } = this.#parts;
      await channel.assertExchange(names.topology(), "fanout", { durable: true });
      await channel.assertExchange(names.enqueue, "direct", { durable: true });
      await channel.assertExchange(names.unroutable, "fanout", { durable: true });
      const alternate = { durable: true, alternateExchange: names.unroutable };
      await channel.assertExchange(names.work, "direct", alternate);
      await channel.assertExchange(names.delayed, "topic", alternate);
      await assertSystem(channel, names);
      await this.#queue(channel, names.unroutable, quorum({}));
      await channel.bindQueue(names.unroutable, names.unroutable, "");
    });
  }

  /** Refuses a broker that a later version has laid out. */
  async checkVersion(): Promise<void> {
    const { scratch, names, broker } = this.#parts;
    const next = names.topology(TOPOLOGY_VERSION + 1);
    const later = await scratch
      .call((channel) => channel.checkExchange(next))
      .then(
        () => true,
        (error: unknown) => {
          if (hasCode(error, 404)) return false;
          throw channelError(error, broker, `exchange ${next}`);
        },
      );
    if (later)
      throw new BrokerRefused(
        broker,
        `a later version of Spillway has laid it out (exchange ${next}). Upgrade this node, or give it a prefix of its own.`,
      );
  }

  async workQueue(queue: QueueRef): Promise<void> {
    await this.base();
    const { names, queueType } = this.#parts;
    const name = names.queue(queue);
    await this.#once(name, `queue ${name}`, async (channel) => {
      const deadLetter = { "x-dead-letter-exchange": names.unroutable };
      await this.#queue(channel, name, queueType === "quorum" ? quorum(deadLetter) : classic(deadLetter));
      await channel.bindQueue(name, names.enqueue, name);
      await channel.bindQueue(name, names.work, name);
      await channel.bindQueue(name, names.delayed, `#.${name}`);
    });
  }

  /** Deleted under us: declared again, with its bindings. */
  async restore(queue: QueueRef): Promise<void> {
    this.#forget(this.#parts.names.queue(queue));
    await this.workQueue(queue);
  }

  /** Binds a work queue to an exchange of another system; also anew, in case that somebody has taken it away meanwhile. */
  async bind(name: string, binding: Binding): Promise<void> {
    const { exchange, type = "", durable, declare, routingKey } = binding;
    await this.#called(`exchange ${exchange}`, async (channel) => {
      if (declare) await channel.assertExchange(exchange, type, { durable });
      else await channel.checkExchange(exchange).catch((error: unknown) => this.#missing(exchange, error));
      await channel.bindQueue(name, exchange, routingKey, { ...binding.arguments });
    });
  }

  async unbind(name: string, { exchange, routingKey, arguments: args }: Binding): Promise<void> {
    await this.#called(`exchange ${exchange}`, async (channel) => {
      await channel.unbindQueue(name, exchange, routingKey, { ...args });
    });
  }

  #missing(exchange: string, error: unknown): never {
    if (!hasCode(error, 404)) throw error;
    throw new BrokerRefused(
      this.#parts.broker,
      `exchange ${exchange} is not there, and its binding says declare: false. Make it, or leave declare out.`,
    );
  }

  async retry(seconds: number): Promise<void> {
    await this.base();
    const name = this.#parts.names.retry(seconds);
    await this.#once(name, `queue ${name}`, async (channel) => {
      await channel.assertExchange(name, "fanout", { durable: true });
      await this.#queue(channel, name, waiting(seconds, this.#parts.names.work));
      await channel.bindQueue(name, name, "");
    });
  }

  /** The rungs that a delay passes through, and the exchanges between them, from below. */
  async delay(seconds: number): Promise<void> {
    await this.base();
    const top = topRung(seconds);
    for (let rung = 0; rung <= top; rung++) await this.#rung(rung);
    for (const rung of rungsOf(seconds)) await this.#rungQueue(rung);
  }

  #rung(rung: number): Promise<void> {
    const { names } = this.#parts;
    const name = names.delay(rung);
    return this.#once(`exchange ${name}`, `exchange ${name}`, async (channel) => {
      await channel.assertExchange(name, "topic", { durable: true });
      await channel.bindExchange(this.#below(rung), name, patternOf(rung, 0));
    });
  }

  #rungQueue(rung: number): Promise<void> {
    const name = this.#parts.names.delay(rung);
    return this.#once(name, `queue ${name}`, async (channel) => {
      await this.#queue(channel, name, waiting(2 ** rung, this.#below(rung)));
      await channel.bindQueue(name, name, patternOf(rung, 1));
    });
  }

  #below(rung: number): string {
    const { names } = this.#parts;
    return rung === 0 ? names.delayed : names.delay(rung - 1);
  }

  async buried(queue: QueueRef): Promise<void> {
    const name = this.#parts.names.buried(queue);
    await this.#once(name, `queue ${name}`, async (channel) => {
      await this.#queue(channel, name, this.#parts.queueType === "quorum" ? quorum({}) : classic({}));
    });
  }

  /** It was not there when it was needed. */
  forgetBuried(queue: QueueRef): void {
    this.#forget(this.#parts.names.buried(queue));
  }

  #forget(name: string): void {
    this.#declared.delete(name);
    this.#done.delete(name);
  }

  /** Whether it is declared by now: then there is nothing to wait for. */
  has(name: string): boolean {
    return this.#done.has(name);
  }

  /** Milliseconds before a queue may be relied on; 0 for one that somebody else declared. */
  graceLeft(name: string): number {
    const since = this.#firstDeclared.get(name);
    if (since === undefined) return 0;
    return Math.max(0, since + this.#parts.graceMs - this.#parts.clock.now());
  }

  #once(key: string, what: string, declare: (channel: Channel) => Promise<void>): Promise<void> {
    const there = this.#declared.get(key);
    if (there !== undefined) return there;
    const made = this.#called(what, declare).then(
      () => {
        if (this.#declared.get(key) === made) this.#done.add(key);
      },
      (error: unknown) => {
        if (this.#declared.get(key) === made) this.#declared.delete(key);
        throw error;
      },
    );
    this.#declared.set(key, made);
    return made;
  }

  #called(what: string, call: (channel: Channel) => Promise<void>): Promise<void> {
    return this.#parts.scratch.call(call).catch((error: unknown) => {
      throw severityOf(error) === "channel" ? channelError(error, this.#parts.broker, what) : error;
    });
  }

  async #queue(channel: Channel, name: string, options: Options.AssertQueue): Promise<void> {
    await channel.assertQueue(name, options);
    if (!this.#firstDeclared.has(name)) this.#firstDeclared.set(name, this.#parts.clock.now());
  }
}

function quorum(more: Record<string, unknown>): Options.AssertQueue {
  return {
    durable: true,
    arguments: { "x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT, ...more },
  };
}

function classic(more: Record<string, unknown>): Options.AssertQueue {
  return { durable: true, arguments: { "x-queue-type": "classic", ...more } };
}

/**
 * Where messages wait for so long, whatever the type of work queues: only a quorum queue that dead-letters at least once
 * lost nothing when the broker was killed in the middle of it. The job's own routing key is kept.
 */
function waiting(seconds: number, to: string): Options.AssertQueue {
  return quorum({
    "x-message-ttl": seconds * 1_000,
    "x-dead-letter-exchange": to,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
  });
}
