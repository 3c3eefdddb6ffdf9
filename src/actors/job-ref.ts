/**
 * A running job as people see it: which one, where, since when.
 *
 * Owns nothing; plain data that may leave the process.
 */
import type { Envelope } from "../jobs/envelope.ts";

/** A running job as `info` shows it. */
export interface JobRef {
  readonly id: string;
  readonly job: string;
  readonly partition: string;
  readonly queue: string;
  readonly attempt: number;
  /** Milliseconds since the epoch; 0: it has a slot and has not been seen running yet. */
  readonly startedAt: number;
}

/** The worker of a running job: its actor and the thread of its body (Roger's worker pid). */
export interface RunningWorker {
  /** The actor's name in the tree. */
  readonly name: string;
  /** 0: not seen running yet. */
  readonly threadId: number;
  readonly job: JobRef;
}

export function refOf({ id, job, partition, queue, attempt }: Envelope, startedAt: number): JobRef {
  return { id, job, partition, queue, attempt, startedAt };
}
