/**
 * What can be done to the partitions and the buried jobs of a running runtime.
 *
 * Owns nothing; every call goes to the actor or the broker that does.
 */
import { PartitionNotRunning } from "../actors/errors.ts";
import { drainPartition } from "../actors/shutdown-handler.ts";
import type { PartitionState, WaitingPartitionsMessage } from "../actors/waiting-partitions.ts";
import type { BuriedJob, BuriedPage, RequeueOutcome } from "../broker/contract.ts";
import type { HistoryEntry } from "../jobs/envelope.ts";
import { JobFailed } from "../jobs/errors.ts";
import type { From, Ref } from "../kernel/types.ts";
import { wantedQueues } from "./bindings.ts";
import { InvalidOptions, RuntimeStopped } from "./errors.ts";
import { type Node, names } from "./node.ts";
import { checkQueues, type QueueOptions } from "./queue-options.ts";
import { known } from "./queues.ts";

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
    const problems: string[] = [];
    checkQueues(partition, queues, this.#node.services.broker.kind, problems);
    if (problems.length > 0) throw new InvalidOptions(problems);
    const wanted = wantedQueues(queues, this.#node.translator);
    const state = await this.#node.kernel.call(
      this.#tender(),
      (from: From<PartitionState>) => ({ t: "start", partition, queues: wanted, from }) as const,
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
    await known(this.#node, partition, queue);
    return (await this.#node.services.broker.listBuried({ partition, queue }, page)).map(shown);
  }

  /** Attempt 0, with its queue key taken first; one whose key is held stays buried and is reported. */
  async requeue(
    partition: string,
    queue: string,
    ids: readonly string[] | "all",
    options?: { readonly args?: unknown },
  ): Promise<readonly RequeueOutcome[]> {
    await known(this.#node, partition, queue);
    const argsText = options?.args === undefined ? undefined : JSON.stringify(options.args);
    return this.#node.services.broker.requeueBuried({ partition, queue }, ids, argsText);
  }

  /** Forgets them for good; resolves with the ids that were there. */
  async drop(partition: string, queue: string, ids: readonly string[] | "all"): Promise<readonly string[]> {
    await known(this.#node, partition, queue);
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
