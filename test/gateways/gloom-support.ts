/**
 * Gloom daemons of one test, and raw sockets that talk to them: what a test sends is bytes, what it reads is frames.
 *
 * All of it is gone when its test has ended.
 */
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { type GloomDaemon, type GloomDaemonOptions, startGloom } from "../../src/gateways/index.ts";

export async function daemon(options: GloomDaemonOptions = {}): Promise<GloomDaemon> {
  const started = await startGloom({ masterPort: 0, slavePort: 0, ...options });
  onTestFinished(() => started.stop());
  return started;
}

export function frame(value: unknown): Buffer {
  return frameOfText(JSON.stringify(value));
}

export function frameOfText(text: string | Buffer): Buffer {
  const body = Buffer.from(text);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

/** A peer with nothing between a test and the wire. */
export class Raw {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #bytes = Buffer.alloc(0);
  #over = false;
  #waiting: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#heard();
    });
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.#over = true;
        this.#heard();
        resolve();
      });
    });
    onTestFinished(() => {
      socket.destroy();
    });
  }

  #heard(): void {
    for (const look of this.#waiting.splice(0)) look();
  }

  say(value: unknown): this {
    this.socket.write(frame(value));
    return this;
  }

  write(bytes: Buffer): this {
    this.socket.write(bytes);
    return this;
  }

  /** The next frame's text; rejects when the connection ends before there is one. */
  async text(): Promise<string> {
    for (;;) {
      if (this.#bytes.length >= 4) {
        const length = this.#bytes.readUInt32BE(0);
        if (this.#bytes.length >= 4 + length) {
          const text = this.#bytes.subarray(4, 4 + length).toString("utf8");
          this.#bytes = this.#bytes.subarray(4 + length);
          return text;
        }
      }
      if (this.#over) throw new Error("the connection ended before a frame came");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The next frame. */
  async hear(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  /** Says, and hears what is answered. */
  ask(value: unknown): Promise<unknown> {
    return this.say(value).hear();
  }

  /** All frames until the connection has ended. */
  async rest(): Promise<unknown[]> {
    await this.closed;
    const heard: unknown[] = [];
    while (this.#bytes.length > 0) heard.push(await this.hear());
    return heard;
  }

  end(): void {
    this.socket.destroy();
  }
}

export async function raw(port: number): Promise<Raw> {
  const socket = connect(port, "127.0.0.1");
  const peer = new Raw(socket);
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return peer;
}

export const master = ({ address }: GloomDaemon): Promise<Raw> => raw(address.masterPort);

/** Joined already, if a type is given. */
export async function slave({ address }: GloomDaemon, type?: unknown): Promise<Raw> {
  const peer = await raw(address.slavePort);
  if (type !== undefined) await peer.ask({ action: "join", type });
  return peer;
}

/** Waits until the daemon counts as many; it has heard all that came before then. */
export async function counted(
  from: GloomDaemon,
  wanted: Partial<GloomDaemon["counts"]>,
): Promise<GloomDaemon["counts"]> {
  for (;;) {
    const { counts } = from;
    if (Object.entries(wanted).every(([name, count]) => counts[name as keyof typeof counts] === count))
      return counts;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
