/**
 * The two children of the tree that own what is outside it: the broker and the thread pool.
 *
 * Each opens its resource in `init`, so nothing behind it starts before it is there, and lets go of it in
 * `terminate`, so nothing before it ends while it is held. A store that was taken from us is fatal to the node.
 */

import type { QueueRef } from "../broker/contract.ts";
import { JobFailed } from "../jobs/errors.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import type { Behaviour, From, KernelApi, Ref } from "../kernel/types.ts";
import type { ConsumerMessage } from "./consumer.ts";
import { tellPurged, unmark } from "./endings.ts";
import { partitionNames } from "./partition.ts";
import type { NodeServices } from "./services.ts";
import type { WorkerSupervisorMessage } from "./worker-supervisor.ts";

export interface KeeperArgs {
  readonly services: NodeServices;
  /** The node cannot go on: its store belongs to somebody else now. */
  readonly fatal: (error: Error) => void;
  /** Partitions that are to run here now. */
  readonly partitions: () => Iterable<string>;
}

type Kept = KeeperArgs;
const FATAL: ReadonlySet<string> = new Set(["StoreTaken", "StoreDamaged", "StoreUnreadable"]);

export const brokerKeeper: Behaviour<Kept, never, never, KeeperArgs> = {
  kind: "broker",
  init: async (args, self) => {
    const { broker, events, catalogue } = args.services;
    const name = broker.description;
    await broker.open({
      connected: () => events.emit("broker.connected", { broker: name }),
      lost: (error) => {
        events.emit("broker.lost", { broker: name, error });
        if (FATAL.has(error.name)) args.fatal(error);
      },
      blocked: (reason) => events.emit("broker.blocked", { broker: name, reason }),
      unblocked: () => events.emit("broker.unblocked", { broker: name }),
      buried: (partition, queue, id, record) =>
        buriedByBroker(args.services, { partition, queue, id }, record),
      purged: (queue, id) => {
        tellPurged(args.services, queue, id);
        unmark(args.services, queue.partition, id).catch(() => {}); // it expires
      },
      node: (other, state) => events.emit(`node.${state}`, { name: other }),
      mixed: (other, difference) => mixed(args.services, other, difference),
      paused: (queue, paused) => follow(self.kernel, args.services, queue, paused),
      keysEnd: () => endKeyed(self.kernel, args.partitions()),
      released: (partition, kind, key) => events.emit("key.released", { partition, kind, key }),
    });
    broker.cluster.announce(catalogue.names);
    warnOfLongJobs(args.services);
    return args;
  },
  step: () => {},
  // A body that hangs in a native call still runs: its job must not be handed out elsewhere while it does.
  terminate: (s) => (s.services.wedged.size === 0 ? s.services.broker.close() : undefined),
  describe: (s) => ({ broker: s.services.broker.description }),
};

/** Bodies under execution keys are ended, and their jobs handed back with no attempt spent. */
function endKeyed(kernel: KernelApi, partitions: Iterable<string>): void {
  for (const partition of partitions) {
    const supervisor = kernel.whereis(partitionNames(partition).supervisor);
    (supervisor as Ref<WorkerSupervisorMessage> | undefined)?.cast({ t: "keys-end" });
  }
}

/** A pause or resume that some node has asked for: this node's consumer follows. */
function follow(
  kernel: KernelApi,
  { events }: NodeServices,
  { partition, queue }: QueueRef,
  paused: boolean,
): void {
  const consumer = kernel.whereis(partitionNames(partition).consumer) as Ref<ConsumerMessage> | undefined;
  consumer?.cast({ t: paused ? "pause" : "resume", queue, from: NOBODY });
  events.emit(paused ? "queue.paused" : "queue.resumed", { partition, queue });
}

const NOBODY: From<void> = { answer: () => {}, refuse: () => {} };

/** A body may run on for longer; its delivery is then taken back and given out again, and adopted. */
function warnOfLongJobs({ broker, catalogue, logger }: NodeServices): void {
  const limitMs = broker.deliveryTimeoutMs;
  if (limitMs === undefined) return;
  for (const name of catalogue.names) {
    const longestMs = catalogue.get(name)?.definition.maxExecutionTimeMs ?? 0;
    if (longestMs > limitMs)
      logger.warn(
        `job "${name}" may run for ${longestMs / 60_000} min; RabbitMQ takes a delivery back after consumer_timeout (default ${limitMs / 60_000} min). Raise it on the broker above that; until then such a job is given out again, and its running body adopts it.`,
      );
  }
}

/** Two nodes that should not differ: a person has to look at it, so it is in the log as well. */
function mixed({ events, logger }: NodeServices, name: string, difference: string): void {
  logger.warn(`node ${name} differs from this one: ${difference}`);
  events.emit("node.differs", { name, difference });
}

/** Poison and undecodable messages are buried by the broker itself, before any worker sees them. */
function buriedByBroker(
  services: NodeServices,
  of: { partition: string; queue: string; id: string },
  record: BuriedRecord,
): void {
  const error = new JobFailed(of.id, record.error);
  services.results.ended(of.partition, of.id, { kind: "buried", record });
  services.events.emit("job.buried", { ...of, job: "", attempt: 0, reason: record.reason, error });
  services.buriedLimit.buried(of);
}

export const threadKeeper: Behaviour<Kept, never, never, KeeperArgs> = {
  kind: "thread-pool",
  init: async (args) => {
    if (args.services.runsJobs) await args.services.pool.start();
    return args;
  },
  step: () => {},
  terminate: async (s) => {
    await s.services.pool.stop();
  },
  describe: (s) => ({ threads: s.services.pool.threads }),
};
