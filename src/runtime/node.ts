/**
 * One node: the services, and the tree that owns them.
 *
 * Owns the order of start (broker, threads, admission, system, partitions, shutdown handler) and with it the order
 * of stop, which is the reverse: the shutdown handler first, so that bodies get their time, the broker last.
 */
import { type AdmissionMessage, admission } from "../actors/admission.ts";
import { BuriedLimit } from "../actors/buried-limit.ts";
import { CallbackList } from "../actors/callbacks.ts";
import { Catalogue } from "../actors/catalogue.ts";
import { EventHub } from "../actors/events.ts";
import { brokerKeeper, type KeeperArgs, threadKeeper } from "../actors/keepers.ts";
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
import type { LoadedJob } from "../threads/modules.ts";
import type { ThreadPool } from "../threads/types.ts";
import type { CheckedOptions } from "./options.ts";

/** Names of the node's own actors. */
export const names = {
  root: "runtime",
  partitionSupervisor: "partition-supervisor",
  waitingPartitions: "waiting-partitions",
} as const;

/** Most jobs a thread is handed ahead of its slot (`reference` figures: docs/decisions). */
const HAND_AHEAD = 16;

/** The services with their one late part: admission's address, which changes when it is restarted. */
export type MutableServices = { -readonly [K in keyof NodeServices]: NodeServices[K] };

export interface Node {
  readonly kernel: Kernel;
  readonly services: MutableServices;
  readonly commands: Map<string, Command>;
  /** Partitions that are to run here; outlives the actor that tends them. */
  readonly wanted: Map<string, Wanted>;
}

export interface NodeParts {
  readonly options: CheckedOptions;
  readonly clock: Clock;
  readonly pool: ThreadPool;
  readonly jobs: readonly LoadedJob[];
}

export function makeNode(parts: NodeParts): Node {
  const { options, clock, pool, jobs } = parts;
  const { logger, node } = options;
  const now = () => clock.now();
  const events = new EventHub(node, now, (error) => logger.error("an event listener threw", error));
  const catalogue = new Catalogue(options.retryLevels);
  for (const { definition, url } of jobs)
    catalogue.add(definition, pool.register({ name: definition.name, url }));
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
    runsJobs: jobs.length > 0,
    laneOf: ({ partition, queue }) => {
      const name = `${partition}.${queue}`;
      const lane = lanes.get(name) ?? lanes.size;
      lanes.set(name, lane);
      return lane;
    },
    wedged: new Set(),
    phase: "starting",
  };
  const said = new SaidLately();
  const commands = new Map<string, Command>();
  if (services.broker.kind === "rabbitmq") connectResults(services, commands);
  const kernel = new Kernel({ clock, exited: (notice) => exited(notice, services, said) });
  return { kernel, services, commands, wanted: new Map() };
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
  const { node, maxCrashes, nodeTimeoutMs, retryLevels, logger, graceMs } = options;
  const regrantMs = graceMs.cancel + REGRANT_MS;
  return { node, maxCrashes, clock, nodeTimeoutMs, retryLevels, logger, regrantMs };
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
    admissionSpec(services, options),
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

function admissionSpec(services: MutableServices, options: CheckedOptions): ChildSpec {
  const { watermark, threads, maxWedged } = options;
  return childSpec({
    id: "admission",
    behaviour: {
      ...admission,
      init: (args, self) => {
        services.admission = self.ref;
        return admission.init(args, self);
      },
    },
    args: () => ({
      watermark,
      threads,
      maxWedged,
      handAhead: HAND_AHEAD,
      announceWaiting: () => services.events.wants("job.waiting"),
    }),
    name: "admission",
  });
}
