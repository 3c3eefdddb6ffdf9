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
import { Bindings } from "./bindings.ts";
import { RabbitCluster } from "./cluster.ts";
import { Connections } from "./connections.ts";
import { Coordinators, type CoordinatorsParts } from "./coordinator/coordinators.ts";
import { JobKeys } from "./coordinator/job-keys.ts";
import { type Counted, Counts } from "./counts.ts";
import { Custody } from "./custody.ts";
import { Enqueues } from "./enqueues.ts";
import { Graves } from "./graves.ts";
import { Names } from "./names.ts";
import { checkNodeTimeout, placeOf, type RabbitSettings } from "./options.ts";
import { Outgoing } from "./outgoing.ts";
import type { Parcel } from "./parcel.ts";
import { Publisher } from "./publisher.ts";
import { hasCode, plain } from "./refusal.ts";
import { Scratch } from "./scratch.ts";
import { Suspects } from "./suspects.ts";
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
  readonly unknownJobGraceMs: number | undefined;
  readonly logger: BrokerLogger;
  /** Where the broker is, for people. */
  readonly place: string;
  readonly names: Names;
  readonly connections: Connections;
  readonly topology: Topology;
  /** Exchanges of other systems. */
  readonly bindings: Bindings;
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
  readonly suspects: Suspects;
  /** Crashes of its own after which a job is buried as poison. */
  readonly maxCrashes: number;
}

/** What the parts need of the queues' readers, which are made of them. */
export interface ReaderPorts {
  readonly refusalOf: (envelope: Envelope) => Promise<Error | undefined>;
  readonly stopped: (queue: QueueRef) => void;
}

const SILENT: BrokerLogger = { info() {}, warn() {}, error() {} };
const NODE_TIMEOUT_MS = 10_000;
const MAX_CRASHES = 3;

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
  const { unknownJobGraceMs } = options;
  const own = {
    settings,
    clock,
    node,
    boot,
    nodeTimeoutMs,
    unknownJobGraceMs,
    logger,
    place,
    names,
    connections,
    topology,
  };
  const publisher = publisherOf(own);
  const { retryLevels = [] } = options;
  const outgoing = new Outgoing({ publisher, topology, names, clock, retryLevels });
  const cluster = clusterOf(own, late);
  const custody = custodyOf(own, cluster, late);
  const count = countBy(scratch);
  const exists = async (name: string) => (await count(name)).ready !== undefined;
  const republish: VisitParts["republish"] = (queue, message) => outgoing.republish(queue, message);
  const visits: VisitParts = { link: connections.consume, clock, republish };
  const { regrantMs = REGRANT_MS, persister } = options;
  const coordinators = coordinatorsOf(own, late, exists, readers, { regrantMs, persister });
  const keys = new JobKeys(coordinators);
  const suspects = new Suspects(coordinators);
  const enqueues = new Enqueues({ connections, outgoing, keys, clock, place, refusalOf: readers.refusalOf });
  const enqueue = (envelope: Envelope) => enqueues.one(envelope);
  const dropped = (partition: string, ids: readonly string[]) => keys.dropped(partition, ids);
  const passOn = (queue: QueueRef, parcel: Parcel, id: string) => outgoing.passOn(queue, parcel, id, 0);
  const graves = new Graves({ ...visits, names, broker: place, exists, enqueue, passOn, dropped });
  const bindings = bindingsOf(own, cluster);
  const counts = new Counts(clock, count);
  const events = () => connections.events;
  const parts: Parts = {
    ...own,
    bindings,
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
    suspects,
    maxCrashes: options.maxCrashes ?? MAX_CRASHES,
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

function bindingsOf({ clock, names, topology, logger }: Own, cluster: RabbitCluster): Bindings {
  return new Bindings({
    clock,
    nameOf: (queue) => names.queue(queue),
    bind: (queue, binding) => topology.bind(queue, binding),
    unbind: (queue, binding) => topology.unbind(queue, binding),
    announce: (all) => cluster.bound(all),
    isElsewhere: (binding) => cluster.peers.binds(binding),
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
      node: (name, itsBoot, state, farewell) => {
        connections.events?.node(name, state);
        if (state === "gone") late().custody.peerGone(name);
        const id = { node: name, boot: itsBoot };
        if (state !== "late") late().coordinators.peer(id, state === "up", farewell);
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

function custodyOf({ clock, node, boot }: Own, cluster: RabbitCluster, late: Late): Custody {
  return new Custody({
    clock,
    node,
    boot,
    peers: cluster.peers,
    say: (kind, body, to) => cluster.say(kind, body, to),
    canAsk: () => cluster.isOpen,
    roll: (partition) => late().coordinators.known(partition)?.roll,
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
  { regrantMs, persister }: Pick<CoordinatorsParts, "regrantMs" | "persister">,
): Coordinators {
  return new Coordinators({
    link: connections.coordinate,
    clock,
    names,
    self: { node, boot },
    broker: place,
    graceMs: settings.newQueueGraceMs,
    regrantMs,
    persister,
    exists,
    put: (queue, bytes) => late().cluster.put(queue, bytes),
    say: (body, to) => late().cluster.say(COORDINATOR, body, to),
    peers: () => late().cluster.peers.alive.map((peer) => ({ node: peer.name, boot: peer.boot })),
    young: () => late().cluster.peers.young,
    out: (partition) => ({
      roll: () => late().custody.look(),
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
