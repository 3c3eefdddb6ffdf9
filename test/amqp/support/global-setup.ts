/**
 * The broker that a whole run of tests has in common: found or started when the first test asks, not before.
 *
 * Owns the broker it has started, and says once, at the end of the run, which tests were left out for want of one.
 * Test files run in processes of their own; they ask over a port of the loopback address.
 */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { connect } from "amqplib";
import type { TestProject } from "vitest/node";
import { isInstalled, PrivateBroker } from "./private-broker.ts";

/** What a test file is told. `error`: there should have been a broker, and it did not start. */
export interface Available {
  readonly sharedUrl?: string;
  readonly installed: boolean;
  readonly error?: string;
}

/** What a test needs: a broker that it leaves as it is, or one of its own to kill. */
export type Need = "shared" | "private";

export const HOW_TO_RUN =
  "they need a RabbitMQ; install Debian's rabbitmq-server, or set AMQP_URL for those that do not kill it";

declare module "vitest" {
  export interface ProvidedContext {
    readonly amqpAskPort: number;
  }
}

const DEFAULT_URL = "amqp://guest:guest@localhost:5672";
const PROBE_MS = 3_000;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const own: PrivateBroker[] = [];
  let found: Promise<Available> | undefined;
  let leftOut = false;
  const server = createServer((socket) => {
    // A test process that is gone before its answer is nobody's concern.
    socket.on("error", () => socket.destroy());
    socket.once("data", async (need) => {
      found ??= find(own);
      const available = await found;
      leftOut ||= !provides(available, String(need));
      socket.end(JSON.stringify(available));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  project.provide("amqpAskPort", (server.address() as AddressInfo).port);
  return async () => {
    server.close();
    await found;
    if (leftOut) console.log(`\nTests were left out: ${HOW_TO_RUN}\n`);
    for (const broker of own) await broker.dispose();
  };
}

export function provides({ sharedUrl, installed, error }: Available, need: Need | string): boolean {
  return error !== undefined || (need === "private" ? installed : sharedUrl !== undefined);
}

async function find(own: PrivateBroker[]): Promise<Available> {
  try {
    const installed = await isInstalled();
    const there = process.env.AMQP_URL ?? ((await answers(DEFAULT_URL)) ? DEFAULT_URL : undefined);
    if (there !== undefined) return { sharedUrl: there, installed };
    if (!installed) return { installed };
    const broker = await PrivateBroker.start("installed");
    own.push(broker);
    return { sharedUrl: broker.url, installed };
  } catch (error) {
    return { installed: true, error: String(error) };
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const connection = await connect(url, { timeout: PROBE_MS });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}
