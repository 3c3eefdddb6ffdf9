/**
 * What can be done to partitions, queues and buried jobs of a running runtime.
 *
 * Owns nothing; every call goes to the actor or the broker that does.
 */
import type { ConsumerMessage } from "../actors/consumer.ts";
import { PartitionNotRunning } from "../actors/errors.ts";
import { partitionNames } from "../actors/partition.ts";
import { drainPartition } from "../actors/shutdown-handler.ts";
import type { PartitionState, WaitingPartitionsMessage } from "../actors/waiting-partitions.ts";
import type { BuriedJob, BuriedPage, RequeueOutcome } from "../broker/contract.ts";
import { UnknownPartition, UnknownQueue } from "../broker/errors.ts";
import type { HistoryEntry } from "../jobs/envelope.ts";
import { InvalidJob, JobFailed } from "../jobs/errors.ts";
import { checkName } from "../jobs/names.ts";
import type { From, Ref } from "../kernel/types.ts";
import { InvalidOptions, RuntimeStopped } from "./errors.ts";
import { type Node, names } from "./node.ts";
import type { QueueOptions } from "./options.ts";

const CALL_MS = 60_000;

/** `runtime.partitions`. */
export class Partitions {
  readonly #node: Node;
  readonly #announce: () => void;

  constructor(node: Node, announce: () => void) {
    this.#node = node;
    this.#announce = announce;
  }

  /** Starts here, or reconfigures one that runs; `waiting` when it could not start yet and is tried every second. */
  async start(partition: string, queues: QueueOptions): Promise<PartitionState> {
    checkQueues(partition, queues);
    const state = await this.#node.kernel.call(
      this.#tender(),
      (from: From<PartitionState>) => ({ t: "start", partition, queues, from }) as const,
      CALL_MS,
    );
    this.#announce();
    return state;
  }

  /** The complete list: queues left out stop on this node. */
  async reconfigure(partition: string, queues: QueueOptions): Promise<PartitionState> {
    if (!this.#node.wanted.has(partition)) throw new PartitionNotRunning(partition);
    return this.start(partition, queues);
  }

  /** Takes nothing new, hands back what has not started, ends running bodies by the kill ladder and hands them back. */
  async stop(partition: string): Promise<void> {
    const stopped = await this.#node.kernel.call(
      this.#tender(),
      (from: From<"stopped" | undefined>) => ({ t: "stop", partition, from }) as const,
      CALL_MS,
    );
    if (stopped === undefined) throw new PartitionNotRunning(partition);
  }

  /** Takes nothing new and lets running bodies finish; resolves when the last has settled. */
  async safeStop(partition: string): Promise<void> {
    if (!this.#node.wanted.has(partition)) throw new PartitionNotRunning(partition);
    await drainPartition(this.#node.kernel, partition, MAX_TIMER_MS);
    await this.stop(partition);
  }

  #tender(): Ref<WaitingPartitionsMessage> {
    const ref = this.#node.kernel.whereis(names.waitingPartitions);
    if (ref === undefined) throw new RuntimeStopped(this.#node.services.node);
    return ref as Ref<WaitingPartitionsMessage>;
  }
}

/** The longest a timer of Node's can wait; here: no limit. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function checkQueues(partition: string, queues: QueueOptions): void {
  const problems: string[] = [];
  const named = checkName(partition);
  if (named !== undefined) problems.push(`partition "${partition}": ${named}`);
  for (const [queue, concurrency] of Object.entries(queues)) {
    const problem = checkName(queue);
    if (problem !== undefined) problems.push(`queue "${queue}": ${problem}`);
    if (!Number.isInteger(concurrency) || concurrency < 0 || concurrency > 10_000)
      problems.push(
        `queue "${queue}": expected a concurrency between 0 and 10,000, got ${String(concurrency)}`,
      );
  }
  if (problems.length > 0) throw new InvalidOptions(problems);
}

/** One queue as it is on the broker, whoever consumes it. */
export interface BrokerQueue {
  readonly partition: string;
  readonly queue: string;
  /** Available, in no node's hands. */
  readonly ready: number;
  readonly scheduled: number;
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
  }

  /** The name of a queue on the broker. */
  name(partition: string, queue: string): string {
    for (const part of [partition, queue]) {
      const problem = checkName(part);
      if (problem !== undefined) throw new InvalidJob(part, problem);
    }
    return `${partition}.${queue}`;
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
    const all = await broker.queues();
    return all
      .filter((ref) => ref.partition === partition && broker.counts(ref)?.paused === true)
      .map((ref) => ref.queue);
  }

  /** Every queue that exists on the broker, by partition and name; a producer sees them too. */
  async list(): Promise<readonly BrokerQueue[]> {
    const { broker } = this.#node.services;
    const all = (await broker.queues()).map(({ partition, queue }) => {
      const {
        available = 0,
        scheduled = 0,
        buried = 0,
        unsettled = 0,
        paused = false,
      } = broker.counts({ partition, queue }) ?? {};
      return { partition, queue, ready: available, scheduled, buried, unsettled, paused };
    });
    return all.sort((a, b) => compare(a.partition, b.partition) || compare(a.queue, b.queue));
  }

  async #setPaused(partition: string, queue: string, paused: boolean): Promise<void> {
    const { broker, events } = this.#node.services;
    known(this.#node, partition, queue);
    await broker.setPaused({ partition, queue }, paused);
    await this.#tellConsumer(partition, queue, paused ? "pause" : "resume");
    events.emit(paused ? "queue.paused" : "queue.resumed", { partition, queue });
  }

  async #tellConsumer(partition: string, queue: string, t: "pause" | "resume"): Promise<void> {
    const { kernel } = this.#node;
    const consumer = kernel.whereis(partitionNames(partition).consumer) as Ref<ConsumerMessage> | undefined;
    if (consumer !== undefined)
      await kernel.call(consumer, (from: From<void>) => ({ t, queue, from }) as const);
  }

  /**
   * Removes what has not started (available and scheduled), with its keys; what waits in this node's hands is handed
   * back first. Not what runs, not what is buried. Resolves with the count.
   */
  async purge(partition: string, queue: string): Promise<number> {
    const { broker, events, results } = this.#node.services;
    known(this.#node, partition, queue);
    const held = broker.counts({ partition, queue })?.paused !== true;
    if (held) await this.#tellConsumer(partition, queue, "pause");
    try {
      const ids = await broker.purge({ partition, queue });
      for (const id of ids) {
        if (broker.isMarked(partition, id)) await broker.unmark(partition, id);
        results.ended(partition, id, { kind: "purged" });
        events.emit("job.purged", { partition, queue, id, job: "", attempt: 0 });
      }
      return ids.length;
    } finally {
      if (held) await this.#tellConsumer(partition, queue, "resume");
    }
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function known(node: Node, partition: string, queue: string): void {
  const { broker } = node.services;
  if (broker.counts({ partition, queue }) !== undefined) return;
  if (node.wanted.has(partition)) throw new UnknownQueue(partition, queue);
  throw new UnknownPartition(partition);
}

/** One buried job as `runtime.buried.list` shows it. */
export interface Buried {
  readonly id: string;
  readonly job: string | undefined;
  /** Parsed; `undefined` when its bytes could not be decoded. */
  readonly args: unknown;
  readonly attempt: number;
  readonly reason: string;
  readonly error: JobFailed;
  readonly history: readonly HistoryEntry[];
  readonly buriedAt: number;
  /** The bytes as they came, of what could not be decoded. */
  readonly raw?: Uint8Array;
}

/** `runtime.buried`. */
export class BuriedJobs {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  /** Oldest burial first; at most 1,000 a page (default 100), `after` an id. */
  async list(partition: string, queue: string, page?: BuriedPage): Promise<readonly Buried[]> {
    known(this.#node, partition, queue);
    return (await this.#node.services.broker.listBuried({ partition, queue }, page)).map(shown);
  }

  /** Attempt 0, with its queue key taken first; one whose key is held stays buried and is reported. */
  requeue(
    partition: string,
    queue: string,
    ids: readonly string[] | "all",
    options?: { readonly args?: unknown },
  ): Promise<readonly RequeueOutcome[]> {
    known(this.#node, partition, queue);
    const argsText = options?.args === undefined ? undefined : JSON.stringify(options.args);
    return this.#node.services.broker.requeueBuried({ partition, queue }, ids, argsText);
  }

  /** Forgets them for good; resolves with the ids that were there. */
  async drop(partition: string, queue: string, ids: readonly string[] | "all"): Promise<readonly string[]> {
    known(this.#node, partition, queue);
    const dropped = await this.#node.services.broker.dropBuried({ partition, queue }, ids);
    for (const id of dropped) this.#node.services.events.emit("buried.dropped", { partition, queue, id });
    return dropped;
  }
}

function shown(job: BuriedJob): Buried {
  const { id, envelope, record, raw } = job;
  return {
    id,
    job: envelope?.job,
    args: envelope === undefined ? undefined : parsed(envelope.argsText),
    attempt: envelope?.attempt ?? 0,
    reason: record.reason,
    error: new JobFailed(id, record.error),
    history: envelope?.history ?? [],
    buriedAt: record.buriedAt,
    ...(raw === undefined ? {} : { raw }),
  };
}

/** Args that are no JSON are what some jobs lie buried for: shown as the text they are. */
function parsed(argsText: string): unknown {
  try {
    return JSON.parse(argsText);
  } catch {
    return argsText;
  }
}
