/**
 * Gloom's two ports: who connects, and what the board wants done with them.
 *
 * Owns the listeners and the connections, and runs the board: each message is a step, whose effects are carried out
 * before the next. When it stops, all connections end; what waited or ran for masters is gone with them.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { GatewayUnavailable } from "../errors.ts";
import {
  type Board,
  type BoardEffect,
  type BoardMessage,
  dismiss,
  type LentEnd,
  lend,
  makeBoard,
  type Peer,
  stepBoard,
} from "./board.ts";
import { Connection, type ConnectionOwner } from "./connection.ts";
import type { Found } from "./frames.ts";
import { readPayload } from "./json-members.ts";
import type { CheckedGloomOptions } from "./options.ts";
import { errorText, OK, type Request, type Role, readRequest, SIZE_ERROR } from "./requests.ts";

/** Where it listens. */
export interface GloomAddress {
  readonly host: string;
  readonly masterPort: number;
  readonly slavePort: number;
}

/** What the runtime is told of slaves; nobody is, where the gateway stands alone. */
export interface SlaveWatch {
  joined(slave: Connection, request: Request & { readonly t: "join" }): void;
  free(peer: Peer): void;
  taken(peer: Peer): void;
  ended(peer: Peer, end: LentEnd): void;
  note(peer: Peer, request: Request): void;
  left(peer: Peer): void;
}

/** Most bytes of a frame from one who has not said the secret. */
const STRANGER_FRAME = 4_096;
const STRANGER_MS = 10_000;
/** Beyond it nobody's farewell is waited for. */
const STOP_MS = 3_000;

export class GloomServer implements ConnectionOwner {
  readonly #options: CheckedGloomOptions;
  readonly #watch: SlaveWatch | undefined;
  readonly #board: Board;
  readonly #connections = new Map<Peer, Connection>();
  readonly #servers: Server[] = [];
  /** Those in a TLS handshake too, which are no connections yet. */
  readonly #sockets = new Set<Socket>();
  #address: GloomAddress | undefined;
  #lastPeer: Peer = 0;
  #held = 0;
  #stepping = false;
  readonly #messages: BoardMessage[] = [];

  constructor(options: CheckedGloomOptions, watch?: SlaveWatch) {
    this.#options = options;
    this.#watch = watch;
    this.#board = makeBoard({ maxJobs: options.maxJobs, maxBytes: options.maxBytes });
  }

  /** @throws GatewayUnavailable, with nothing left listening. */
  async start(): Promise<GloomAddress> {
    const { host, masterPort, slavePort } = this.#options;
    try {
      this.#address = {
        host,
        masterPort: await this.#listen("master", masterPort),
        slavePort: await this.#listen("slave", slavePort),
      };
      return this.#address;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  get address(): GloomAddress | undefined {
    return this.#address;
  }

  /** For whoever looks: how many there are. */
  get counts(): { readonly masters: number; readonly slaves: number; readonly jobs: number } {
    const { masters, slaves, jobs } = this.#board;
    return { masters: masters.size, slaves: slaves.size, jobs: jobs.size };
  }

  async stop(): Promise<void> {
    const closed = this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)));
    for (const connection of this.#connections.values()) connection.close();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, STOP_MS);
    await Promise.all(closed);
    clearTimeout(timer);
  }

  /** A job of the runtime goes to a slave that is free. */
  lend(peer: Peer, text: string): void {
    lend(this.#board, peer);
    this.#connections.get(peer)?.send(text);
  }

  send(peer: Peer, text: string): void {
    this.#connections.get(peer)?.send(text);
  }

  /** The slave is to leave; who listens is told that it has. */
  end(peer: Peer): void {
    this.#connections.get(peer)?.close();
  }

  /** It is to leave once it has nothing to do. */
  dismiss(peer: Peer): void {
    if (dismiss(this.#board, peer)) this.end(peer);
  }

  found(connection: Connection, frame: Found): boolean {
    if (!connection.authenticated) return this.#stranger(connection, frame);
    const { number: peer, role } = connection;
    const request = "tooLarge" in frame ? SIZE_ERROR : readRequest(role, frame.payload);
    this.#tell({ t: "said", peer, request });
    return request.t !== "broken";
  }

  holds(change: number): boolean {
    this.#held += change;
    return this.#held <= this.#options.maxBytes;
  }

  left(connection: Connection): void {
    this.#connections.delete(connection.number);
    if (!connection.authenticated) return;
    if (connection.role === "slave") this.#watch?.left(connection.number);
    this.#tell({ t: "closed", peer: connection.number });
  }

  #listen(role: Role, port: number): Promise<number> {
    const { host, tls, maxConnections } = this.#options;
    const connected = (socket: Socket) => this.#connected(role, socket);
    const server =
      tls === undefined
        ? createServer(connected)
        : createTlsServer({ handshakeTimeout: STRANGER_MS, ...tls }, connected);
    server.maxConnections = maxConnections;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.on("error", (cause) => reject(new GatewayUnavailable("gloom", host, port, { cause })));
      server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
    });
  }

  #connected(role: Role, socket: Socket): void {
    const { secret, maxFrame } = this.#options;
    this.#lastPeer += 1;
    const first = secret === undefined ? maxFrame : Math.min(STRANGER_FRAME, maxFrame);
    const connection = new Connection(this.#lastPeer, role, socket, first, this.#options, this);
    this.#connections.set(connection.number, connection);
    if (secret === undefined) return this.#admit(connection);
    const timer = setTimeout(() => {
      if (!connection.authenticated) connection.drop();
    }, STRANGER_MS);
    timer.unref();
    socket.once("close", () => clearTimeout(timer));
  }

  #admit(connection: Connection): void {
    connection.admit();
    this.#tell({ t: "opened", peer: connection.number, role: connection.role });
  }

  /** `{"action":"auth","secret":…}` is all that is listened to. */
  #stranger(connection: Connection, frame: Found): boolean {
    const said = "tooLarge" in frame ? undefined : secretOf(frame.payload);
    if (said !== undefined && isSame(said, this.#options.secret ?? "")) {
      connection.send(OK);
      this.#admit(connection);
      return true;
    }
    connection.send(errorText("unauthorized", '"auth"'));
    connection.close();
    return false;
  }

  /** Effects may lead to messages (a lent slave, one that is dropped): those come after. */
  #tell(message: BoardMessage): void {
    this.#messages.push(message);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#messages.shift(); next !== undefined; next = this.#messages.shift()) {
        const out: BoardEffect[] = [];
        stepBoard(this.#board, next, out);
        for (const effect of out) this.#carryOut(effect);
      }
    } finally {
      this.#stepping = false;
    }
  }

  #carryOut(effect: BoardEffect): void {
    const { peer } = effect;
    switch (effect.t) {
      case "send":
        return this.#connections.get(peer)?.send(effect.text);
      case "close":
        return this.#connections.get(peer)?.close();
      case "free":
        return this.#watch?.free(peer);
      case "taken":
        return this.#watch?.taken(peer);
      case "lent-end":
        return this.#watch?.ended(peer, effect.end);
      case "lent-note":
        return this.#watch?.note(peer, effect.request);
      case "joined": {
        const connection = this.#connections.get(peer);
        if (connection !== undefined) this.#watch?.joined(connection, effect.request);
        return;
      }
    }
  }
}

function secretOf(bytes: Buffer): string | undefined {
  const payload = readPayload(bytes);
  if (payload.kind !== "object" || payload.members.get("action") !== '"auth"') return undefined;
  const secret = payload.members.get("secret");
  return secret?.startsWith('"') === true ? (JSON.parse(secret) as string) : undefined;
}

/** In the same time wherever they differ. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
