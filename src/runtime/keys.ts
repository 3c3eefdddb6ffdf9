/**
 * Who has a key, and freeing one by hand: `runtime.keys`.
 *
 * Owns nothing; queue keys are asked of the broker, execution keys of whoever keeps them. A key that is freed by hand is an
 * event; it is for a key whose job is known to be nowhere, or not worth waiting for: two jobs of one key may run then.
 */
import type { CoordinatorMessage } from "../actors/global-coordinator.ts";
import { partitionNames } from "../actors/partition.ts";
import type { KeyHolder } from "../broker/contract.ts";
import { InvalidJob } from "../jobs/errors.ts";
import { checkKey, checkName } from "../jobs/names.ts";
import type { From, Ref } from "../kernel/types.ts";
import type { Node } from "./node.ts";

export class Keys {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  /** Whether a job has this queue key, from its enqueue to its end. */
  async isQueued(partition: string, queueKey: string): Promise<boolean> {
    check(partition, queueKey);
    return (await this.#node.services.broker.holderOf(partition, queueKey)) !== undefined;
  }

  /** Whether a job has this execution key now. */
  async isExecuting(partition: string, executionKey: string): Promise<boolean> {
    check(partition, executionKey);
    const { keys } = this.#node.services.broker;
    if (keys !== undefined) return (await keys.executing(partition, executionKey)) !== undefined;
    return (await this.holders(partition)).some(({ key }) => key === executionKey);
  }

  /** Execution keys that jobs have now, with how many wait for each. On RabbitMQ of the whole cluster. */
  async holders(partition: string): Promise<readonly KeyHolder[]> {
    checkPart(partition);
    const { broker, node } = this.#node.services;
    if (broker.keys !== undefined) return broker.keys.holders(partition);
    const coordinator = this.#coordinator(partition);
    if (coordinator === undefined) return [];
    const held = await this.#node.kernel.call(
      coordinator,
      (from: From<readonly Omit<KeyHolder, "node">[]>) => ({ t: "holders", from }) as const,
    );
    return held.map((one) => ({ ...one, node }));
  }

  /** Frees a queue key; resolves with the id that had it, `undefined` when nobody had. Its job goes on without it. */
  async releaseQueued(partition: string, queueKey: string): Promise<string | undefined> {
    check(partition, queueKey);
    const { broker } = this.#node.services;
    const id = await broker.releaseKey(partition, queueKey);
    this.#tell(partition, queueKey, "queue", id);
    return id;
  }

  /** Frees an execution key; the next that waits for it starts, beside a body that may still run under it. */
  async releaseExecuting(partition: string, executionKey: string): Promise<string | undefined> {
    check(partition, executionKey);
    const { broker } = this.#node.services;
    const id = await (broker.keys?.release(partition, executionKey) ?? this.#free(partition, executionKey));
    this.#tell(partition, executionKey, "execution", id);
    return id;
  }

  async #free(partition: string, key: string): Promise<string | undefined> {
    const coordinator = this.#coordinator(partition);
    if (coordinator === undefined) return undefined;
    return this.#node.kernel.call(
      coordinator,
      (from: From<string | undefined>) => ({ t: "free", key, from }) as const,
    );
  }

  /** Where keys are the cluster's, every node hears of it from the coordinator, this one too. */
  #tell(partition: string, key: string, kind: "queue" | "execution", id: string | undefined): void {
    const { broker, events } = this.#node.services;
    if (id !== undefined && broker.keys === undefined) events.emit("key.released", { partition, key, kind });
  }

  #coordinator(partition: string): Ref<CoordinatorMessage> | undefined {
    const { kernel } = this.#node;
    return kernel.whereis(partitionNames(partition).coordinator) as Ref<CoordinatorMessage> | undefined;
  }
}

function check(partition: string, key: string): void {
  checkPart(partition);
  const problem = checkKey(key);
  if (problem !== undefined) throw new InvalidJob(key, problem);
}

function checkPart(partition: string): void {
  const problem = checkName(partition);
  if (problem !== undefined) throw new InvalidJob(partition, problem);
}
