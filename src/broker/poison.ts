/**
 * What stands beside a job that is buried as poison.
 *
 * Owns the words; who counts crashes is the broker, and who sees one the worker or, after a crash of the whole process,
 * whoever opens the store or leads the partition next.
 */
import type { BuriedRecord } from "../jobs/failure.ts";

export function poisonRecord(crashes: number, buriedAt: number): BuriedRecord {
  const message = `the process ended ${crashes} times while this job's body ran`;
  const error = { kind: "crash", name: "Poison", message, stack: undefined, final: true } as const;
  return { reason: "poison", buriedAt, error };
}
