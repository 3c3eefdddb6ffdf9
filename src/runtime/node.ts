/**
 * One node: the services, and the tree that owns them.
 *
 * Owns the order of start (broker, threads, admission, system, partitions, shutdown handler) and with it the order
 * of stop, which is the reverse: the shutdown handler first, so that bodies get their time, the broker last.
 */
import type { AdmissionMessage } from "../actors/admission.ts";
import { BuriedLimit } from "../actors/buried-limit.ts";
import { CallbackList } from "../actors/callbacks.ts";
import { Catalogue } from "../actors/catalogue.ts";
import { EventHub } from "../actors/events.ts";
import { gatewayKeeper } from "../actors/external/keeper.ts";
import type { ExternalEvent, ExternalPool } from "../actors/external/pool.ts";
import { brokerKeeper, type KeeperArgs, threadKeeper } from "../actors/keepers.ts";
import { poolAdmission } from "../actors/pool-admission.ts";
import { HOME, ResultPost, WANT } from "../actors/result-post.ts";
import { Results } from "../actors/results.ts";
import type { NodeServices } from "../actors/services.ts";
import { shutdownHandler } from "../actors/shutdown-handler.ts";
import { type Command, system } from "../actors/system.ts";
import { type Wanted, waitingPartitions } from "../actors/waiting-partitions.ts";
import type { BrokerContext } from "../broker/factory.ts";
import { childSpec } from "../kernel/child-spec.ts";
import { dynamicSupervisor } from "../kernel/dynamic-supervisor.ts";
import { Kernel } from "../kernel/kernel.ts";
import { supervisor } from "../kernel/supervisor.ts";
import type { ChildSpec, Clock, ExitNotice, Ref } from "../kernel/types.ts";
import type { LoadedJob } from "../threads/modules/load.ts";
import type { ThreadPool } from "../threads/types.ts";
import type { Translator } from "./bindings.ts";
import type { CheckedOptions } from "./options.ts";
import { Reload } from "./reload.ts";
import { othersOf } from "./room.ts";
import { NodeSize } from "./size.ts";

/** Names of the node's own actors. */
export const names = {
  root: "runtime",
  partitionSupervisor: "partition-supervisor",
  waitingPartitions: "waiting-partitions",
} as const;

/** Most jobs a thread is handed ahead of its slot, however short they are (decision 5). */
const HAND_AHEAD = 64;

/** The services with their one late part: admission's address, which changes when it is restarted. */
export type MutableServices = { -readonly [K in keyof NodeServices]: NodeServices[K] };

export interface Node {
  readonly kernel: Kernel;
  readonly services: MutableServices;
  readonly external: ExternalPool;
  readonly commands: Map<string, Command>;
  /** What makes jobs of other systems' messages. */
  readonly translator: Translator;
  /** Partitions that are to run here; outlives the actor that tends them. */
  readonly wanted: Map<string, Wanted>;
  /** How many threads and bodies; outlives admission. */
  readonly size: NodeSize;
  /** Only with `watch`. */
  readonly reload: Reload | undefined;
}

export interface NodeParts {
  readonly options: CheckedOptions;
  readonly clock: Clock;
  readonly pool: ThreadPool;
  readonly external: ExternalPool;
  readonly jobs: readonly LoadedJob[];
}

export function makeNode(parts: NodeParts): Node {
  const { options, clock, pool, external, jobs } = parts;
  const { logger, node } = options;
  const now = () => clock.now();
  const events = new EventHub(node, now, (error) => logger.error("an event listener threw", error));
  const catalogue = new Catalogue(
    options.retryLevels,
    options.pools.map(({ name }) => name),
  );
  for (const { definition, url } of jobs) {
    const { name, runsIn, pool: poolName } = definition;
    const inPool = poolName === undefined ? {} : { pool: poolName };
    catalogue.add(definition, pool.register({ name, url, runsIn, ...inPool }));
  }
  const lanes = new Map<string, number>();
  const broker = options.broker.create(brokerContext(options, clock));
  const services: MutableServices = {
    node,
    clock,
    broker,
    buriedLimit: new BuriedLimit({ broker, events, logger, most: options.maxBuried }),
    pool,
    admission: NOBODY,
    catalogue,
    callbacks: new CallbackList(options.callbacks, events),
    events,
    results: new Results(now),
    logger,
    graceMs: options.graceMs,
    unknownJobGraceMs: options.unknownJobGraceMs,
    maxKeyWaiters: options.maxKeyWaiters,
    maxCrashes: options.maxCrashes,
    runsJobs: jobs.length > 0,
    takesJobs: true,
    laneOf: ({ partition, queue }) => {
      const name = `${partition}.${queue}`;
      const lane = lanes.get(name) ?? lanes.size;
      lanes.set(name, lane);
      return lane;
    },
    wedged: new Set(),
    phase: "starting",
  };
  external.tell = (event) => tellOfWorker(services, event);
  const said = new SaidLately();
  const commands = new Map<string, Command>();
  if (services.broker.kind === "rabbitmq") connectResults(services, commands);
  const kernel = new Kernel({ clock, exited: (notice) => exited(notice, services, said) });
  const { payloadLimitBytes } = options;
  const isKnownElsewhere = (job: string) => broker.cluster.knows(job);
  const translator = { catalogue, payloadLimitBytes, isKnownElsewhere };
  const reload = options.watch ? new Reload({ jobs, pool, catalogue, logger }) : undefined;
  const size = new NodeSize(services, options);
  return { kernel, services, external, commands, translator, wanted: new Map(), size, reload };
}

/** That nobody serves a type is in the log as well: its jobs wait, and somebody has to start workers. */
function tellOfWorker({ events, logger }: NodeServices, { type, ...fields }: ExternalEvent): void {
  if (type === "worker.missing" && "waiting" in fields)
    logger.warn(`no worker of type "${fields.serves}" is connected; ${fields.waiting} of its jobs wait here`);
  events.emit(type, fields as never);
}

/** Ends of jobs travel between nodes, for those who wait for them elsewhere. */
function connectResults(services: NodeServices, commands: Map<string, Command>): void {
  const { node, results, clock, events } = services;
  const post = new ResultPost({ node, cluster: services.broker.cluster, results, clock });
  results.connect(post);
  commands.set(WANT, (args) => post.want(args));
  commands.set(HOME, (args) => post.home(args));
  events.on("broker.lost", () => post.lost());
  events.on("broker.connected", () => post.connected());
}

function brokerContext(options: CheckedOptions, clock: Clock): BrokerContext {
  const { node, maxCrashes, nodeTimeoutMs, unknownJobGraceMs, retryLevels, logger, graceMs, persister } =
    options;
  const regrantMs = graceMs.cancel + REGRANT_MS;
  const context = {
    node,
    maxCrashes,
    clock,
    nodeTimeoutMs,
    unknownJobGraceMs,
    retryLevels,
    logger,
    regrantMs,
  };
  return persister === undefined ? context : { ...context, persister };
}

/** Beside the grace of a cancel: what a kill, its capture and the thread's exit take. */
const REGRANT_MS = 2_000;

/** Before admission has started nobody can ask it. */
const NOBODY: Ref<AdmissionMessage> = { name: "admission", pid: 0, cast: () => false };

function exited(notice: ExitNotice, services: NodeServices, said: SaidLately): void {
  services.events.emit("actor.exited", { actor: notice.actor, reason: notice.reason });
  const { reason, actor } = notice;
  if (reason.kind !== "crash" || services.phase === "starting") return;
  // a partition that cannot start is tried every second: the same words are not written each time
  if (!said.isNew(`${actor}: ${reason.error.message}`, services.clock.now())) return;
  services.logger.error(`${actor} crashed`, reason.error);
}

const SAME_MS = 60_000;
const MOST_SAID = 1_000;

/** What was written to the log within the last minute. */
class SaidLately {
  readonly #at = new Map<string, number>();

  isNew(text: string, now: number): boolean {
    if (now - (this.#at.get(text) ?? Number.NEGATIVE_INFINITY) < SAME_MS) return false;
    if (this.#at.size >= MOST_SAID) this.#at.clear();
    this.#at.set(text, now);
    return true;
  }
}

/** Starts the tree; rejects with what kept its first child from starting, with nothing left running. */
export function startTree(
  node: Node,
  options: CheckedOptions,
  fatal: (error: Error) => void,
): Promise<Ref<never>> {
  const { services, commands, wanted } = node;
  const keeper: KeeperArgs = { services, fatal, partitions: () => wanted.keys() };
  const children: ChildSpec[] = [
    childSpec({
      id: "broker",
      behaviour: brokerKeeper,
      args: () => keeper,
      name: "broker",
      shutdownMs: 60_000,
    }),
    childSpec({
      id: "thread-pool",
      behaviour: threadKeeper,
      args: () => keeper,
      name: "thread-pool",
      shutdownMs: 60_000,
    }),
    ...gatewaySpecs(node, options),
    admissionSpec(node, options),
    childSpec({ id: "system", behaviour: system, args: () => ({ services, commands }), name: "system" }),
    childSpec({
      id: "partition-supervisor",
      behaviour: dynamicSupervisor({}),
      args: () => undefined,
      name: names.partitionSupervisor,
      type: "supervisor",
    }),
    childSpec({
      id: "waiting-partitions",
      behaviour: waitingPartitions,
      args: () => ({ services, wanted, supervisorName: names.partitionSupervisor }),
      name: names.waitingPartitions,
    }),
    childSpec({
      id: "shutdown-handler",
      behaviour: shutdownHandler,
      args: () => ({
        services,
        shutdownTimeoutMs: options.shutdownTimeoutMs,
        partitionsName: names.waitingPartitions,
      }),
      name: "shutdown-handler",
      shutdownMs: options.shutdownTimeoutMs + 5_000,
    }),
  ];
  const root = supervisor({
    strategy: "rest_for_one",
    children,
    intensity: { restarts: 5, periodMs: 10_000 },
  });
  return node.kernel.start(root, undefined, { name: names.root });
}

/** Its stop takes as long as farewells do. */
function gatewaySpecs({ external }: Node, { gateways }: CheckedOptions): ChildSpec[] {
  if (gateways.length === 0) return [];
  const spec = childSpec({
    id: "gateways",
    behaviour: gatewayKeeper,
    args: () => ({ gateways, workers: external }),
    name: "gateways",
    shutdownMs: 30_000,
  });
  return [spec];
}

function admissionSpec({ services, size }: Node, options: CheckedOptions): ChildSpec {
  const { maxWedged, pools } = options;
  const all = {
    shares: services.broker.kind === "rabbitmq",
    handAhead: HAND_AHEAD,
    announceWaiting: () => services.events.wants("job.waiting"),
  };
  const named = pools.map((pool, at) => ({
    ...pool,
    ...all,
    pool: at + 1,
    watermark: pool.threads * pool.jobsPerThread,
  }));
  const others = all.shares
    ? othersOf(
        services,
        pools.map(({ name }) => name),
      )
    : undefined;
  return childSpec({
    id: "admission",
    behaviour: {
      ...poolAdmission,
      init: (args, self) => {
        services.admission = self.ref;
        return poolAdmission.init(args, self);
      },
    },
    args: () => ({ own: { ...size.now, maxWedged, ...all, pool: 0 }, named, others }),
    name: "admission",
  });
}
