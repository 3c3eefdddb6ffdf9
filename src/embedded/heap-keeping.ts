/**
 * Marks and pauses of the memory broker: in this process's heap, as its jobs.
 *
 * Owns the marks; a pause is a flag of its queue. Dies with the process.
 */
import type { QueueRef } from "../broker/contract.ts";
import type { Persister } from "../broker/persister.ts";
import type { Clock } from "../kernel/types.ts";
import type { Keeping, PausableLane } from "./keeping.ts";
import { Marks } from "./marks.ts";
import { PersistedKeeping } from "./persisted.ts";

/** The queues of a partition that are there. */
type Lanes = (partition: string) => readonly PausableLane[];

const DONE: Promise<void> = Promise.resolve();

export class HeapKeeping implements Keeping {
  readonly #marks = new Marks();
  readonly #clock: Clock;
  readonly #lanes: Lanes;

  constructor(clock: Clock, lanes: Lanes) {
    this.#clock = clock;
    this.#lanes = lanes;
  }

  ready(): Promise<void> {
    return DONE;
  }

  isMarked(partition: string, id: string): boolean {
    return this.#marks.has(partition, id);
  }

  async mark(partition: string, id: string): Promise<void> {
    this.#marks.add(partition, id, this.#clock.now());
  }

  unmark(partition: string, id: string): Promise<void> {
    this.#marks.delete(partition, id);
    return DONE;
  }

  async setPaused(queue: QueueRef, paused: boolean): Promise<void> {
    const lane = this.#lanes(queue.partition).find(({ ref }) => ref.queue === queue.queue);
    if (lane === undefined) return;
    lane.paused = paused;
    lane.outlet.wake();
  }

  close(): Promise<void> {
    this.#marks.clear();
    return DONE;
  }
}

export function keepingOf(clock: Clock, persister: Persister | "none" | undefined, lanes: Lanes): Keeping {
  if (persister === undefined) return new HeapKeeping(clock, lanes);
  return new PersistedKeeping({ persister, clock, lanes, own: () => ({ marks: new Map(), paused: [] }) });
}
