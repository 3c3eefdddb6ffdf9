/**
 * A bad network between a client and its broker: a TCP proxy that resets, freezes and refuses when told to.
 *
 * Owns its sockets; `close` ends them all. Nothing here waits for a time: a connection, and its end, can be awaited.
 * It knows nothing of AMQP, and passes bytes on as they come.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Bytes to the broker, bytes to the client, or both. */
export type Direction = "to-broker" | "to-client" | "both";

// Below the ports that the system gives to outgoing connections: none of those can take a refusing proxy's port.
const FIRST_PORT = 14_000;
const PORTS_A_PROCESS = 500;
const PROCESSES = 10;
const SLICE = FIRST_PORT + (Number(process.env.VITEST_POOL_ID ?? 0) % PROCESSES) * PORTS_A_PROCESS;
let nextPort = Math.floor(Math.random() * PORTS_A_PROCESS);

export class TcpProxy implements AsyncDisposable {
  readonly url: string;
  /** How many connections there have been, those that are gone included. */
  accepted = 0;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #port: number;
  readonly #links = new Set<Link>();
  readonly #frozen = { toBroker: false, toClient: false };
  #server: Server | undefined;
  #onConnection: (() => void)[] = [];
  #onDisconnection: (() => void)[] = [];

  private constructor(to: URL, server: Server, port: number) {
    this.#target = { host: to.hostname, port: Number(to.port === "" ? 5672 : to.port) };
    this.#port = port;
    const url = new URL(to);
    url.host = `127.0.0.1:${port}`;
    this.url = url.href;
    this.#serve(server);
  }

  /** A proxy for the broker of this URL; user, password and vhost stay in its own. */
  static async to(url: string): Promise<TcpProxy> {
    for (let tries = 0; tries < PORTS_A_PROCESS; tries++) {
      const port = SLICE + (nextPort++ % PORTS_A_PROCESS);
      const server = await listen(port);
      if (server !== undefined) return new TcpProxy(new URL(url), server, port);
    }
    throw new Error(`no free port from ${SLICE} on for a proxy`);
  }

  /** Connections that are open now, the frozen ones included. */
  get connections(): number {
    return this.#links.size;
  }

  /** Resolves at the next connection of a client, not at one that is there. */
  nextConnection(): Promise<void> {
    return new Promise((resolve) => this.#onConnection.push(resolve));
  }

  /** Resolves when the next connection ends, by whatever side. */
  nextDisconnection(): Promise<void> {
    return new Promise((resolve) => this.#onDisconnection.push(resolve));
  }

  /** Ends every connection with a RST on both sides, as a router does that has forgotten them. */
  reset(): void {
    for (const link of this.#links) link.reset();
  }

  /**
   * Half-open: connections stay, and pass nothing more; new ones are taken, and get no answer. With a direction only
   * those bytes stay away: `to-client` lets publishes through, and holds their confirms.
   */
  freeze(direction: Direction = "both"): void {
    if (direction !== "to-client") this.#frozen.toBroker = true;
    if (direction !== "to-broker") this.#frozen.toClient = true;
    for (const link of this.#links) link.freeze(this.#frozen);
  }

  /** What was held goes on its way, ends of connections too. */
  thaw(): void {
    this.#frozen.toBroker = false;
    this.#frozen.toClient = false;
    for (const link of this.#links) link.freeze(this.#frozen);
  }

  /** New connections are refused from now on; those that are open stay. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** New connections are let in again, on the same port. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = await listen(this.#port);
    if (server === undefined) throw new Error(`the proxy's port ${this.#port} was taken meanwhile`);
    this.#serve(server);
  }

  async close(): Promise<void> {
    const server = this.#server;
    const closed = server === undefined ? undefined : once(server, "close");
    this.refuse();
    this.reset();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #serve(server: Server): void {
    this.#server = server;
    server.on("connection", (client) => {
      const link = new Link(client, this.#target, () => {
        this.#links.delete(link);
        for (const resolve of this.#onDisconnection.splice(0)) resolve();
      });
      this.#links.add(link);
      this.accepted += 1;
      link.freeze(this.#frozen);
      for (const resolve of this.#onConnection.splice(0)) resolve();
    });
  }
}

/** One client's connection and the one to the broker that belongs to it. */
class Link {
  readonly #toBroker: Flow;
  readonly #toClient: Flow;

  constructor(client: Socket, target: { host: string; port: number }, ended: () => void) {
    const broker = connect({ ...target, allowHalfOpen: true });
    this.#toBroker = new Flow(client, broker);
    this.#toClient = new Flow(broker, client);
    let open = 2;
    for (const socket of [client, broker]) {
      socket.setNoDelay(true);
      socket.once("close", () => {
        open -= 1;
        if (open === 0) ended();
      });
    }
  }

  freeze({ toBroker, toClient }: { readonly toBroker: boolean; readonly toClient: boolean }): void {
    this.#toBroker.freeze(toBroker);
    this.#toClient.freeze(toClient);
  }

  reset(): void {
    this.#toBroker.reset();
    this.#toClient.reset();
  }
}

/** Bytes one way, no faster than they are taken. While frozen not even an end or a reset is passed on. */
class Flow {
  readonly #from: Socket;
  readonly #to: Socket;
  #frozen = false;
  #lost = false;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    from.on("data", (chunk) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => this.#go());
    from.on("end", () => to.end());
    from.on("error", () => {
      this.#lost = true;
      this.#go();
    });
  }

  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    if (frozen) this.#from.pause();
    else this.#go();
  }

  reset(): void {
    this.#from.resetAndDestroy();
  }

  #go(): void {
    if (this.#frozen) return;
    if (this.#lost) this.#to.resetAndDestroy();
    else this.#from.resume();
  }
}

/** Nothing when the port is in use. */
async function listen(port: number): Promise<Server | undefined> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return undefined;
    throw error;
  }
}
