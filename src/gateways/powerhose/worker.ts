/**
 * `PowerhoseWorker`: the worker's side, for a process that does a master's jobs one at a time.
 *
 * Owns its two sockets, to the master and at its workpoint. It registers, pings, and removes itself; both kinds of masters
 * know it, Spillway's and the original's. When its connection ends in the middle of a job, the body's signal is aborted,
 * and it pings again only when the body has ended: who has an old job is not asked for the next.
 */
import type { Reply, Request as RequestSocket } from "zeromq";
import { isNonRetryable, isSnooze } from "../../jobs/signals.ts";
import { MasterLost } from "../errors.ts";
import { type CheckedWorker, checkWorkerOptions, type PowerhoseWorkerOptions } from "./options.ts";
import { ERROR, join, jsonWithout, type Ordered, type Pong, readJob, readPong, request } from "./wire.ts";
import { bind, loadZeromq, type Zeromq } from "./zeromq.ts";

/** Gets `[id, data]`, gives the result. What it throws is told to a master of Spillway's as an error, to others as text. */
export type PowerhoseTarget = (
  job: readonly [id: string, data: string],
  about: { readonly signal: AbortSignal },
) => string | Promise<string>;

/** For the last answer to get through. */
const LINGER_MS = 1_000;

export class PowerhoseWorker {
  readonly #endpoint: string;
  readonly #target: PowerhoseTarget;
  readonly #options: CheckedWorker;
  #workpoint: string;
  #stopping = false;
  #running: Promise<void> | undefined;
  #master: RequestSocket | undefined;
  /** What kind its master is; undefined until it has answered a ping. */
  #fromSpillway: boolean | undefined;
  /** Told when that is known, or never will be. */
  #onPong = () => {};
  /** Connections to the workpoint: with the last one goes who wants an answer. */
  #masters = 0;
  /** Those that were none, whose ends do not count. */
  #strangers = 0;
  #body: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;
  #wake = () => {};

  /**
   * `endpoint`: where the master listens; `workpoint`: where this one gets its jobs. Needs the package `zeromq`.
   * @throws InvalidOptions
   */
  constructor(
    endpoint: string,
    workpoint: string,
    target: PowerhoseTarget,
    options: PowerhoseWorkerOptions = {},
  ) {
    this.#options = checkWorkerOptions(endpoint, workpoint, options);
    this.#endpoint = endpoint;
    this.#workpoint = workpoint;
    this.#target = target;
  }

  /** Where it gets its jobs: a port of 0 has become one that is free. */
  get workpoint(): string {
    return this.#workpoint;
  }

  /**
   * Resolves when it was stopped, or its master let it go; keeps the process alive until then.
   * @throws ZeromqMissing, EndpointUnavailable, MasterLost
   */
  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  /** Lets the body that runs end and be answered; resolves when all is closed. May be called twice. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#running?.catch(() => {});
  }

  async #run(): Promise<void> {
    const zmq = await loadZeromq();
    const reply = new zmq.Reply({ linger: LINGER_MS, maxMessageSize: this.#options.maxMessage });
    const bound = await bind(reply, this.#workpoint);
    this.#workpoint = bound.endpoint;
    try {
      this.#listen(reply);
      const work = this.#work(reply);
      await this.#pingLoop(zmq);
      this.#onPong();
      await this.#body?.ended;
      await this.#say(zmq, "REMOVE");
      await bound.close();
      await work;
    } finally {
      this.#body?.abort.abort();
      this.#master?.close();
      await bound.close();
    }
  }

  #listen({ events }: Reply): void {
    events.on("handshake", () => {
      this.#masters += 1;
    });
    for (const type of ["handshake:error:protocol", "handshake:error:auth", "handshake:error:other"] as const)
      events.on(type, () => {
        this.#strangers += 1;
      });
    events.on("disconnect", () => {
      if (this.#strangers > 0) this.#strangers -= 1;
      else this.#masters -= 1;
      if (this.#masters > 0) return;
      this.#fromSpillway = undefined;
      this.#body?.abort.abort();
      this.#wake();
    });
  }

  async #pingLoop(zmq: Zeromq): Promise<void> {
    const { pingMs, timeoutMs, maxFails } = this.#options;
    let registered = false;
    let missed = 0;
    while (!this.#stopping) {
      if (this.#body?.abort.signal.aborted === true) await this.#body.ended;
      const pong = await this.#say(zmq, "PING");
      if (pong === "no") {
        if (registered || this.#stopping) return;
        throw new MasterLost(
          this.#endpoint,
          "does not take it: it has enough, or cannot connect to its workpoint",
        );
      }
      missed = pong === undefined ? missed + 1 : 0;
      if (missed >= maxFails) throw new MasterLost(this.#endpoint, `left ${missed} pings unanswered`);
      registered ||= pong !== undefined;
      if (!this.#stopping) await this.#pause(registered ? pingMs : timeoutMs);
    }
  }

  /** Until then, or until there is a reason to look. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
    });
  }

  /** Undefined: no answer in time. A REQ socket that waits for one can say nothing else, so the next has a new one. */
  async #say(zmq: Zeromq, word: "PING" | "REMOVE"): Promise<Pong | undefined> {
    const { timeoutMs, separator } = this.#options;
    const master =
      this.#master ??
      new zmq.Request({ immediate: true, linger: 0, sendTimeout: timeoutMs, receiveTimeout: timeoutMs });
    try {
      if (this.#master === undefined) master.connect(this.#endpoint);
      this.#master = master;
      await master.send(request(word, separator, this.#workpoint));
      const pong = readPong(await master.receive(), separator);
      if (pong !== "no") this.#fromSpillway = pong === "spillway";
      this.#onPong();
      return pong;
    } catch {
      this.#master = undefined;
      master.close();
      return undefined;
    }
  }

  async #work(reply: Reply): Promise<void> {
    while (!reply.closed) {
      try {
        const job = readJob(await reply.receive(), this.#options.separator);
        await reply.send(job === undefined ? ERROR : await this.#perform(job));
      } catch {
        // Its socket was closed, which ends the loop, or an answer found nobody who would read it.
      }
    }
  }

  async #perform(job: Ordered): Promise<string> {
    const abort = new AbortController();
    const answer = this.#answer(job, abort.signal);
    const body = { abort, ended: answer.then(() => {}) };
    this.#body = body;
    try {
      return await answer;
    } finally {
      this.#body = undefined;
    }
  }

  async #answer({ id, data, echo }: Ordered, signal: AbortSignal): Promise<string> {
    const { separator } = this.#options;
    try {
      const result = await this.#target([id, data], { signal });
      if (typeof result !== "string") throw new TypeError(`a target gives a text, got ${typeof result}`);
      const text = join(separator, "JOBRES", echo, result);
      if (text !== undefined) return text;
      throw new TypeError(`the result holds ${separator}, which stands between the parts of a message`);
    } catch (error) {
      return this.#failed(echo, error, signal);
    }
  }

  /** The original's word for a failure is its text, as a result: said to Spillway's it would be a success. */
  async #failed(echo: string, thrown: unknown, signal: AbortSignal): Promise<string> {
    const { separator } = this.#options;
    if (this.#fromSpillway === undefined) await this.#pong(signal);
    if (this.#fromSpillway === undefined) return ERROR;
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const { name, message, stack } = error;
    const what = isSnooze(error) ? { snooze: error.delayMs } : { stack, final: isNonRetryable(error) };
    const told = jsonWithout(separator, JSON.stringify({ name, message, ...what }));
    if (this.#fromSpillway) return ["JOBERR", echo, told].join(separator);
    return ["JOBRES", echo, message.replaceAll(separator, " ")].join(separator);
  }

  /** A job may be here before the answer to the ping that it came for. Not waited for once nobody wants the job's. */
  #pong(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
      this.#onPong = resolve;
    });
  }
}
