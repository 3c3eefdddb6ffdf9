/**
 * What a test of the RabbitMQ broker begins with: a broker to talk to, names of its own, and an end to what it made.
 *
 * Where there is no broker, tests are left out, and the run says so once at its end; with CI=true they fail. A broker
 * that was promised (AMQP_URL, SPILLWAY_RABBITMQ) and is not there is a failure everywhere.
 */
import { randomBytes } from "node:crypto";
import { connect as connectTo } from "node:net";
import { text } from "node:stream/consumers";
import { connect } from "amqplib";
import { afterAll, beforeAll, describe, inject, test } from "vitest";
import { type Available, HOW_TO_RUN, type Need, provides } from "./global-setup.ts";
import { type BrokerVersion, brokerVersion, PrivateBroker } from "./private-broker.ts";

export { type BrokerVersion, PrivateBroker } from "./private-broker.ts";

/**
 * A broker for tests that leave it as it is: `AMQP_URL`, or the one at localhost:5672, or a private one of the whole
 * run. Nothing when there is none to be had.
 */
export async function sharedUrl(): Promise<string | undefined> {
  return (await available("shared")).sharedUrl;
}

/** `describe` for tests on the shared broker. */
export function describeAmqp(name: string, tests: (url: string) => void | Promise<void>): void {
  describe(name, async () => {
    const { sharedUrl } = await available("shared");
    if (sharedUrl === undefined) leftOut();
    else await tests(sharedUrl);
  });
}

/** `describe` for tests that start a `PrivateBroker` of the installed version. */
export function describePrivate(name: string, tests: () => void | Promise<void>): void {
  describe(name, async () => {
    if (provides(await available("private"), "private")) await tests();
    else leftOut();
  });
}

/** Versions that `SPILLWAY_RABBITMQ` asks for (3.10,4.0,4.3), beside the shared broker. None when it is not set. */
export function versionsUnderTest(): BrokerVersion[] {
  const asked = process.env.SPILLWAY_RABBITMQ ?? "";
  return asked
    .split(",")
    .map((version) => version.trim())
    .filter((version) => version !== "")
    .map(brokerVersion);
}

/** A machine that is busy takes its time to start a broker, and more for three. */
export const START_MS = 300_000;

/** `describe` for tests on the shared broker, and on a private one of each version that `SPILLWAY_RABBITMQ` names. */
export function describeVersions(name: string, tests: (url: () => string) => void): void {
  describeAmqp(`${name}, on the shared broker`, (url) => tests(() => url));
  for (const version of versionsUnderTest())
    describe(`${name}, on RabbitMQ ${version}`, () => {
      let started: PrivateBroker | undefined;
      beforeAll(async () => {
        started = await PrivateBroker.start(version);
      }, START_MS);
      afterAll(() => started?.dispose());
      tests(() => started?.url ?? "");
    });
}

/** Begins the names of what one test makes, so that tests can share a broker: letters, digits and one dash. */
export function freshPrefix(): string {
  return `test-${randomBytes(6).toString("hex")}`;
}

export interface Made {
  readonly queues?: readonly string[];
  readonly exchanges?: readonly string[];
}

/** Deletes what a test has made, with all messages. What is not there is no error. */
export async function cleanUp(url: string, { queues = [], exchanges = [] }: Made): Promise<void> {
  const connection = await connect(url);
  try {
    // side by side: a cluster that has lost a node takes 5 s for each quorum queue
    const left = [...queues];
    const one = async () => {
      const channel = await connection.createChannel();
      for (let queue = left.pop(); queue !== undefined; queue = left.pop()) await channel.deleteQueue(queue);
    };
    await Promise.all(Array.from({ length: 8 }, one));
    const channel = await connection.createChannel();
    for (const exchange of exchanges) await channel.deleteExchange(exchange);
  } finally {
    await connection.close();
  }
}

const asked = new Map<Need, Promise<Available>>();

async function available(need: Need): Promise<Available> {
  const answer = asked.get(need) ?? ask(need);
  asked.set(need, answer);
  const { error } = await answer;
  if (error !== undefined) throw new Error(error);
  return answer;
}

/** The main process of the run knows, or finds out: test/amqp/support/global-setup.ts. */
async function ask(need: Need): Promise<Available> {
  const socket = connectTo(inject("amqpAskPort"), "127.0.0.1");
  socket.write(need);
  return JSON.parse(await text(socket)) as Available;
}

function leftOut(): void {
  if (process.env.CI !== "true") test.skip(HOW_TO_RUN, () => {});
  else
    test("there is a RabbitMQ", () => {
      throw new Error(`with CI=true nothing is left out: ${HOW_TO_RUN}`);
    });
}
