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

// Three nodes of the installed version; the third one is stopped in the middle of the suite.
if (process.env.SPILLWAY_RABBITMQ !== undefined) {
  const STOPPED_BEFORE = 18;
  let cluster: Promise<PrivateBroker[]> | undefined;
  let made = 0;
  describe("on a cluster of three", () => {
    afterAll(async () => void (await Promise.all(((await cluster) ?? []).map((node) => node.dispose()))));
    const make = async () => {
      cluster ??= PrivateBroker.cluster();
      const [first, , third] = await cluster;
      made += 1;
      if (made === STOPPED_BEFORE) await third?.stop();
      return subject(first?.url ?? "", "quorum");
    };
    conformance("rabbitmq, a cluster that loses a node", make, CAN);
  });
}
