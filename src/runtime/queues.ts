/**
 * What can be done to the queues of a running runtime: on the whole broker (`runtime.queues`), or on this node alone
 * (`runtime.node.queues`).
 *
 * Owns nothing; every call goes to the actor or the broker that does.
 */
import type { ConsumerMessage } from "../actors/consumer.ts";
import { tellPurged } from "../actors/endings.ts";
import { PartitionNotRunning } from "../actors/errors.ts";
import type { OpenQueue } from "../actors/open-queue.ts";
import { partitionNames } from "../actors/partition.ts";
import type { QueueRef } from "../broker/contract.ts";
import { UnknownPartition, UnknownQueue } from "../broker/errors.ts";
import { InvalidJob } from "../jobs/errors.ts";
import { checkName } from "../jobs/names.ts";
import type { From, Ref } from "../kernel/types.ts";
import type { Node } from "./node.ts";

/** One queue as it is on the broker, whoever consumes it. */
export interface BrokerQueue {
  readonly partition: string;
  readonly queue: string;
  /** Available, in no node's hands. */
  readonly ready: number;
  /** `undefined` on RabbitMQ, where all partitions' scheduled jobs wait in the same queues. */
  readonly scheduled: number | undefined;
  readonly buried: number;
  /** In this node's hands: running, or waiting for a slot or a key. */
  readonly unsettled: number;
  readonly paused: boolean;
}

/** `runtime.queues`. */
export class Queues {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
    node.commands.set(PURGE, (args) => this.#purgeHere(args));
  }

  /** The name of a queue on the broker. */
  name(partition: string, queue: string): string {
    for (const part of [partition, queue]) {
      const problem = checkName(part);
      if (problem !== undefined) throw new InvalidJob(part, problem);
    }
    return this.#node.services.broker.nameOf({ partition, queue });
  }

  /** At once, and stored: what has not started goes back to its place; survives restarts. */
  async pause(partition: string, queue: string): Promise<void> {
    await this.#setPaused(partition, queue, true);
  }

  async resume(partition: string, queue: string): Promise<void> {
    await this.#setPaused(partition, queue, false);
  }

  /** The paused queues of a partition. */
  async paused(partition: string): Promise<readonly string[]> {
    const { broker } = this.#node.services;
    await broker.ready(partition);
    const all = await broker.queues();
    return all
      .filter((ref) => ref.partition === partition && broker.counts(ref)?.paused === true)
      .map((ref) => ref.queue);
  }

  /** Every queue that exists on the broker, by partition and name; a producer sees them too. */
  async list(): Promise<readonly BrokerQueue[]> {
    const { broker } = this.#node.services;
    const found = (await broker.queues()).map(async (ref) => [ref, await broker.count(ref)] as const);
    const all = (await Promise.all(found)).flatMap(([{ partition, queue }, counts]) => {
      if (counts === undefined) return [];
      const { available, scheduled, buried, unsettled, paused } = counts;
      return [{ partition, queue, ready: available, scheduled, buried, unsettled, paused }];
    });
    return all.sort((a, b) => compare(a.partition, b.partition) || compare(a.queue, b.queue));
  }

  async #setPaused(partition: string, queue: string, paused: boolean): Promise<void> {
    const { broker, events } = this.#node.services;
    await known(this.#node, partition, queue);
    await broker.setPaused({ partition, queue }, paused);
    if (broker.keys !== undefined) return; // every node hears of it from the coordinator, this one too
    await tellConsumer(this.#node, partition, queue, paused ? "pause" : "resume");
    events.emit(paused ? "queue.paused" : "queue.resumed", { partition, queue });
  }

  /**
   * Removes what has not started (available and scheduled), with its keys, wherever nodes hold it; not what runs, not
   * what is buried. Resolves with the count. On RabbitMQ what waits in retry and delay queues is purged when it comes back, and is
   * not in the count.
   */
  async purge(partition: string, queue: string): Promise<number> {
    const { broker, node, logger } = this.#node.services;
    await known(this.#node, partition, queue);
    const answers = await broker.cluster.call(PURGE, { partition, queue }, PURGE_MS);
    const failed = answers.find((answer) => !answer.ok && answer.node === node);
    if (failed?.ok === false) throw failed.error;
    const silent = answers.filter((answer) => !answer.ok).map((answer) => answer.node);
    if (silent.length > 0)
      logger.warn(`purge of ${partition}.${queue}: what ${silent.join(", ")} may hold is not in the count`);
    return answers.reduce((sum, answer) => sum + (answer.ok ? Number(answer.value) : 0), 0);
  }

  /** This node's part of a purge: what it holds goes back first, so that it is found. */
  async #purgeHere(args: unknown): Promise<number> {
    const { broker } = this.#node.services;
    const ref = refOf(args);
    const { partition, queue } = ref;
    const open = (await openQueues(this.#node, partition)).find((one) => one.ref.queue === queue);
    const held = open?.paused === false && broker.counts(ref)?.paused !== true;
    if (held) await tellConsumer(this.#node, partition, queue, "pause");
    try {
      const ids = await broker.purge(ref);
      for (const id of ids) {
        if (broker.isMarked(partition, id)) await broker.unmark(partition, id);
        tellPurged(this.#node.services, ref, id);
      }
      return ids.length;
    } finally {
      if (held) await tellConsumer(this.#node, partition, queue, "resume");
    }
  }
}

const PURGE = "queues.purge";
const PURGE_MS = 60_000;

/** From another node: anything may come. */
function refOf(args: unknown): QueueRef {
  const { partition, queue } = (args ?? {}) as { readonly partition?: unknown; readonly queue?: unknown };
  const problem = checkName(partition) ?? checkName(queue);
  if (problem !== undefined) throw new InvalidJob(PURGE, problem);
  return { partition: partition as string, queue: queue as string };
}

/** `runtime.node.queues`: the consumer of this node alone; nothing is stored, other nodes go on. */
export class NodeQueues {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  /** Takes nothing of this queue here; what has not started keeps its place. @throws PartitionNotRunning, UnknownQueue */
  async pause(partition: string, queue: string): Promise<void> {
    await this.#tell(partition, queue, "pause");
  }

  /** @throws PartitionNotRunning, UnknownQueue */
  async resume(partition: string, queue: string): Promise<void> {
    await this.#tell(partition, queue, "resume");
  }

  /** @throws PartitionNotRunning */
  async pauseAll(partition: string): Promise<void> {
    this.#running(partition);
    await tellConsumer(this.#node, partition, "all", "pause");
  }

  /** The queues of a partition on this node. */
  async list(partition: string): Promise<readonly NodeQueue[]> {
    const open = await openQueues(this.#node, partition);
    return open.map(({ ref, concurrency, paused }) => ({ queue: ref.queue, concurrency, paused }));
  }

  async #tell(partition: string, queue: string, t: "pause" | "resume"): Promise<void> {
    this.#running(partition);
    const open = await openQueues(this.#node, partition);
    if (!open.some(({ ref }) => ref.queue === queue)) throw new UnknownQueue(partition, queue);
    await tellConsumer(this.#node, partition, queue, t);
  }

  #running(partition: string): void {
    if (consumerOf(this.#node, partition) === undefined) throw new PartitionNotRunning(partition);
  }
}

/** One queue of this node, as `runtime.node.queues.list` shows it. */
export interface NodeQueue {
  readonly queue: string;
  readonly concurrency: number;
  readonly paused: boolean;
}

function consumerOf(node: Node, partition: string): Ref<ConsumerMessage> | undefined {
  return node.kernel.whereis(partitionNames(partition).consumer) as Ref<ConsumerMessage> | undefined;
}

async function tellConsumer(
  node: Node,
  partition: string,
  queue: string,
  t: "pause" | "resume",
): Promise<void> {
  const consumer = consumerOf(node, partition);
  if (consumer !== undefined)
    await node.kernel.call(consumer, (from: From<void>) => ({ t, queue, from }) as const);
}

async function openQueues(node: Node, partition: string): Promise<readonly OpenQueue[]> {
  const consumer = consumerOf(node, partition);
  if (consumer === undefined) return [];
  return node.kernel.call(consumer, (from: From<readonly OpenQueue[]>) => ({ t: "queues", from }) as const);
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** @throws UnknownPartition, UnknownQueue */
export async function known(node: Node, partition: string, queue: string): Promise<void> {
  if (await node.services.broker.exists({ partition, queue })) return;
  if (node.wanted.has(partition)) throw new UnknownQueue(partition, queue);
  throw new UnknownPartition(partition);
}
