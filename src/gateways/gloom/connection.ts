/**
 * One peer's socket: frames in, frames out, and the bounds of both.
 *
 * Owns the socket. A peer that does not read what it is sent is not read from either, and is dropped when too much is
 * unsent; its owner is told once that it has left, whoever ended it. What comes after a farewell is not looked at.
 */
import type { Socket } from "node:net";
import type { Peer } from "./board.ts";
import { type Found, FrameReader, frameOf } from "./frames.ts";
import type { Role } from "./requests.ts";

export interface ConnectionOwner {
  /** A frame; false = read no further. */
  found(connection: Connection, frame: Found): boolean;
  /** More or fewer bytes of frames that are not whole; false = too many in all. */
  holds(change: number): boolean;
  left(connection: Connection): void;
}

export interface ConnectionLimits {
  readonly maxFrame: number;
  /** Bytes that wait for a peer to read; above it the peer is dropped. */
  readonly maxUnsent: number;
}

/** With so much unsent a peer's requests wait, too. */
const PAUSE_ABOVE = 1_048_576;
/** For what was sent last to get through. */
const FAREWELL_MS = 2_000;
const KEEP_ALIVE_MS = 30_000;

export class Connection {
  readonly number: Peer;
  readonly role: Role;
  /** Where it comes from, for people. */
  readonly from: string;
  authenticated = false;
  #over = false;
  #held = 0;
  #corked = false;
  #farewell: NodeJS.Timeout | undefined;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #limits: ConnectionLimits;
  readonly #owner: ConnectionOwner;

  constructor(
    number: Peer,
    role: Role,
    socket: Socket,
    firstFrameLimit: number,
    limits: ConnectionLimits,
    owner: ConnectionOwner,
  ) {
    this.number = number;
    this.role = role;
    this.from = `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`;
    this.#socket = socket;
    this.#reader = new FrameReader(firstFrameLimit);
    this.#limits = limits;
    this.#owner = owner;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on("data", (chunk: Buffer) => this.#data(chunk));
    socket.on("drain", () => socket.resume());
    // Its close follows, and says all there is to say.
    socket.on("error", () => {});
    socket.on("end", () => this.#leave());
    socket.on("close", () => this.#leave());
  }

  /** It may say what it is there for: larger frames than its first are read. */
  admit(): void {
    this.authenticated = true;
    this.#reader.limit = this.#limits.maxFrame;
  }

  send(text: string): void {
    if (this.#over) return;
    if (this.#socket.writableLength > this.#limits.maxUnsent) return this.drop();
    this.#cork();
    this.#socket.write(frameOf(text));
    if (this.#socket.writableLength > PAUSE_ABOVE) this.#socket.pause();
  }

  /** After what was sent before has gone out, if that takes no longer than a moment. */
  close(): void {
    if (this.#over) return;
    this.#leave();
    this.#socket.resume();
    this.#socket.end();
    this.#farewell = setTimeout(() => this.#socket.destroy(), FAREWELL_MS);
    this.#farewell.unref();
    this.#socket.once("close", () => clearTimeout(this.#farewell));
  }

  /** At once. */
  drop(): void {
    this.#leave();
    this.#socket.destroy();
  }

  /** All frames of one turn are one packet. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }

  #data(chunk: Buffer): void {
    if (this.#over) return;
    this.#reader.push(chunk, (frame) => this.#owner.found(this, frame) && !this.#over);
    if (this.#over) return;
    const change = this.#reader.held - this.#held;
    this.#held = this.#reader.held;
    if (!this.#owner.holds(change)) this.drop();
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.holds(-this.#held);
    this.#held = 0;
    this.#owner.left(this);
    // The other side has said all it had to say; a socket that is half open is of no use to either.
    this.#socket.end();
  }
}
