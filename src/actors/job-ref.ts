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

export function refOf({ id, job, partition, queue, attempt }: Envelope, startedAt: number): JobRef {
  return { id, job, partition, queue, attempt, startedAt };
}
