/**
 * What things are called on the broker.
 *
 * Owns the names and nothing else. Partition and queue names have no `$` and no dot, so no job queue can be mistaken
 * for one of ours, and no two pairs of partition and queue share a name. With a `prefix` all of it stands apart.
 */
import type { QueueRef } from "../broker/contract.ts";
import { checkName } from "../jobs/names.ts";

/** Grows when nodes of two versions could no longer share what they declare. */
export const TOPOLOGY_VERSION = 1;

export class Names {
  readonly enqueue: string;
  readonly work: string;
  readonly unroutable: string;
  /** Where the ladder of delays ends: to the work queue that the routing key's last words name. */
  readonly delayed: string;
  readonly system: string;
  readonly #root: string;
  readonly #ours: string;
  readonly #before: string;

  constructor(prefix: string | undefined) {
    this.#root = prefix ?? "spillway";
    this.#ours = this.#own("");
    this.#before = prefix === undefined ? "" : `${prefix}.`;
    this.enqueue = this.#own("enqueue");
    this.work = this.#own("work");
    this.unroutable = this.#own("unroutable");
    this.delayed = this.#own("delayed");
    this.system = this.#own("system");
  }

  /** Whether it is one of ours. By the default exchange a re-queue goes; a delay keeps the name of the last rung it was put on. */
  isOurs(exchange: string): boolean {
    return exchange === "" || exchange.startsWith(this.#ours);
  }

  #own(name: string): string {
    return `${this.#root}.$${name}`;
  }

  queue({ partition, queue }: QueueRef): string {
    return `${this.#before}${partition}.${queue}`;
  }

  buried(queue: QueueRef): string {
    return `${this.queue(queue)}.$buried`;
  }

  /** The routing key by which calls reach a partition's coordinator. */
  coordinator(partition: string): string {
    return `${this.#before}${partition}.$coordinator`;
  }

  /** What a partition's coordinator keeps; who consumes it is the coordinator. */
  journal(partition: string): string {
    return `${this.coordinator(partition)}.journal`;
  }

  /** The partition and queue that a work queue's name stands for; `undefined` for any other name. */
  refOf(name: string): QueueRef | undefined {
    if (!name.startsWith(this.#before)) return undefined;
    const [partition, queue, more] = name.slice(this.#before.length).split(".");
    if (partition === undefined || queue === undefined || more !== undefined) return undefined;
    return checkName(partition) === undefined && checkName(queue) === undefined
      ? { partition, queue }
      : undefined;
  }

  retry(seconds: number): string {
    return this.#own(`retry.${seconds}`);
  }

  /** One rung of the ladder: 2^level seconds. */
  delay(level: number): string {
    return this.#own(`delay.${level}`);
  }

  /** An exchange that nodes of this topology declare. */
  topology(version: number = TOPOLOGY_VERSION): string {
    return this.#own(`topology.${version}`);
  }
}
