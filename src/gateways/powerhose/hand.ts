/**
 * One worker's line: the REQ socket to its workpoint, and the one job that may be on it.
 *
 * Owns the socket. Its owner is told when the line stands, of each answer, and once that the worker is gone: it has left,
 * or was ended. One that still has a job when it is ended, and cannot be told, stays as `late` until it has answered or
 * its connection ends: nobody gets a job that stands behind another.
 */
import type { Context, Request as RequestSocket } from "zeromq";
import { type Answer, type Caller, jobText, readAnswer } from "./wire.ts";
import type { Zeromq } from "./zeromq.ts";

export interface HandOwner {
  /** It may be given a job: it is connected, or has at last answered what it was late with. */
  ready(hand: Hand): void;
  /** It may be given the next one. */
  answered(hand: Hand, answer: Answer): void;
  /** It was ready before, and is no more. */
  lost(hand: Hand, why: string): void;
  /** It is forgotten: its workpoint may be registered anew. */
  over(hand: Hand): void;
}

export interface Line {
  readonly zmq: Zeromq;
  readonly context: Context;
  readonly maxMessage: number;
}

/** The slower of the original's workers pings so often. */
export const BEAT_MS = 10_000;
/** A workpoint where nobody is, or somebody else, is given up. */
const CONNECT_MS = 5_000;
const LATE_SILENT_MS = 3 * BEAT_MS;
/** An answer, and room to see that there is a second one. */
const MOST_UNREAD = 2;

export class Hand {
  readonly caller: Caller;
  #state: "connecting" | "free" | "busy" | "late" | "over" = "connecting";
  readonly #socket: RequestSocket;
  readonly #owner: HandOwner;
  #timer: NodeJS.Timeout;

  /** @throws when the workpoint is no address. */
  constructor({ zmq, context, maxMessage }: Line, caller: Caller, owner: HandOwner) {
    this.caller = caller;
    this.#owner = owner;
    this.#socket = new zmq.Request({
      context,
      correlate: true,
      immediate: true,
      linger: 0,
      sendTimeout: 0,
      maxMessageSize: maxMessage,
      receiveHighWaterMark: MOST_UNREAD,
    });
    try {
      this.#socket.events.on("handshake", () => this.#connected());
      this.#socket.events.on("disconnect", () => this.close("its connection has ended"));
      this.#socket.connect(caller.workpoint);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.#timer = setTimeout(() => this.close("nobody answers at its workpoint"), CONNECT_MS);
  }

  /** It has a job. */
  get busy(): boolean {
    return this.#state === "busy";
  }

  /** It has pinged. */
  heard(): void {
    if (this.#state === "late") this.#timer.refresh();
  }

  /** Only when it is free; false if a part of the job holds the separator: then it still is. */
  give(id: string, data: string): boolean {
    const text = jobText(this.caller.separator, id, data);
    if (text === undefined) return false;
    this.#state = "busy";
    void this.#exchange(text, id, data);
    return true;
  }

  /** What it has is no longer wanted, or it is not. One of Spillway's own sees its connection end, and stops its body. */
  end(why: string): void {
    if (this.#state !== "busy" || this.caller.extended) return this.close(why);
    this.#state = "late";
    this.#timer = setTimeout(() => this.close("it is silent"), LATE_SILENT_MS);
    this.#owner.lost(this, why);
  }

  close(why: string): void {
    const state = this.#state;
    if (state === "over") return;
    this.#state = "over";
    clearTimeout(this.#timer);
    this.#socket.close();
    this.#owner.over(this);
    if (state === "free" || state === "busy") this.#owner.lost(this, why);
  }

  #connected(): void {
    if (this.#state === "connecting") this.#ready();
  }

  #ready(): void {
    clearTimeout(this.#timer);
    this.#state = "free";
    this.#owner.ready(this);
  }

  async #exchange(text: string, id: string, data: string): Promise<void> {
    try {
      await this.#socket.send(text);
      this.#answered(readAnswer(await this.#receive(), this.caller, id, data));
    } catch (error) {
      this.close((error as Error).message);
    }
  }

  /** libzmq counts what it then drops, an answer to nothing, among what can be read: that ends no wait. */
  async #receive(): Promise<readonly Uint8Array[]> {
    for (;;) {
      try {
        return await this.#socket.receive();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      }
    }
  }

  #answered(answer: Answer): void {
    if (this.#state === "over") return;
    if (answer.t === "broken") return this.close(answer.why);
    if (this.#state === "late") return this.#ready();
    this.#state = "free";
    this.#owner.answered(this, answer);
  }
}
