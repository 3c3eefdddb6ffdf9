/**
 * Marks and pauses of the embedded broker: in the store, in the same commits as the jobs.
 *
 * Owns nothing: the connection has them, and reads them again when the store is opened again.
 */
import type { QueueRef } from "../broker/contract.ts";
import type { Persister } from "../broker/persister.ts";
import type { Clock } from "../kernel/types.ts";
import type { Connection } from "./connection.ts";
import type { Keeping } from "./keeping.ts";
import { PersistedKeeping } from "./persisted.ts";

export class StoredKeeping implements Keeping {
  readonly #connection: Connection;
  readonly #clock: Clock;

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  isMarked(partition: string, id: string): boolean {
    return this.#connection.marks.has(partition, id);
  }

  async mark(partition: string, id: string): Promise<void> {
    const { marks, pipeline } = this.#connection;
    const at = this.#clock.now();
    marks.add(partition, id, at);
    await pipeline.chore(() => ({ do: "mark", partition, id, at }));
    // a store that was opened anew meanwhile did not know of it
    marks.add(partition, id, at);
  }

  async unmark(partition: string, id: string): Promise<void> {
    const { marks, pipeline } = this.#connection;
    marks.delete(partition, id);
    await pipeline.chore(() => ({ do: "unmark", partition, id }));
    marks.delete(partition, id);
  }

  /** A pause holds at once, a resume when it is durable. */
  async setPaused(queue: QueueRef, paused: boolean): Promise<void> {
    const { lanes, pipeline } = this.#connection;
    const lane = lanes.need(queue);
    if (paused) lane.paused = true;
    await pipeline.chore(() => ({ do: "pause", lane: lane.number, paused }));
    lane.paused = paused;
    lane.outlet.wake();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The store's own, or the persister's, which takes over what the store has when it has nothing yet. */
export function keepingOf(
  connection: Connection,
  clock: Clock,
  persister: Persister | "none" | undefined,
): Keeping {
  if (persister === undefined) return new StoredKeeping(connection, clock);
  const lanes = (partition: string) => connection.lanes.all.filter(({ ref }) => ref.partition === partition);
  const own = (partition: string) => ({
    marks: connection.marks.of(partition),
    paused: lanes(partition).flatMap(({ paused, ref }) => (paused ? [ref.queue] : [])),
  });
  const keeping = new PersistedKeeping({ persister, clock, lanes, own });
  connection.reopened = () => keeping.shown();
  return keeping;
}
