/**
 * The master's endpoint: who registers there, and the line to each one's workpoint.
 *
 * Owns the REP socket and all lines; when it stops, they are gone. Any request is answered, so that no peer's socket is
 * stuck: with `ERROR` when it is none, when too many are registered, and once to a worker that was let go for its age,
 * which ends it.
 */
import type { Context, Reply } from "zeromq";
import { Hand, type HandOwner } from "./hand.ts";
import { type Answer, type Caller, ERROR, pong, REMOVED, readRequest } from "./wire.ts";
import { type Bound, bind, contextOfMasters, loadZeromq, type Zeromq } from "./zeromq.ts";

/** What the one who has jobs is told. */
export interface MasterWatch {
  /** It may be given a job. */
  joined(hand: Hand): void;
  /** It gave a sign of life. */
  heard(hand: Hand): void;
  /** It is free again. */
  answered(hand: Hand, answer: Answer): void;
  left(hand: Hand, why: string): void;
}

export interface MasterOptions {
  readonly endpoint: string;
  /** Most bytes of one answer. */
  readonly maxMessage: number;
  readonly maxWorkers: number;
}

/** Nobody needs more to say where he is. */
const MOST_SAID = 4_096;
/** Requests of one peer that wait for their answers: an honest one has one. */
const MOST_ASKED = 16;
/** Somewhere to connect to: `*` is only somewhere to bind. */
const WORKPOINT = /^(?:ipc:\/\/[^*]+|tcp:\/\/(?:[^*:/]+|\[[\da-fA-F:.]+\]):(?<port>\d{1,5}))$/;
const LAST_PORT = 65_535;

export class Master implements HandOwner {
  readonly #options: MasterOptions;
  readonly #watch: MasterWatch;
  /** By workpoint. */
  readonly #hands = new Map<string, Hand>();
  /** Those that are told to go when they next ping. */
  readonly #dismissed = new Set<string>();
  #open: { readonly zmq: Zeromq; readonly context: Context; readonly bound: Bound } | undefined;

  constructor(options: MasterOptions, watch: MasterWatch) {
    this.#options = options;
    this.#watch = watch;
  }

  /**
   * Resolves with where it listens.
   * @throws ZeromqMissing, EndpointUnavailable
   */
  async start(): Promise<string> {
    const zmq = await loadZeromq();
    const { endpoint } = this.#options;
    const context = contextOfMasters(zmq);
    const reply = new zmq.Reply({
      context,
      linger: 0,
      sendTimeout: 0,
      maxMessageSize: MOST_SAID,
      receiveHighWaterMark: MOST_ASKED,
    });
    const bound = await bind(reply, endpoint);
    this.#open = { zmq, context, bound };
    void this.#serve(reply);
    return bound.endpoint;
  }

  /** Resolves when another may listen there. */
  async stop(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    const closed = open?.bound.close();
    for (const hand of [...this.#hands.values()]) hand.close("the master stops");
    await closed;
  }

  /** Registered, whatever they do. */
  get count(): number {
    return this.#hands.size;
  }

  /** It is not to come back: its next ping is refused, which ends a worker. */
  dismiss(hand: Hand, why: string): void {
    if (this.#dismissed.size >= this.#options.maxWorkers) this.#dismissed.clear();
    this.#dismissed.add(hand.caller.workpoint);
    hand.close(why);
  }

  ready(hand: Hand): void {
    this.#watch.joined(hand);
  }

  answered(hand: Hand, answer: Answer): void {
    this.#watch.answered(hand, answer);
  }

  lost(hand: Hand, why: string): void {
    this.#watch.left(hand, why);
  }

  over(hand: Hand): void {
    this.#hands.delete(hand.caller.workpoint);
  }

  async #serve(reply: Reply): Promise<void> {
    while (!reply.closed) {
      try {
        const frames = await reply.receive();
        await reply.send(this.#answer(frames));
      } catch {
        // Its socket was closed, which ends the loop, or an answer found nobody who would read it.
      }
    }
  }

  #answer(frames: readonly Uint8Array[]): string {
    const request = readRequest(frames);
    if (request === undefined) return ERROR;
    if (request.t === "ping") return this.#ping(request.caller);
    this.#hands.get(request.workpoint)?.close("it has left");
    return REMOVED;
  }

  #ping(caller: Caller): string {
    const { workpoint } = caller;
    if (this.#dismissed.delete(workpoint)) return ERROR;
    const known = this.#hands.get(workpoint);
    if (known !== undefined) {
      known.heard();
      this.#watch.heard(known);
      return pong(caller);
    }
    return this.#register(caller) ? pong(caller) : ERROR;
  }

  #register(caller: Caller): boolean {
    const { maxWorkers, maxMessage } = this.#options;
    if (this.#open === undefined || this.#hands.size >= maxWorkers) return false;
    const place = WORKPOINT.exec(caller.workpoint);
    if (place === null || Number(place.groups?.port ?? 0) > LAST_PORT) return false;
    try {
      this.#hands.set(caller.workpoint, new Hand({ ...this.#open, maxMessage }, caller, this));
      return true;
    } catch {
      return false;
    }
  }
}
