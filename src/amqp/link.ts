/**
 * One supervised connection to the broker: made, watched, made again.
 *
 * Owns the connection of one role (publishing, consuming) and the backoff between tries. amqplib's own recovery is
 * off: what hangs on a connection must know that it is a new one. Each has a generation; a delivery of an older one
 * is never acknowledged on a newer. When it dies its listener is told once, and it is tried again for ever.
 */
import type { Socket } from "node:net";
import { type Channel, type ChannelModel, type ConfirmChannel, connect, type Options } from "amqplib";
import type { Clock } from "../kernel/types.ts";
import type { Addresses } from "./address.ts";
import { LONGEST_BACKOFF_MS, placeOf, type RabbitSettings } from "./options.ts";
import { CLOSE_MS, within } from "./patience.ts";
import { connectionError } from "./refusal.ts";

export interface LinkListener {
  /** A new connection is there; what hangs on it is to be made anew. */
  up(): void;
  /** It is gone, with all its channels. */
  down(error: Error): void;
  /** It could not be made again; the next try follows. */
  notYet(error: Error): void;
  blocked(reason: string): void;
  unblocked(): void;
}

export interface LinkParts {
  readonly settings: RabbitSettings;
  readonly clock: Clock;
  /** Shown in RabbitMQ's console. */
  readonly name: string;
  readonly listener: LinkListener;
  readonly addresses: Addresses;
}

const FIRST_BACKOFF_MS = 100;
/** A broker that leaves a call without an answer for so long is not there, whatever its heartbeats say. Its own are 30 s. */
const ANSWER_MS = 60_000;

export class Link {
  /** Grows with each connection. */
  generation = 0;
  /** The alarm's reason while the broker takes no messages of this connection. */
  blockedBy: string | undefined;
  readonly #parts: LinkParts;
  #model: ChannelModel | undefined;
  #tries = 0;
  #lastFailure = "";
  #closed = false;
  #stopTimer: () => void = () => {};

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  get isUp(): boolean {
    return this.#model !== undefined;
  }

  /** RabbitMQ's version, as the connection told it. */
  get serverVersion(): string {
    const version: unknown = this.#model?.connection.serverProperties.version;
    return typeof version === "string" ? version : "";
  }

  /** The first connection; rejects in words when it cannot be made, and is then not tried again. */
  async open(): Promise<void> {
    const model = await this.#connect();
    if (this.#closed) return this.#discard(model);
    this.#adopt(model);
  }

  channel(): Promise<Channel> {
    return this.#made((model) => model.createChannel());
  }

  confirmChannel(): Promise<ConfirmChannel> {
    return this.#made((model) => model.createConfirmChannel());
  }

  /**
   * What the broker answers to a call over this connection. Without an answer for 60 s the connection ends as if it had
   * been lost, and the call rejects with it; an alarm's time does not count, as nothing is read then.
   */
  async answered<T>(call: Promise<T>): Promise<T> {
    const model = this.#model;
    if (model === undefined) return call;
    let stop = () => {};
    const late = new Promise<never>((_, reject) => {
      const watch = () => {
        stop = this.#parts.clock.timer(ANSWER_MS, () => {
          if (this.blockedBy !== undefined && model === this.#model) return watch();
          const error = new Error(`a call was not answered within ${ANSWER_MS / 1_000} s`);
          reject(error);
          socketOf(model)?.destroy(error); // amqplib ends all that hangs on it, and says so
        });
      };
      watch();
    });
    try {
      return await Promise.race([call, late]);
    } finally {
      stop();
    }
  }

  /** Idempotent; resolves when the broker has answered, or after 2 s. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopTimer();
    const model = this.#model;
    this.#model = undefined;
    if (model !== undefined) await this.#discard(model);
  }

  /** What is made while the connection goes has been closed before anybody could listen for that. */
  async #made<C>(make: (model: ChannelModel) => Promise<C>): Promise<C> {
    const model = this.#model;
    if (model === undefined) throw this.#gone();
    const channel = await this.answered(make(model));
    if (model !== this.#model) throw this.#gone();
    return channel;
  }

  #gone(): Error {
    return new Error(`${this.#parts.name}: the connection is not there`);
  }

  async #connect(): Promise<ChannelModel> {
    const { settings } = this.#parts;
    try {
      const model = await connect(targetOf(settings), this.#socketOptions());
      const socket = socketOf(model);
      // a broker that stops may close it in the same breath, and amqplib says that to nobody
      if (socket?.writableEnded === true) throw new Error("the broker closed it as it was opened");
      if (socket !== undefined) gatherWrites(socket);
      return model;
    } catch (error) {
      throw connectionError(error, `RabbitMQ at ${placeOf(settings)}`);
    }
  }

  #socketOptions(): NonNullable<Parameters<typeof connect>[1]> {
    const { settings, name, addresses } = this.#parts;
    return {
      ...settings.tls,
      timeout: settings.connectionTimeoutMs,
      noDelay: true,
      keepAlive: true,
      lookup: addresses.lookup,
      clientProperties: { product: "Spillway", connection_name: name, ...settings.clientProperties },
    } as NonNullable<Parameters<typeof connect>[1]>;
  }

  #adopt(model: ChannelModel): void {
    this.#model = model;
    this.#tries = 0;
    this.#lastFailure = "";
    this.generation += 1;
    this.blockedBy = undefined;
    this.#parts.addresses.worked(socketOf(model)?.remoteAddress);
    let last: Error | undefined;
    model.on("error", (error) => {
      last = error;
    });
    model.on("close", (error) => this.#lost(model, error ?? last ?? new Error("the broker closed it")));
    model.on("blocked", (reason) => this.#blocked(model, reason));
    model.on("unblocked", () => this.#unblocked(model));
    this.#parts.listener.up();
  }

  #blocked(model: ChannelModel, reason: string): void {
    if (model !== this.#model) return;
    this.blockedBy = reason;
    this.#parts.listener.blocked(reason);
  }

  #unblocked(model: ChannelModel): void {
    if (model !== this.#model) return;
    this.blockedBy = undefined;
    this.#parts.listener.unblocked();
  }

  #lost(model: ChannelModel, error: Error): void {
    if (model !== this.#model) return;
    this.#model = undefined;
    this.blockedBy = undefined;
    socketOf(model)?.destroy(); // a half-open one would stay for minutes
    this.#parts.listener.down(connectionError(error, `RabbitMQ at ${placeOf(this.#parts.settings)}`));
    this.#tryLater();
  }

  /** Jittered, so that the nodes of a cluster do not all come back in the same moment. */
  #tryLater(): void {
    if (this.#closed) return;
    const most = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#tries++);
    this.#stopTimer = this.#parts.clock.timer(most * (0.5 + Math.random() / 2), () => this.#again());
  }

  #again(): void {
    this.#connect().then(
      (model) => (this.#closed ? void this.#discard(model) : this.#adopt(model)),
      (error: Error) => this.#failedAgain(error),
    );
  }

  /** The same reason is told once: a broker that is away for hours would fill the log. */
  #failedAgain(error: Error): void {
    if (error.message !== this.#lastFailure) this.#parts.listener.notYet(error);
    this.#lastFailure = error.message;
    this.#tryLater();
  }

  async #discard(model: ChannelModel): Promise<void> {
    model.on("error", () => {});
    await within(this.#parts.clock, CLOSE_MS, model.close());
    socketOf(model)?.destroy();
  }
}

function targetOf(settings: RabbitSettings): Options.Connect {
  const { host, port, credentials, virtualHost, channelMax, frameMax, heartbeatS, tls } = settings;
  return {
    protocol: tls === undefined ? "amqp" : "amqps",
    hostname: host,
    port,
    username: credentials.username,
    password: credentials.password,
    vhost: encodeURIComponent(virtualHost),
    channelMax,
    frameMax,
    heartbeat: heartbeatS,
  };
}

/**
 * What one turn writes leaves in one system call. Of a burst above 16 KiB amqplib writes each message by itself: a call a
 * message, half of what an enqueue cost. Nothing is held back beyond the turn.
 */
export function gatherWrites(socket: Pick<Socket, "write" | "cork" | "uncork">): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  let gathering = false;
  const uncork = () => {
    gathering = false;
    socket.uncork();
  };
  socket.write = (...args: unknown[]) => {
    if (!gathering) {
      gathering = true;
      socket.cork();
      process.nextTick(uncork);
    }
    return write(...args);
  };
}

/** amqplib does not offer the socket; without it a half-open one could not be let go of. */
function socketOf(model: ChannelModel): Socket | undefined {
  return (model.connection as unknown as { readonly stream?: Socket }).stream;
}
