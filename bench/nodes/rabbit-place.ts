/**
 * The RabbitMQ that a run measures on: found, given names of the run's own, and left as it was.
 *
 * Owns one connection for what is looked at between runs, the random prefix, and all that was made under it or told
 * to `made`: `leave` deletes it, and says how many messages were still in it.
 */
import { randomBytes } from "node:crypto";
import type { ChannelModel } from "amqplib";
import { loadAmqplib } from "../runner/package.ts";

export type QueueType = "quorum" | "classic";

export const PARTITION = "bench";
export const QUEUE = "default";

const DEFAULT_URL = "amqp://localhost";
const PROBE_MS = 3_000;

/** `AMQP_URL`, or where RabbitMQ is by default. */
export const brokerUrl = (): string => process.env.AMQP_URL ?? DEFAULT_URL;

/** Where it was looked for, without the password, and how to have one. */
export function howTo(): string {
  const host = URL.canParse(brokerUrl()) ? new URL(brokerUrl()).host : "AMQP_URL";
  return `no RabbitMQ answers at ${host}: start one (Debian: apt install rabbitmq-server), or set AMQP_URL=amqp://user:password@host`;
}

interface Made {
  readonly queues?: readonly string[];
  readonly exchanges?: readonly string[];
  readonly journals?: readonly string[];
}

export class RabbitPlace {
  readonly url: string;
  readonly prefix: string;
  readonly #connection: ChannelModel;
  readonly #queues: string[] = [];
  readonly #exchanges: string[] = [];
  /** Never empty while there is one: what is in them is not a job that was left. */
  readonly #journals: string[] = [];

  private constructor(url: string, connection: ChannelModel) {
    this.url = url;
    this.#connection = connection;
    this.prefix = `bench-${randomBytes(6).toString("hex")}`;
    const own = (name: string) => `${this.prefix}.$${name}`;
    const exchanges = ["enqueue", "work", "unroutable", "delayed", "system", "topology.1"];
    this.made({
      exchanges: exchanges.map(own),
      queues: [own("unroutable"), this.queue, this.buried, this.calls],
      journals: [this.journal],
    });
  }

  /** What the broker says it is; `undefined` when nobody answers there. */
  static async version(url = brokerUrl()): Promise<string | undefined> {
    const { connect } = await loadAmqplib();
    try {
      const connection = await connect(url, { timeout: PROBE_MS });
      const { version } = connection.connection.serverProperties;
      await connection.close();
      return version;
    } catch {
      return undefined;
    }
  }

  /** @throws Error that says how to have one, when nobody answers there. */
  static async need(): Promise<RabbitPlace> {
    const place = await RabbitPlace.find();
    if (place === undefined) throw new Error(howTo());
    return place;
  }

  /** `undefined` when nobody answers there. */
  static async find(url = brokerUrl()): Promise<RabbitPlace | undefined> {
    const { connect } = await loadAmqplib();
    try {
      const connection = await connect(url, { timeout: PROBE_MS });
      connection.on("error", () => {}); // whoever uses it next is told
      return new RabbitPlace(url, connection);
    } catch {
      return undefined;
    }
  }

  /** The work queue of our side. */
  get queue(): string {
    return `${this.prefix}.${PARTITION}.${QUEUE}`;
  }

  get buried(): string {
    return `${this.queue}.$buried`;
  }

  /** Where calls of the partition's coordinator wait; there is one from the first key on. */
  get calls(): string {
    return `${this.prefix}.${PARTITION}.$coordinator`;
  }

  /** What the coordinator keeps; who consumes it is the coordinator. */
  get journal(): string {
    return `${this.calls}.journal`;
  }

  made({ queues = [], exchanges = [], journals = [] }: Made): void {
    this.#queues.push(...queues);
    this.#exchanges.push(...exchanges);
    this.#journals.push(...journals);
  }

  /** Messages of a queue that are in nobody's hands. */
  async ready(queue: string): Promise<number> {
    const channel = await this.#connection.createChannel();
    const { messageCount } = await channel.checkQueue(queue);
    await channel.close();
    return messageCount;
  }

  async purge(queue: string): Promise<void> {
    const channel = await this.#connection.createChannel();
    await channel.purgeQueue(queue);
    await channel.close();
  }

  /** Deletes all that was made; how many messages were in it. Call it when all others have closed. */
  async leave(): Promise<number> {
    const channel = await this.#connection.createChannel();
    let left = 0;
    for (const queue of this.#queues) left += (await channel.deleteQueue(queue)).messageCount;
    for (const journal of this.#journals) await channel.deleteQueue(journal);
    for (const exchange of this.#exchanges) await channel.deleteExchange(exchange);
    await this.#connection.close();
    return left;
  }
}
