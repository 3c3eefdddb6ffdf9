/**
 * Coordinators as processes that are killed and frozen: the next one answers within seconds, and never wrongly.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Channel, connect } from "amqplib";
import { expect, onTestFinished, test } from "vitest";
import { Names } from "../../../src/amqp/names.ts";
import { cleanUp, describeAmqp, freshPrefix } from "../support/broker.ts";

const KEEPER = fileURLToPath(new URL("./fixtures/keeper.ts", import.meta.url));
const HEARTBEAT_MS = 2_000;

class Keeper {
  readonly lines: string[] = [];
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  readonly #said = new EventEmitter();

  constructor(url: string, prefix: string) {
    const separator = url.includes("?") ? "&" : "?";
    const args = ["--import", "tsx", KEEPER, `${url}${separator}heartbeat=${HEARTBEAT_MS / 1_000}`, prefix];
    this.#child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    createInterface(this.#child.stdout).on("line", (line) => {
      this.lines.push(line);
      this.#said.emit("line");
    });
    onTestFinished(async () => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
      this.#child.kill("SIGKILL");
      await once(this.#child, "exit");
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with the first line that has this in it, of those from `from` on. */
  async line(text: string, from = 0): Promise<string> {
    for (;;) {
      const found = this.lines.slice(from).find((line) => line.includes(text));
      if (found !== undefined) return found;
      await once(this.#said, "line");
    }
  }
}

interface Answer {
  readonly n: number;
  readonly key: string;
  readonly holder: string;
  readonly epoch: number;
}

/** Asks for keys, each for two ids at once, and keeps twenty calls on the way. As a node does, it asks each new coordinator again. */
class Client {
  readonly answers: Answer[] = [];
  readonly #asked = new Map<number, { readonly call: object; readonly answered: () => void }>();
  readonly #heard = new EventEmitter();
  #next = 0;
  #isOver = false;
  #workers: Promise<unknown> = Promise.resolve();

  constructor(
    readonly channel: Channel,
    readonly names: Names,
    readonly to: string,
  ) {}

  static async start(url: string, names: Names): Promise<Client> {
    const connection = await connect(url);
    onTestFinished(() => connection.close());
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue("", { exclusive: true });
    const client = new Client(channel, names, queue);
    await channel.consume(queue, (message) => client.#answered(String(message?.content)), { noAck: true });
    client.#workers = Promise.all(Array.from({ length: 20 }, () => client.#work()));
    return client;
  }

  /** Resolves when so many were answered in this epoch. */
  async answered(count: number, epoch: number): Promise<void> {
    while (this.answers.filter((one) => one.epoch === epoch).length < count)
      await once(this.#heard, "answer");
  }

  /** Resolves when all that was asked is answered. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#workers;
    expect(this.#asked.size).toBe(0);
  }

  async #work(): Promise<void> {
    while (!this.#isOver) {
      const n = this.#next++;
      const call = { n, key: `k${n >> 1}`, id: `id${n}`, to: this.to };
      await new Promise<void>((answered) => {
        this.#asked.set(n, { call, answered });
        this.#send(call);
      });
    }
  }

  askAgain(): void {
    for (const { call } of this.#asked.values()) this.#send(call);
  }

  #send(call: object): void {
    const key = this.names.coordinator("p");
    this.channel.publish(this.names.system, key, Buffer.from(JSON.stringify(call)));
  }

  #answered(text: string): void {
    const answer = JSON.parse(text) as Answer;
    this.answers.push(answer);
    this.#asked.get(answer.n)?.answered();
    this.#asked.delete(answer.n);
    this.#heard.emit("answer");
  }

  /** Nobody is told of two holders of a key, and no epoch is heard behind a higher one. */
  expectNoneWrong(): void {
    const holders = new Map<string, Set<string>>();
    let epoch = 0;
    for (const one of this.answers) {
      holders.set(one.key, (holders.get(one.key) ?? new Set()).add(one.holder));
      expect(one.epoch).toBeGreaterThanOrEqual(epoch);
      epoch = one.epoch;
    }
    expect([...holders].filter(([, ids]) => ids.size > 1)).toEqual([]);
  }
}

async function twoKeepers(url: string): Promise<{ a: Keeper; b: Keeper; client: Client }> {
  const names = new Names(freshPrefix());
  const prefix = names.system.split(".")[0] ?? "";
  onTestFinished(() => cleanUp(url, { queues: [names.journal("p")], exchanges: [names.system] }));
  const a = new Keeper(url, prefix);
  await a.line("elected 1");
  const b = new Keeper(url, prefix);
  await b.line("standing");
  const client = await Client.start(url, names);
  await client.answered(200, 1);
  return { a, b, client };
}

/** How long after `began` it answered. */
async function takenOver(b: Keeper, client: Client, began: number): Promise<number> {
  await b.line("elected 2");
  client.askAgain();
  await client.answered(1, 2);
  return Date.now() - began;
}

describeAmqp("a coordinator's process", (url) => {
  test("that is killed is followed by the next at once: every call is answered, and none wrongly", async () => {
    const { a, b, client } = await twoKeepers(url);
    const began = Date.now();
    a.kill("SIGKILL");
    const served = await takenOver(b, client, began);
    expect(served).toBeLessThan(2 * HEARTBEAT_MS);
    await client.answered(200, 2);
    await client.end();
    client.expectNoneWrong();
  });

  test("that hangs is followed within four heartbeats, and answers nothing wrong when it wakes", async () => {
    const { a, b, client } = await twoKeepers(url);
    const began = Date.now();
    a.kill("SIGSTOP");
    const served = await takenOver(b, client, began);
    expect(served).toBeLessThan(4 * HEARTBEAT_MS);
    const from = a.lines.length;
    a.kill("SIGCONT");
    await a.line("deposed", from);
    await a.line("standing", from);
    await client.answered(200, 2);
    b.kill("SIGKILL");
    await a.line("elected 3");
    client.askAgain();
    await client.answered(200, 3); // and it is a candidate as any other
    await client.end();
    client.expectNoneWrong();
    expect(a.lines.filter((line) => /^elected \d/.test(line)).length).toBe(2);
  });
});
