/**
 * What the coordinator of one partition knows: queue keys, ended ids, marks, pauses, nodes; and of this reign, leases.
 *
 * Owns the data and no rule. The first half changes only by `applyChange`, so a journal gives it again; the second half
 * begins anew with each election. Dies with its process: who is elected next makes it from the journal and from what
 * the nodes announce.
 */
import { DueLine } from "./due-line.ts";
import { Leases } from "./leases.ts";
import type { NodeId } from "./requests.ts";

/** A queue key between its taking and the first sign that the job is on the broker. */
export interface Reservation {
  readonly key: string;
  readonly id: string;
  readonly by: NodeId;
  readonly at: number;
  /** None while its node is there and the publish may still be confirmed. */
  readonly lapsesAt: number | undefined;
}

/** A job that may have taken a process down. */
export interface Suspect {
  readonly id: string;
  readonly crashes: number;
  readonly at: number;
  /** Where it runs, if it does. */
  readonly by?: NodeId;
  /** Then with no other suspect beside it on that node. */
  readonly alone?: boolean;
}

export interface End {
  readonly hop: number;
  readonly at: number;
  readonly buried: boolean;
}

/** A reservation ends so long after its publish has failed, or after its node is gone. */
export const LAPSE_MS = 30_000;
export const ENDED_KEPT_MS = 3_600_000;
export const MOST_ENDED = 100_000;
export const MARK_KEPT_MS = 30 * 24 * 3_600_000;
export const MOST_MARKS = 100_000;
export const SUSPECT_KEPT_MS = 24 * 3_600_000;
export const MOST_SUSPECTS = 100_000;

export class CoordinatorState {
  // In the journal. A reserved key is in `reserved`, a kept one in `kept`: of those there may be 10⁶, so no object each.
  readonly reserved = new Map<string, Reservation>();
  readonly kept = new Map<string, string>();
  /** Of kept keys: attempts above 0. */
  readonly attempts = new Map<string, number>();
  /** Oldest first, as `marks`. */
  readonly ended = new Map<string, End>();
  readonly marks = new Map<string, number>();
  readonly paused = new Set<string>();
  /** When each queue was purged last. */
  readonly purged = new Map<string, number>();
  /** Oldest first. */
  readonly suspects = new Map<string, Suspect>();
  /** When a node was last gone without a farewell. */
  crashedAt = 0;
  /** Name and boot. */
  readonly nodes = new Map<string, string>();
  /** Who is elected grants no execution key before. */
  closedUntil = 0;

  // Of this reign.
  epoch = 0;
  readonly leases = new Leases();
  readonly lapses = new DueLine<Reservation>();
  sweepAt = 0;

  /** `regrantMs`: from a node's end to the next grant of its execution keys, in which its bodies end too. */
  constructor(readonly regrantMs: number) {}

  /** The id that has a queue key. */
  holderOf(key: string): string | undefined {
    return this.kept.get(key) ?? this.reserved.get(key)?.id;
  }

  isListed({ node, boot }: NodeId): boolean {
    return this.nodes.get(node) === boot;
  }
}
