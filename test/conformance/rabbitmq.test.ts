/**
 * The conformance suite on RabbitMQ, with quorum and with classic work queues: on the shared broker, and on each version
 * that SPILLWAY_RABBITMQ names (3.10, 4.0, 4.3), on a private broker of its own; with SPILLWAY_RABBITMQ_CLUSTER=4.3 (or
 * another version) on a cluster of three whose third node is stopped in the middle.
 */
import { afterAll, beforeAll, describe } from "vitest";
import { RabbitBroker } from "../../src/amqp/broker.ts";
import { checkRabbit, type QueueType } from "../../src/amqp/options.ts";
import { describeVersions, freshPrefix, PrivateBroker, START_MS } from "../amqp/support/broker.ts";
import { cleanUpPrefix } from "../amqp/support/made.ts";
import { brokerVersion } from "../amqp/support/private-broker.ts";
import { conformance } from "./broker.ts";
import { ALL, OTHER, Q, type Subject } from "./harness.ts";

const CAN = { ...ALL, index: false, tickMs: 1_000 };
const TYPES: readonly QueueType[] = ["quorum", "classic"];
const TWO = { partition: "two", queue: "mail" };

function subject(url: string, queueType: QueueType): Subject {
  const prefix = freshPrefix();
  // the shortest silence that the options take: a node that is opened again waits it out
  const settings = checkRabbit({ url, prefix, queueType, newQueueGrace: 0, heartbeat: 1 });
  let nodes = 0;
  const create = () => new RabbitBroker({ settings, node: `node-${++nodes}`, nodeTimeoutMs: 7_000 });
  return { broker: create(), reopen: create, dispose: () => cleanUpPrefix(url, prefix, [Q, OTHER, TWO]) };
}

describeVersions("rabbitmq", (url) => {
  for (const queueType of TYPES) conformance(queueType, async () => subject(url(), queueType), CAN);
});

// Three nodes; the third one is stopped in the middle of the suite. Some minutes: asked for by name.
const clustered = process.env.SPILLWAY_RABBITMQ_CLUSTER;
if (clustered !== undefined) {
  const STOPPED_BEFORE = 18;
  let nodes: PrivateBroker[] = [];
  let made = 0;
  describe("on a cluster of three", () => {
    beforeAll(async () => {
      nodes = await PrivateBroker.cluster(brokerVersion(clustered));
    }, START_MS);
    afterAll(async () => void (await Promise.all(nodes.map((node) => node.dispose()))));
    const make = async () => {
      made += 1;
      if (made === STOPPED_BEFORE) await nodes[2]?.stop();
      return subject(nodes[0]?.url ?? "", "quorum");
    };
    conformance("rabbitmq, a cluster that loses a node", make, CAN);
  });
}
