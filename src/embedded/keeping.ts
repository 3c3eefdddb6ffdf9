/**
 * Where a broker of one process keeps what is not a job: marks of cancelled ids, and pauses.
 *
 * Owns no code. By default each broker keeps them beside its jobs; with the option `persister` they are kept there.
 */
import type { QueueRef } from "../broker/contract.ts";

export interface Keeping {
  /** Resolves when marks and pauses of a partition are known. @throws PersisterFailed */
  ready(partition: string): Promise<void>;
  isMarked(partition: string, id: string): boolean;
  /** Resolves when it is durable, as all below. @throws TooManyCancelled, PersisterFailed */
  mark(partition: string, id: string): Promise<void>;
  unmark(partition: string, id: string): Promise<void>;
  setPaused(queue: QueueRef, paused: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What of a queue a pause is shown at, and holds. */
export interface PausableLane {
  readonly ref: QueueRef;
  paused: boolean;
  readonly outlet: { wake(): void };
}
