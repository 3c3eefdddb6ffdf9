/**
 * The parts of a broker on RabbitMQ, put together.
 *
 * Owns nothing that lives: what each part owns is said in its file. Everything that must be let go of begins with
 * `Connections.open`.
 */
import { randomBytes } from "node:crypto";
import type { BrokerEvents, QueueRef } from "../broker/contract.ts";
import type { BrokerContext, BrokerLogger } from "../broker/factory.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { systemClock } from "../kernel/clock.ts";
import type { Clock } from "../kernel/types.ts";
import { RabbitCluster } from "./cluster.ts";
import { Connections } from "./connections.ts";
import { Coordinators } from "./coordinator/coordinators.ts";
import { JobKeys } from "./coordinator/job-keys.ts";
import { type Counted, Counts } from "./counts.ts";
import { Custody } from "./custody.ts";
import { Enqueues } from "./enqueues.ts";
import { Graves } from "./graves.ts";
import { Names } from "./names.ts";
import { checkNodeTimeout, placeOf, type RabbitSettings } from "./options.ts";
import { Outgoing } from "./outgoing.ts";
import { Publisher } from "./publisher.ts";
import { hasCode, plain } from "./refusal.ts";
import { Scratch } from "./scratch.ts";
import { Topology } from "./topology.ts";
import type { VisitParts } from "./visit.ts";

export interface RabbitBrokerOptions extends BrokerContext {
  readonly settings: RabbitSettings;
}

export interface Parts {
  readonly settings: RabbitSettings;
  readonly clock: Clock;
  readonly node: string;
  readonly nodeTimeoutMs: number;
  readonly logger: BrokerLogger;
  /** Where the broker is, for people. */
  readonly place: string;
  readonly names: Names;
  readonly connections: Connections;
  readonly topology: Topology;
  readonly publisher: Publisher;
  readonly outgoing: Outgoing;
  readonly cluster: RabbitCluster;
  readonly custody: Custody;
  readonly graves: Graves;
  readonly counts: Counts;
  readonly visits: VisitParts;
  /** Asks the broker, now. */
  readonly count: (name: string) => Promise<Counted>;
  readonly exists: (name: string) => Promise<boolean>;
  readonly events: () => BrokerEvents | undefined;
  readonly coordinators: Coordinators;
  readonly keys: JobKeys;
  readonly enqueues: Enqueues;
}

/** What the parts need of the queues' readers, which are made of them. */
export interface ReaderPorts {
  readonly refusalOf: (envelope: Envelope) => Promise<Error | undefined>;
  readonly stopped: (queue: QueueRef) => void;
}

const SILENT: BrokerLogger = { info() {}, warn() {}, error() {} };
const NODE_TIMEOUT_MS = 10_000;

/** What the parts below need of each other before all of them are there. */
type Late = () => Parts;

export function partsOf(options: RabbitBrokerOptions, readers: ReaderPorts): Parts {
  const { settings, node, clock = systemClock, logger = SILENT, nodeTimeoutMs = NODE_TIMEOUT_MS } = options;
  checkNodeTimeout(nodeTimeoutMs, settings);
  const place = `RabbitMQ at ${placeOf(settings)}`;
  const names = new Names(settings.prefix);
  const late: Late = () => parts;
  const connections = new Connections(late, settings, clock, node);
  const scratch = new Scratch(connections.consume, clock, place);
  const { queueType, newQueueGraceMs: graceMs } = settings;
  const topology = new Topology({ scratch, names, clock, broker: place, queueType, graceMs });
  const boot = randomBytes(6).toString("hex");
  const own = { settings, clock, node, boot, nodeTimeoutMs, logger, place, names, connections, topology };
  const publisher = publisherOf(own);
  const outgoing = new Outgoing({
    publisher,
    topology,
    names,
    clock,
    retryLevels: options.retryLevels ?? [],
  });
  const cluster = clusterOf(own, late);
  const say: RabbitCluster["say"] = (kind, body, to) => cluster.say(kind, body, to);
  const custody = new Custody({ clock, node, peers: cluster.peers, say, canAsk: () => cluster.isOpen });
  const count = countBy(scratch);
  const exists = async (name: string) => (await count(name)).ready !== undefined;
  const republish: VisitParts["republish"] = (queue, message) => outgoing.republish(queue, message);
  const visits: VisitParts = { link: connections.consume, clock, republish };
  const coordinators = coordinatorsOf(own, late, exists, readers, options.regrantMs ?? REGRANT_MS);
  const keys = new JobKeys(coordinators);
  const enqueues = new Enqueues({ connections, outgoing, keys, clock, place, refusalOf: readers.refusalOf });
  const enqueue = (envelope: Envelope) => enqueues.one(envelope);
  const dropped = (partition: string, ids: readonly string[]) => keys.dropped(partition, ids);
  const graves = new Graves({ ...visits, names, broker: place, exists, enqueue, dropped });
  const counts = new Counts(clock, count);
  const events = () => connections.events;
  const parts: Parts = {
    ...own,
    publisher,
    outgoing,
    cluster,
    custody,
    graves,
    counts,
    visits,
    count,
    exists,
    events,
    coordinators,
    keys,
    enqueues,
  };
  return parts;
}

type Own = Pick<
  Parts,
  "settings" | "clock" | "node" | "nodeTimeoutMs" | "logger" | "place" | "names" | "connections" | "topology"
> & { readonly boot: string };

function publisherOf({ connections, clock, place, settings, topology, logger }: Own): Publisher {
  return new Publisher({
    link: connections.publish,
    clock,
    broker: place,
    blockedTimeoutMs: settings.blockedTimeoutMs,
    prepare: () => topology.base(),
    warn: (text) => logger.warn(plain(text)),
  });
}

function clusterOf(own: Own, late: Late): RabbitCluster {
  const { connections, clock, node, boot, nodeTimeoutMs, logger, place, names, topology, settings } = own;
  return new RabbitCluster({
    consumeLink: connections.consume,
    publishLink: connections.publish,
    names,
    prepare: () => topology.base(),
    warn: (text) => logger.warn(plain(text)),
    clock,
    node,
    boot,
    broker: place,
    nodeTimeoutMs,
    queueType: settings.queueType,
    listener: {
      node: (name, itsBoot, state) => {
        connections.events?.node(name, state);
        if (state === "gone") late().custody.peerGone(name);
        if (state !== "late") late().coordinators.peer({ node: name, boot: itsBoot }, state === "up");
      },
      mixed: (name, difference) => connections.events?.mixed(name, difference),
      question: (kind, from, body) =>
        kind === COORDINATOR ? late().coordinators.heard(body) : late().custody.heard(kind, from, body),
      look: () => late().custody.look(),
      connected: () => {
        connections.heardAgain();
        late().coordinators.reconnected();
      },
      unheard: () => connections.events?.keysEnd(),
    },
    candidate: (partition, face) => late().coordinators.candidate(partition, face),
  });
}

/** The kind of message by which a coordinator speaks. */
const COORDINATOR = "coordinator";
const REGRANT_MS = 3_000;

function coordinatorsOf(
  { connections, clock, node, boot, logger, place, names, settings }: Own,
  late: Late,
  exists: (name: string) => Promise<boolean>,
  readers: ReaderPorts,
  regrantMs: number,
): Coordinators {
  return new Coordinators({
    link: connections.coordinate,
    clock,
    names,
    self: { node, boot },
    broker: place,
    graceMs: settings.newQueueGraceMs,
    regrantMs,
    exists,
    put: (queue, bytes) => late().cluster.put(queue, bytes),
    say: (body, to) => late().cluster.say(COORDINATOR, body, to),
    peers: () => late().cluster.peers.alive.map((peer) => ({ node: peer.name, boot: peer.boot })),
    young: () => late().cluster.peers.young,
    out: (partition) => ({
      marked: () => {},
      paused: (queue, paused) => {
        readers.stopped({ partition, queue });
        connections.events?.paused({ partition, queue }, paused);
      },
      released: (kind, key) => connections.events?.released(partition, kind, key),
    }),
    warn: (text) => logger.warn(plain(text)),
  });
}

/** A passive declaration: the only count that costs nobody anything. */
function countBy(scratch: Scratch): (name: string) => Promise<Counted> {
  return (name) =>
    scratch
      .call((channel) => channel.checkQueue(name))
      .then(
        ({ messageCount, consumerCount }) => ({ ready: messageCount, consumers: consumerCount }),
        (error: unknown) => {
          if (hasCode(error, 404)) return { ready: undefined, consumers: 0 };
          throw error;
        },
      );
}
