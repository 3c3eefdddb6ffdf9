/**
 * Endpoints of one test, and workers that are nothing but ZeroMQ sockets: what a test sends is the text on the wire.
 *
 * All of it is gone when its test has ended.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import * as zmq from "zeromq";
import { JobRunner, type JobRunnerOptions } from "../../../src/gateways/index.ts";

export const TRANSPORTS = ["ipc", "tcp"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Where nobody listens yet. */
export function free(transport: Transport = "ipc"): string {
  if (transport === "tcp") return "tcp://127.0.0.1:0";
  const folder = mkdtempSync(join(tmpdir(), "spillway-zmq-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return `ipc://${join(folder, "s.ipc")}`;
}

/** Closed when the test has ended. */
export function socket<T extends zmq.Socket>(made: T): T {
  onTestFinished(() => made.close());
  return made;
}

/** One that speaks to a master's endpoint, and is answered. */
export class Peer {
  readonly #socket: zmq.Request;

  constructor(endpoint: string) {
    this.#socket = socket(new zmq.Request({ linger: 0 }));
    this.#socket.connect(endpoint);
  }

  async ask(...frames: (string | Buffer)[]): Promise<string> {
    await this.#socket.send(frames);
    const [answer] = await this.#socket.receive();
    return String(answer);
  }
}

/** A worker of the original, as far as the wire goes. */
export class RawWorker {
  readonly workpoint: string;
  readonly master: Peer;
  readonly #reply: zmq.Reply;
  readonly #separator: string;

  private constructor(endpoint: string, workpoint: string, reply: zmq.Reply, separator: string) {
    this.workpoint = workpoint;
    this.master = new Peer(endpoint);
    this.#reply = reply;
    this.#separator = separator;
  }

  /** It has not registered yet. */
  static async at(endpoint: string, { separator = ":::", workpoint = free() } = {}): Promise<RawWorker> {
    const reply = socket(new zmq.Reply({ linger: 0 }));
    await reply.bind(workpoint);
    return new RawWorker(endpoint, reply.lastEndpoint ?? workpoint, reply, separator);
  }

  ping(): Promise<string> {
    return this.master.ask(["PING", this.workpoint].join(this.#separator));
  }

  remove(): Promise<string> {
    return this.master.ask(["REMOVE", this.workpoint].join(this.#separator));
  }

  /** The next job's text. */
  async hear(): Promise<string> {
    const [text] = await this.#reply.receive();
    return String(text);
  }

  async say(text: string | Buffer | (string | Buffer)[]): Promise<void> {
    await this.#reply.send(text);
  }

  /** Hears a job of `:::`, and answers it. */
  async square(): Promise<void> {
    const [, id, data] = (await this.hear()).split(":::");
    await this.say(`JOBRES:::${id}:::${Number(data) ** 2}`);
  }

  /** Until it ends. */
  async squareAll(): Promise<void> {
    try {
      for (;;) await this.square();
    } catch {
      if (!this.#reply.closed) throw new Error("a worker of the test cannot speak");
    }
  }

  end(): void {
    this.#reply.close();
  }
}

export async function registered(endpoint: string, options = {}): Promise<RawWorker> {
  const worker = await RawWorker.at(endpoint, options);
  const answer = await worker.ping();
  if (answer !== "PONG") throw new Error(`refused: ${answer}`);
  return worker;
}

export async function runner(options: JobRunnerOptions = {}, endpoint = free()): Promise<JobRunner> {
  const started = new JobRunner(endpoint, options);
  onTestFinished(() => started.stop());
  await started.start();
  return started;
}

/** Waits until so many can be given jobs. */
export async function ready(at: JobRunner, count: number): Promise<void> {
  while (at.workers.length !== count) await turn();
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
