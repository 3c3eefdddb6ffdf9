/**
 * The proxy against a tiny server that echoes: what it breaks, and that it breaks nothing else.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { TcpProxy } from "./proxy.ts";

/** Answers every byte with the same, and keeps what it has heard. */
class Echo {
  readonly server = createServer({ allowHalfOpen: true });
  readonly sockets: Socket[] = [];
  heard = "";

  static async start(): Promise<Echo> {
    const echo = new Echo();
    echo.server.on("connection", (socket) => {
      echo.sockets.push(socket);
      socket.on("error", () => {});
      socket.on("end", () => socket.end());
      socket.on("data", (chunk) => {
        echo.heard += chunk;
        socket.write(chunk);
        echo.server.emit("heard");
      });
    });
    echo.server.listen(0, "127.0.0.1");
    await once(echo.server, "listening");
    onTestFinished(() => {
      for (const socket of echo.sockets) socket.destroy();
      echo.server.close();
    });
    return echo;
  }

  get url(): string {
    return `amqp://me:secret@127.0.0.1:${(this.server.address() as AddressInfo).port}/%2Fshop?heartbeat=5`;
  }

  async hears(text: string): Promise<void> {
    while (!this.heard.includes(text)) await once(this.server, "heard");
  }
}

class Client {
  readonly socket: Socket;
  got = "";

  constructor(url: string) {
    this.socket = connect(Number(new URL(url).port), "127.0.0.1");
    this.socket.on("error", () => {});
    this.socket.on("data", (chunk) => {
      this.got += chunk;
      this.socket.emit("got");
    });
    onTestFinished(() => void this.socket.destroy());
  }

  async gets(text: string): Promise<void> {
    while (!this.got.includes(text)) await once(this.socket, "got");
  }

  async asks(text: string): Promise<void> {
    this.socket.write(text);
    await this.gets(text);
  }

  /** The code of the error it ends with, or "end". */
  ends(): Promise<string> {
    return new Promise((resolve) => {
      this.socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      this.socket.once("end", () => resolve("end"));
    });
  }
}

async function scene(): Promise<{ echo: Echo; proxy: TcpProxy }> {
  const echo = await Echo.start();
  const proxy = await TcpProxy.to(echo.url);
  onTestFinished(() => proxy.close());
  return { echo, proxy };
}

/** When this has come back, anything that was sent before it had its time to arrive. */
async function roundTripBeside(echo: Echo): Promise<void> {
  await new Client(echo.url).asks("beside");
}

test("bytes go both ways, and the URL keeps its user, its vhost and its settings", async () => {
  const { echo, proxy } = await scene();
  expect(proxy.url.replace(/:\d+\//, ":PORT/")).toBe("amqp://me:secret@127.0.0.1:PORT/%2Fshop?heartbeat=5");
  const large = "x".repeat(1 << 20);
  await new Client(proxy.url).asks(`${large}!`);
  expect(echo.heard).toHaveLength(large.length + 1);
});

test("connections are counted, and their beginning and end can be awaited", async () => {
  const { proxy } = await scene();
  expect(proxy.connections).toBe(0);
  const begun = proxy.nextConnection();
  const client = new Client(proxy.url);
  await begun;
  await client.asks("a");
  expect(proxy.connections).toBe(1);
  const ended = proxy.nextDisconnection();
  const end = client.ends();
  client.socket.end();
  expect(await end).toBe("end");
  await ended;
  expect([proxy.connections, proxy.accepted]).toEqual([0, 1]);
});

test("a reset is a RST for the client and for the broker", async () => {
  const { echo, proxy } = await scene();
  const client = new Client(proxy.url);
  await client.asks("a");
  const [brokerSide] = echo.sockets;
  const brokerLost = new Promise((resolve) => brokerSide?.once("close", resolve));
  const lost = client.ends();
  const ended = proxy.nextDisconnection();
  proxy.reset();
  expect(await lost).toBe("ECONNRESET");
  expect(await brokerLost).toBe(true);
  await ended;
  expect(proxy.connections).toBe(0);
  await new Client(proxy.url).asks("the next one is let in");
});

test("what a broker resets is a reset for the client too", async () => {
  const { echo, proxy } = await scene();
  const client = new Client(proxy.url);
  await client.asks("a");
  const lost = client.ends();
  echo.sockets[0]?.resetAndDestroy();
  expect(await lost).toBe("ECONNRESET");
});

test("a frozen connection stays open and passes nothing until it thaws", async () => {
  const { echo, proxy } = await scene();
  const client = new Client(proxy.url);
  await client.asks("before");
  proxy.freeze();
  client.socket.write("during");
  await roundTripBeside(echo);
  expect(echo.heard).toBe("beforebeside");
  expect(proxy.connections).toBe(1);
  proxy.thaw();
  await client.gets("during");
});

test("a connection that begins frozen is taken, and gets no answer until it thaws", async () => {
  const { echo, proxy } = await scene();
  proxy.freeze();
  const client = new Client(proxy.url);
  await once(client.socket, "connect");
  client.socket.write("hello");
  await roundTripBeside(echo);
  expect(echo.heard).toBe("beside");
  proxy.thaw();
  await client.gets("hello");
});

test("frozen to the client alone, the broker hears what the client says, and its answers wait", async () => {
  const { echo, proxy } = await scene();
  const client = new Client(proxy.url);
  await client.asks("a");
  proxy.freeze("to-client");
  client.socket.write("publish");
  await echo.hears("publish");
  await roundTripBeside(echo);
  expect(client.got).toBe("a");
  proxy.thaw();
  await client.gets("publish");
});

test("the end of a connection waits while it is frozen", async () => {
  const { echo, proxy } = await scene();
  const client = new Client(proxy.url);
  await client.asks("a");
  const end = client.ends();
  proxy.freeze();
  echo.sockets[0]?.resetAndDestroy();
  await roundTripBeside(echo);
  expect(client.socket.destroyed).toBe(false);
  proxy.thaw();
  expect(await end).toBe("ECONNRESET");
});

test("a refusing proxy keeps what is open, and lets in again on the same port", async () => {
  const { proxy } = await scene();
  const first = new Client(proxy.url);
  await first.asks("a");
  proxy.refuse();
  expect(await new Client(proxy.url).ends()).toBe("ECONNREFUSED");
  await first.asks("b");
  await proxy.accept();
  await new Client(proxy.url).asks("c");
  expect(proxy.connections).toBe(2);
});

test("without a broker behind it, a connection is reset", async () => {
  const { echo, proxy } = await scene();
  echo.server.close();
  expect(await new Client(proxy.url).ends()).toBe("ECONNRESET");
});
