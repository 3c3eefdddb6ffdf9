/**
 * What can be seen of a node and of the cluster.
 *
 * Owns nothing and changes nothing. `node` answers for this node with plain values; `info` asks every node and has
 * one entry each, a late one an error in its place.
 */

import type { ConsumerMessage } from "../actors/consumer.ts";
import type { JobRef, RunningWorker } from "../actors/job-ref.ts";
import type { OpenQueue, Queues } from "../actors/open-queue.ts";
import { partitionNames } from "../actors/partition.ts";
import type { PoolCounts } from "../actors/pool-admission.ts";
import type { WaitingPartitionsMessage, WantedPartition } from "../actors/waiting-partitions.ts";
import type { WorkerSupervisorMessage } from "../actors/worker-supervisor.ts";
import type { NodeAnswer } from "../broker/contract.ts";
import type { From, Ref, TreeNode } from "../kernel/types.ts";
import { type Node, names } from "./node.ts";
import { QueuedJobs, type QueuedList, type QueuedOptions } from "./queued.ts";
import { NodeQueues } from "./queues.ts";
import type { Size } from "./size.ts";

/** One queue as `info` shows it. */
export interface QueueInfo {
  readonly concurrency: number;
  readonly paused: boolean;
  /** On the broker, not in a node's hands. */
  readonly ready: number;
  /** `undefined` on RabbitMQ, where all partitions' scheduled jobs wait in the same queues. */
  readonly scheduled: number | undefined;
  readonly buried: number;
  readonly running: number;
  /** In this node's hands and not started: for a slot or for a key. */
  readonly waiting: number;
  /** 1 when this node consumes it. */
  readonly consumers: number;
}

export type PartitionInfo = Readonly<Record<string, QueueInfo>>;

const CALL_MS = 5_000;

export class NodeInfo {
  readonly #node: Node;
  /** The queues that this node consumes; what is done to them is done here alone. */
  readonly queues: NodeQueues;

  constructor(node: Node) {
    this.#node = node;
    this.queues = new NodeQueues(node);
  }

  /** This node's watermark, and what runs and waits under it. */
  counts(): Promise<PoolCounts> {
    const { kernel, services } = this.#node;
    return kernel.call(services.admission, (from: From<PoolCounts>) => ({ t: "counts", from }) as const);
  }

  /**
   * Changes how many threads and how many bodies this node has, while it runs: nothing is restarted, no body ends for it, no
   * attempt is spent. What is left out stays; a watermark of `threads` × `jobsPerThread` follows the threads. Fewer hold
   * at once, idle threads going first; more as soon as the threads are there, which is when this resolves.
   * @throws InvalidOptions, RuntimeStopped, ThreadsUnavailable
   */
  resize(size: Partial<Size>): Promise<Size> {
    return this.#node.size.resize(size);
  }

  async partitions(): Promise<Readonly<Record<string, PartitionInfo>>> {
    const all = await this.#wanted();
    const running = all.filter((p) => p.state === "running");
    return Object.fromEntries(
      await Promise.all(running.map(async (p) => [p.partition, await this.#partition(p.partition)] as const)),
    );
  }

  async runningPartitionIds(): Promise<readonly string[]> {
    return (await this.#wanted()).filter((p) => p.state === "running").map((p) => p.partition);
  }

  async waitingPartitions(): Promise<Readonly<Record<string, Readonly<Record<string, number>>>>> {
    const waiting = (await this.#wanted()).filter((p) => p.state !== "running");
    return Object.fromEntries(waiting.map((p) => [p.partition, concurrencies(p.queues)]));
  }

  /** What runs here now: of one partition, or of all. */
  async runningJobs(partition?: string): Promise<readonly JobRef[]> {
    const ids = partition === undefined ? await this.runningPartitionIds() : [partition];
    return (await Promise.all(ids.map((id) => this.#running(id)))).flat();
  }

  /** The workers of what runs here: actor, thread and job each. */
  async runningWorkers(): Promise<readonly RunningWorker[]> {
    const ids = await this.runningPartitionIds();
    return (await Promise.all(ids.map((id) => this.#workers(id)))).flat();
  }

  /** Whether a partition's consumer is there: false also while it is being restarted. */
  isAlive(partition: string): boolean {
    return this.#node.kernel.whereis(partitionNames(partition).consumer) !== undefined;
  }

  /**
   * Kills a partition's actors as a crash would: its bodies go down the kill ladder, its jobs back to the broker, no attempt
   * spent; it is started again within about a second. False when it does not run here.
   */
  async forceStop(partition: string): Promise<boolean> {
    const { kernel } = this.#node;
    const ref = kernel.whereis(partitionNames(partition).partition);
    if (ref !== undefined) await kernel.kill(ref);
    return ref !== undefined;
  }

  tree(): readonly TreeNode[] {
    return this.#node.kernel.tree();
  }

  async #wanted(): Promise<readonly WantedPartition[]> {
    const { kernel } = this.#node;
    const partitions = kernel.whereis(names.waitingPartitions) as Ref<WaitingPartitionsMessage> | undefined;
    if (partitions === undefined) return [];
    return kernel.call(
      partitions,
      (from: From<readonly WantedPartition[]>) => ({ t: "list", from }) as const,
    );
  }

  async #running(partition: string): Promise<readonly JobRef[]> {
    return (await this.#workers(partition)).map(({ job }) => job);
  }

  async #workers(partition: string): Promise<readonly RunningWorker[]> {
    const supervisor = this.#node.kernel.whereis(partitionNames(partition).supervisor);
    if (supervisor === undefined) return [];
    const to = supervisor as Ref<WorkerSupervisorMessage>;
    return this.#node.kernel.call(
      to,
      (from: From<readonly RunningWorker[]>) => ({ t: "running", from }) as const,
    );
  }

  async #partition(partition: string): Promise<PartitionInfo> {
    const consumer = this.#node.kernel.whereis(partitionNames(partition).consumer) as
      | Ref<ConsumerMessage>
      | undefined;
    if (consumer === undefined) return {};
    const queues = await this.#node.kernel.call(
      consumer,
      (from: From<readonly OpenQueue[]>) => ({ t: "queues", from }) as const,
    );
    const running = await this.#running(partition);
    return Object.fromEntries(queues.map((queue) => [queue.ref.queue, this.#queue(queue, running)]));
  }

  #queue(queue: OpenQueue, jobs: readonly JobRef[]): QueueInfo {
    const counts = this.#node.services.broker.counts(queue.ref);
    const running = jobs.filter((job) => job.queue === queue.ref.queue).length;
    const paused = queue.paused || (counts?.paused ?? false);
    return {
      concurrency: queue.concurrency,
      paused,
      ready: counts?.available ?? 0,
      scheduled: counts === undefined ? 0 : counts.scheduled,
      buried: counts?.buried ?? 0,
      running,
      waiting: Math.max(0, (counts?.unsettled ?? 0) - running),
      consumers: queue.subscription === undefined || paused ? 0 : 1,
    };
  }
}

function concurrencies(queues: Queues): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(queues).map(([queue, { concurrency }]) => [queue, concurrency]));
}

/** The same, of every node. */
export class ClusterInfo {
  readonly #node: Node;
  readonly #queued: QueuedJobs;

  constructor(node: Node, local: NodeInfo) {
    this.#node = node;
    this.#queued = new QueuedJobs(node, (partition) => local.runningJobs(partition));
    node.commands.set("info.partitions", () => local.partitions());
    node.commands.set("info.waitingPartitions", () => local.waitingPartitions());
    node.commands.set("info.runningJobs", (partition) => local.runningJobs(partition as string | undefined));
    node.commands.set("info.counts", () => local.counts());
    node.commands.set("info.tree", () => local.tree());
  }

  partitions(): Promise<readonly NodeAnswer<Readonly<Record<string, PartitionInfo>>>[]> {
    return this.#ask("info.partitions");
  }

  runningPartitions(): Promise<readonly NodeAnswer<Readonly<Record<string, PartitionInfo>>>[]> {
    return this.#ask("info.partitions");
  }

  waitingPartitions(): Promise<
    readonly NodeAnswer<Readonly<Record<string, Readonly<Record<string, number>>>>>[]
  > {
    return this.#ask("info.waitingPartitions");
  }

  runningJobs(partition?: string): Promise<readonly NodeAnswer<readonly JobRef[]>[]> {
    return this.#ask("info.runningJobs", partition);
  }

  /** Each node with its watermark and what runs and waits under it. */
  nodes(): Promise<readonly NodeAnswer<PoolCounts>[]> {
    return this.#ask("info.counts");
  }

  /** The supervision tree of each node: name, state, mailbox, messages handled, restarts, children. */
  tree(): Promise<readonly NodeAnswer<readonly TreeNode[]>[]> {
    return this.#ask("info.tree");
  }

  /**
   * What has not started, front of the queue first; brings no job nearer to burial. What is scheduled comes last, and not at
   * all on RabbitMQ. There it is what nodes have in hand, and what stands on the broker only where no job is overtaken by that.
   * @throws UnknownPartition, UnknownQueue, InvalidOptions
   */
  queuedJobs(partition: string, queue: string, options: QueuedOptions = {}): Promise<QueuedList> {
    return this.#queued.list(partition, queue, options);
  }

  #ask<T>(command: string, args?: unknown): Promise<readonly NodeAnswer<T>[]> {
    return this.#node.services.broker.cluster.call(command, args, CALL_MS) as Promise<
      readonly NodeAnswer<T>[]
    >;
  }
}
