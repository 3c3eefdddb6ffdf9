/**
 * The small numbers that stand for job types and lanes (partition and queue) on the wire.
 *
 * Owns both tables for all threads of a pool; each thread is told what is new since its last batch. They only grow:
 * types by registration, lanes by the names of partitions and queues that were ever used.
 */
import type { JobModule } from "./types.ts";

export class Registry {
  readonly types: JobModule[] = [];
  /** Partition and queue of each lane, in line. */
  readonly lanes: string[] = [];
  readonly #laneNumbers = new Map<string, Map<string, number>>();
  /** Types that a task was given of: what a spare loads ahead. */
  readonly #used = new Set<number>();
  /** Types whose module did not finish loading: loaded ahead, it would hang whatever is built. */
  readonly #hung = new Set<number>();
  #partition = "";
  #queue = "";
  #lane = -1;

  register(module: JobModule): number {
    return this.find(module) ?? this.types.push(module) - 1;
  }

  find({ name, url }: Pick<JobModule, "name" | "url">): number | undefined {
    const at = this.types.findIndex((type) => type.name === name && type.url === url);
    return at === -1 ? undefined : at;
  }

  /** True for a type's first use. */
  use(type: number): boolean {
    if (this.#used.has(type) || this.#hung.has(type)) return false;
    if (this.types[type] === undefined) throw new Error(`task of type ${type}, which was never registered`);
    this.#used.add(type);
    return true;
  }

  /** Its module did not finish loading; from now on only its own jobs load it. True the first time. */
  hung(type: number): boolean {
    this.#used.delete(type);
    return this.#hung.size < this.#hung.add(type).size;
  }

  /** Modules were edited: what hung may be mended. */
  renew(): void {
    this.#hung.clear();
  }

  get used(): Iterable<number> {
    return this.#used;
  }

  lane(partition: string, queue: string): number {
    // Tasks come in runs of one queue.
    if (queue === this.#queue && partition === this.#partition && this.#lane !== -1) return this.#lane;
    let queues = this.#laneNumbers.get(partition);
    if (queues === undefined) {
      queues = new Map();
      this.#laneNumbers.set(partition, queues);
    }
    let lane = queues.get(queue);
    if (lane === undefined) {
      lane = this.lanes.push(partition, queue) / 2 - 1;
      queues.set(queue, lane);
    }
    this.#partition = partition;
    this.#queue = queue;
    this.#lane = lane;
    return lane;
  }
}
