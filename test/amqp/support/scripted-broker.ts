/**
 * As much of a broker as a test scripts: it opens connections and channels, and says goodbye in the worst moment.
 *
 * Owns its sockets; `close` ends them. For races that a real broker loses once in a hundred restarts: two frames in one
 * packet, or an answer that never comes.
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";

export interface Script {
  /** Closes the connection in the packet in which it opens it. */
  readonly closesAtOpen?: boolean;
  /** What it does when a channel is asked for. */
  readonly channel?: "opens" | "closes the connection with it" | "says nothing";
}

const FRAME_END = 0xce;
const [METHOD, HEADER_BYTES] = [1, 7];
const OPEN = 40;

export class ScriptedBroker implements AsyncDisposable {
  /** Connections that were opened. */
  opened = 0;
  readonly #scripts: Script[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(scripts: readonly Script[], server: Server) {
    this.#scripts = [...scripts];
    this.#server = server;
    server.on("connection", (socket) => this.#serve(socket));
  }

  /** The first connection follows the first script, and so on; what comes after the last is served well. */
  static async start(...scripts: readonly Script[]): Promise<ScriptedBroker> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new ScriptedBroker(scripts, server);
  }

  get url(): string {
    const address = this.#server.address();
    return `amqp://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  /** Ends every connection, as a broker that is killed. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #serve(socket: Socket): void {
    const script = this.#scripts.shift() ?? {};
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    let greeted = false;
    let unread = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      unread = Buffer.concat([unread, bytes]);
      if (!greeted && unread.length >= 8) {
        greeted = true;
        unread = unread.subarray(8);
        socket.write(frame(0, 10, 10, START));
      }
      while (greeted && unread.length >= HEADER_BYTES) {
        const size = unread.readUInt32BE(3) + HEADER_BYTES + 1;
        if (unread.length < size) return;
        this.#method(socket, script, unread.subarray(0, size));
        unread = unread.subarray(size);
      }
    });
  }

  #method(socket: Socket, script: Script, bytes: Buffer): void {
    if (bytes[0] !== METHOD) return; // a heartbeat
    const method = `${bytes.readUInt16BE(7)}.${bytes.readUInt16BE(9)}`;
    const channel = bytes.readUInt16BE(1);
    if (method === "10.11") socket.write(frame(0, 10, 30, TUNE));
    if (method === `10.${OPEN}`) {
      this.opened += 1;
      const open = frame(0, 10, 41, Buffer.of(0));
      socket.write(script.closesAtOpen === true ? Buffer.concat([open, GOODBYE]) : open);
    }
    if (method === "10.50") socket.end(frame(0, 10, 51, Buffer.alloc(0)));
    if (method === "20.10" && script.channel !== "says nothing") {
      const open = frame(channel, 20, 11, Buffer.alloc(4));
      socket.write(
        script.channel === "closes the connection with it" ? Buffer.concat([open, GOODBYE]) : open,
      );
    }
  }
}

function frame(channel: number, classId: number, methodId: number, args: Buffer): Buffer {
  const head = Buffer.alloc(HEADER_BYTES + 4);
  head.writeUInt8(METHOD, 0);
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(4 + args.length, 3);
  head.writeUInt16BE(classId, 7);
  head.writeUInt16BE(methodId, 9);
  return Buffer.concat([head, args, Buffer.of(FRAME_END)]);
}

function longString(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
}

/** Version 0-9, no properties. */
const START = Buffer.concat([
  Buffer.of(0, 9),
  Buffer.alloc(4),
  longString("PLAIN AMQPLAIN"),
  longString("en_US"),
]);
/** Channels, the size of a frame, no heartbeats of its own. */
const TUNE = Buffer.of(0x07, 0xff, 0, 2, 0, 0, 0, 0);
const REASON = "CONNECTION_FORCED - broker forced connection closure";
const GOODBYE = frame(
  0,
  10,
  50,
  Buffer.concat([Buffer.of(320 >> 8, 320 & 255, REASON.length), Buffer.from(REASON), Buffer.alloc(4)]),
);
