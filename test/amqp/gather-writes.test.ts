/** What amqplib writes to a socket message by message leaves in one piece a turn, whole and in order, and no later. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Writable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { gatherWrites } from "../../src/amqp/link.ts";

/** Keeps what arrives, by system call. */
class Calls extends Writable {
  readonly calls: string[] = [];

  constructor() {
    super({
      decodeStrings: false,
      write: (chunk: string, _encoding, done) => this.#call([chunk], done),
      writev: (chunks, done) =>
        this.#call(
          chunks.map(({ chunk }) => chunk as string),
          done,
        ),
    });
    gatherWrites(this as unknown as Socket);
  }

  #call(chunks: readonly string[], done: () => void): void {
    this.calls.push(chunks.join(""));
    done();
  }
}

const tick = () => new Promise<void>((resolve) => process.nextTick(resolve));

test("what one turn writes is one call, what the next one writes another", async () => {
  const socket = new Calls();
  for (const text of ["a", "b", "c"]) socket.write(text);
  expect(socket.calls).toEqual([]);
  await tick();
  expect(socket.calls).toEqual(["abc"]);
  socket.write("d");
  await tick();
  expect(socket.calls).toEqual(["abc", "d"]);
});

test("a full buffer says so, and says when it has room again", async () => {
  const socket = new Calls();
  const large = "x".repeat(socket.writableHighWaterMark);
  expect(socket.write(large)).toBe(false);
  await once(socket, "drain");
  expect(socket.calls).toEqual([large]);
  expect(socket.write("y")).toBe(true);
});

test("an end in the same turn leaves nothing behind", async () => {
  const socket = new Calls();
  socket.write("a");
  socket.end("b");
  await once(socket, "finish");
  expect(socket.calls.join("")).toBe("ab");
});

test("a real socket brings megabytes over in order, whatever their pieces are", async () => {
  const received: Buffer[] = [];
  const server = createServer((peer) =>
    peer.on("data", (data) => received.push(data)).on("end", () => peer.end()),
  );
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  const socket = connect(port, "127.0.0.1");
  gatherWrites(socket);
  const pieces = Array.from({ length: 20_000 }, (_, n) => Buffer.alloc(1 + ((n * 7919) % 500), n % 256));
  for (const piece of pieces) if (!socket.write(piece)) await once(socket, "drain");
  socket.end();
  await once(socket.resume(), "close");
  expect(Buffer.concat(received).equals(Buffer.concat(pieces))).toBe(true);
});

test("a socket that is destroyed before its turn is over stays so", async () => {
  const socket = new Calls();
  socket.write("a");
  socket.destroy();
  await once(socket, "close");
  expect(socket.calls).toEqual([]);
});
