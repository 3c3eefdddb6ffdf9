/**
 * How nodes talk: a direct exchange, and two exclusive queues a node, so that control never waits behind information.
 *
 * Owns the two queues (they go with the connection) and the channel it sends by. Messages are small, transient JSON; one
 * that cannot be sent or read is dropped, and whoever needs an answer asks again. Keys: `control` and `information` reach
 * all nodes, `node.NAME` one, `P.$coordinator` the coordinator of partition P.
 */
import { createHash } from "node:crypto";
import type { Channel, ConsumeMessage } from "amqplib";
import type { Clock } from "../kernel/types.ts";
import type { Link } from "./link.ts";
import type { Names } from "./names.ts";
import { CLOSE_MS, closed, within } from "./patience.ts";

export interface Told {
  readonly kind: string;
  readonly from: string;
  readonly boot: string;
  readonly body: unknown;
}

export interface SystemParts {
  readonly consumeLink: Link;
  readonly publishLink: Link;
  readonly names: Names;
  readonly clock: Clock;
  readonly node: string;
  readonly boot: string;
  /** Declares the exchange. */
  readonly prepare: () => Promise<void>;
  readonly hear: (told: Told) => void;
  /** What this node has sent to itself is back: all that was sent before it has been heard. */
  readonly echo: () => void;
  /** Both ways are open (again). */
  readonly opened: () => void;
  readonly closed: () => void;
  readonly warn: (text: string) => void;
}

export type Reach = "control" | "information" | { readonly node: string };

const RETRY_MS = 250;
/** The kind of message that a node sends to itself. */
export const ECHO = "echo";
/** More than an answer ever is; what is larger is dropped. */
const MOST_BYTES = 32 * 1024 * 1024;

export class SystemChannel {
  readonly #parts: SystemParts;
  #receive: Channel | undefined;
  #send: Channel | undefined;
  #opening = false;
  #isOpen = false;
  #ended = false;

  constructor(parts: SystemParts) {
    this.#parts = parts;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** One of the connections is there (again); resolves when both ways are open, or have failed for now. */
  async linkUp(): Promise<void> {
    const { consumeLink, publishLink, prepare, warn } = this.#parts;
    if (this.#opening || this.#isOpen || this.#ended || !consumeLink.isUp || !publishLink.isUp) return;
    this.#opening = true;
    try {
      await prepare();
      this.#receive ??= await consumeLink.answered(this.#makeReceive());
      this.#send ??= await this.#makeSend();
      this.#isOpen = this.#receive !== undefined && this.#send !== undefined;
      if (this.#isOpen) this.#parts.opened();
    } catch (error) {
      if (consumeLink.isUp && publishLink.isUp) warn(`nodes cannot talk: ${(error as Error).message}`);
    } finally {
      this.#opening = false;
      if (!this.#isOpen) this.#later();
    }
  }

  /** False: it was not sent. */
  send(to: Reach, kind: string, body: unknown): boolean {
    const { node, boot } = this.#parts;
    const bytes = Buffer.from(JSON.stringify([kind, node, boot, body]));
    if (bytes.length > MOST_BYTES) return false;
    return this.put(typeof to === "string" ? to : nodeKey(to.node), bytes);
  }

  /** To whoever has bound this key; it is heard there as it is. False: it was not sent. */
  put(key: string, bytes: Buffer): boolean {
    const channel = this.#send;
    if (channel === undefined || this.#parts.publishLink.blockedBy !== undefined) return false;
    try {
      channel.publish(this.#parts.names.system, key, bytes);
      return true;
    } catch {
      return false; // the channel was closed a moment ago
    }
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#isOpen = false;
    const channels = [this.#send, this.#receive];
    for (const channel of channels)
      if (channel !== undefined) await within(this.#parts.clock, CLOSE_MS, closed(channel));
  }

  #later(): void {
    if (this.#ended) return;
    this.#parts.clock.timer(RETRY_MS, () => void this.linkUp());
  }

  async #makeReceive(): Promise<Channel> {
    const { consumeLink, names, node } = this.#parts;
    const channel = this.#watched(await consumeLink.channel(), () => {
      this.#receive = undefined;
    });
    for (const keys of [["control", nodeKey(node)], ["information"]]) {
      const { queue } = await channel.assertQueue("", { exclusive: true, durable: false, autoDelete: true });
      for (const key of keys) await channel.bindQueue(queue, names.system, key);
      await channel.consume(queue, (message) => this.#heard(message, channel), { noAck: true });
    }
    return channel;
  }

  async #makeSend(): Promise<Channel> {
    return this.#watched(await this.#parts.publishLink.channel(), () => {
      this.#send = undefined;
    });
  }

  #watched(channel: Channel, forget: () => void): Channel {
    channel.on("error", (error: Error) => {
      if (this.#parts.consumeLink.isUp) this.#parts.warn(`the nodes' channel was closed: ${error.message}`);
    });
    channel.on("close", () => {
      forget();
      const was = this.#isOpen;
      this.#isOpen = false;
      if (was && !this.#ended) this.#parts.closed();
      this.#later();
    });
    return channel;
  }

  /** `null`: the broker has taken the queue away. */
  #heard(message: ConsumeMessage | null, channel: Channel): void {
    if (message === null) return void channel.close().catch(() => {});
    const told = read(message.content);
    if (told === undefined) return; // not from a node of ours
    if (told.from === this.#parts.node && told.boot === this.#parts.boot) {
      if (told.kind === ECHO) this.#parts.echo();
      return;
    }
    try {
      this.#parts.hear(told);
    } catch (error) {
      // whatever somebody publishes here, this node goes on
      this.#parts.warn(`a message of kind "${told.kind}" from ${told.from}: ${(error as Error).message}`);
    }
  }
}

/** A routing key has at most 255 bytes; a longer name is known by its hash. */
function nodeKey(node: string): string {
  if (Buffer.byteLength(node) <= 200) return `node.${node}`;
  return `node.#${createHash("sha256").update(node).digest("base64url")}`;
}

/** Total: anybody may publish to an exchange. */
function read(bytes: Buffer): Told | undefined {
  try {
    const parts: unknown = JSON.parse(bytes.toString("utf8"));
    if (!Array.isArray(parts)) return undefined;
    const [kind, from, boot, body] = parts as unknown[];
    if (typeof kind !== "string" || typeof from !== "string" || typeof boot !== "string") return undefined;
    return { kind, from, boot, body };
  } catch {
    return undefined;
  }
}
