/**
 * The conformance suite on RabbitMQ, with quorum and with classic work queues: on the shared broker, and on each version
 * that SPILLWAY_RABBITMQ names (3.10, 4.0, 4.3), on a private broker of its own.
 */
import { afterAll, describe } from "vitest";
import { RabbitBroker } from "../../src/amqp/broker.ts";
import { checkRabbit, type QueueType } from "../../src/amqp/options.ts";
import { describeAmqp, freshPrefix, PrivateBroker, versionsUnderTest } from "../amqp/support/broker.ts";
import { cleanUpPrefix } from "../amqp/support/made.ts";
import { conformance } from "./broker.ts";
import { ALL, OTHER, Q, type Subject } from "./harness.ts";

const CAN = { ...ALL, index: false, coordinator: false, tickMs: 1_000 };
const TYPES: readonly QueueType[] = ["quorum", "classic"];
const TWO = { partition: "two", queue: "mail" };

function subject(url: string, queueType: QueueType): Subject {
  const prefix = freshPrefix();
  // the shortest silence that the options take: a node that is opened again waits it out
  const settings = checkRabbit({ url, prefix, queueType, newQueueGrace: 0, heartbeat: 1 });
  let nodes = 0;
  const create = () => new RabbitBroker({ settings, node: `node-${++nodes}`, nodeTimeoutMs: 6_000 });
  return { broker: create(), reopen: create, dispose: () => cleanUpPrefix(url, prefix, [Q, OTHER, TWO]) };
}

describeAmqp("on the shared broker", (url) => {
  for (const queueType of TYPES)
    conformance(`rabbitmq, ${queueType}`, async () => subject(url, queueType), CAN);
});

for (const version of versionsUnderTest()) {
  let started: Promise<PrivateBroker> | undefined;
  describe(`on RabbitMQ ${version}`, () => {
    afterAll(async () => void (await (await started)?.dispose()));
    for (const queueType of TYPES) {
      const make = async () => {
        started ??= PrivateBroker.start(version);
        return subject((await started).url, queueType);
      };
      conformance(`rabbitmq ${version}, ${queueType}`, make, CAN);
    }
  });
}
