/**
 * What main and the store thread say to each other: columns and plain records, by structured clone.
 *
 * Owns no code. One `Work` is in flight at a time; it is one transaction, answered by one `Done` or `Failed`.
 * Main owns `rid`s, the thread owns `lanes` (counters, next places, frontiers) and answers with what it made
 * of them.
 */
import type { BuriedRecord } from "../../jobs/failure.ts";

/** Limits of the store; tests lower them. Bytes. @internal */
export interface Tuning {
  /** Enqueues are refused while less is free on the disk. */
  readonly reserveBytes: number;
  /** Written at open, given back to the disk when it is full. 0 = none. */
  readonly ballastBytes: number;
  /** The ballast is written again when this much is free. */
  readonly restoreBytes: number;
  /** How often the thread checks that the folder is still its own. */
  readonly checkEveryMs: number;
  /** Jobs of one lane kept for hand-out without reading them back; and their text, in characters. */
  readonly keepJobs: number;
  readonly keepCharacters: number;
  readonly takeJobs: number;
  readonly takeCharacters: number;
  /** With so many plain jobs that have not ended, others are indexed; and so is one that has stayed so long. */
  readonly journalJobs: number;
  readonly journalMs: number;
  readonly faults?: Faults;
  /** As if no driver was installed. */
  readonly driver?: "none";
}

/** Faults made on purpose, for tests. @internal */
export interface Faults {
  /** The commit that enqueues this id fails, and the `times` − 1 after it (default 1). */
  readonly failCommit?: {
    readonly id: string;
    /** `EXIT`: the thread ends. */
    readonly kind: "FULL" | "IOERR" | "CORRUPT" | "EXIT";
    readonly times?: number;
    /** It fails after it became durable. */
    readonly after?: boolean;
  };
}

export interface StoreConfig {
  readonly folder: string;
  readonly node: string;
  readonly token: string;
  readonly maxCrashes: number;
  /** The store was open in this process before: what ran then did not take a process down. */
  readonly reopened: boolean;
  readonly now: number;
  readonly tuning: Tuning;
}

/** Plain jobs of one lane, in order: a row of the journal. Their numbers and places are consecutive. */
export interface PlainRow {
  /** The `rid` of the first. */
  readonly seq: number;
  readonly lane: number;
  /** The place of the first. */
  readonly first: number;
  readonly count: number;
  /** Two lines each. */
  readonly body: string;
}

/** A job's row was handed out and its attempt ended otherwise than well. */
export type Move =
  | {
      readonly to: "scheduled";
      rid: number;
      id: string;
      lane: number;
      due: number;
      attempt: number;
      body: string;
    }
  | {
      readonly to: "buried";
      rid: number;
      id: string;
      lane: number;
      attempt: number;
      body: string | undefined;
      reason: string;
    };

/** Rare changes, each with an answer of its own. */
export type Chore =
  | { readonly do: "declare"; queues: { partition: string; queue: string }[] }
  | { readonly do: "pause"; lane: number; paused: boolean }
  | { readonly do: "mark"; partition: string; id: string; at: number }
  | { readonly do: "unmark"; partition: string; id: string }
  | { readonly do: "free"; partition: string; key: string }
  | { readonly do: "started"; rid: number; alone: boolean }
  /** Answers with how often that has happened by now. */
  | { readonly do: "crashed"; rid: number }
  | { readonly do: "cancel"; rid: number }
  | { readonly do: "requeue"; rid: number; key: string | null; body: string }
  | { readonly do: "drop"; rids: number[] }
  /** At most `limit` rows older than `below`, without those in `held`; the ids. */
  | { readonly do: "purge"; lane: number; below: number; held: number[]; limit: number }
  /** Rows that ended in a commit whose outcome was unknown. */
  | { readonly do: "ended"; rids: number[] }
  | { readonly do: "epoch" };

export interface Take {
  readonly lane: number;
  readonly after: number;
  /** How many may be handed out at once: the frontier is moved past them first. */
  readonly room: number;
}

/** `after`: the id of a buried job, or its place. */
export type Read =
  | { readonly read: "find"; partition: string; id: string }
  | { readonly read: "holder"; partition: string; key: string }
  | { readonly read: "rows"; rids: number[] }
  | { readonly read: "list"; lane: number; limit: number }
  | {
      readonly read: "buried";
      lane: number;
      limit: number;
      after: string | number | undefined;
      ids: string[] | undefined;
    }
  | { readonly read: "check" };

export interface Work {
  readonly kind: "work";
  readonly now: number;
  /** [rid, lane] of each; completed or discarded. */
  readonly ended: number[];
  /** Of these, what has a row in `bodies`; and in `run` (released ones too). */
  readonly big: number[];
  readonly stopped: number[];
  /** [rid, lane, ord or due, state, attempt] of each. */
  readonly insert: Float64Array;
  readonly ids: string[];
  /** `undefined` when none has one. */
  readonly keys: (string | null)[] | undefined;
  readonly bodies: string[];
  readonly plain: PlainRow[];
  /** An id among these may be one of the journal's. */
  readonly seeks: boolean;
  readonly moves: Move[];
  readonly chores: Chore[];
  /** [lane, ord] of each: no place beyond it is handed out before the next commit. */
  readonly frontiers: number[];
  readonly takes: Take[];
  readonly reads: Read[];
}

export type ToStore = Work | { readonly kind: "close" };

/** Why an insert was not made. */
export interface Refused {
  readonly at: number;
  readonly by: "id" | "queueKey";
  readonly holder: string;
}

/** Rows that were read for hand-out. */
export interface Taken {
  readonly lane: number;
  /** [rid, ord, crashes, big] of each. */
  readonly numbers: number[];
  readonly ids: string[];
  readonly bodies: (string | Uint8Array)[];
  /** Nothing is behind these. */
  readonly end: boolean;
}

export interface FoundRow {
  readonly rid: number;
  readonly id: string;
  readonly state: number;
  readonly lane: number;
  readonly ord: number;
  readonly crashes: number;
  readonly reason: string | null;
  readonly body: string | Uint8Array;
  readonly big: boolean;
}

/** An answer, or what went wrong with it alone. */
export type Answer = { readonly value: unknown } | { readonly failed: Trouble };

export interface Trouble {
  /** SQLite's word, or `ERROR`. */
  readonly kind: string;
  readonly message: string;
}

export interface LaneRow {
  readonly lane: number;
  readonly part: number;
  readonly partition: string;
  readonly queue: string;
  readonly paused: boolean;
  readonly available: number;
  readonly scheduled: number;
  readonly buried: number;
  readonly next: number;
  readonly frontier: number;
}

export interface Done {
  readonly kind: "done";
  /** [lane, available, scheduled, buried, next, frontier] of each that changed. */
  readonly lanes: number[];
  readonly refused: Refused[];
  /** No insert was made: so many bytes are free. */
  readonly full: number | undefined;
  readonly results: unknown[];
  readonly takes: Taken[];
  readonly answers: Answer[];
  /** When the next commit is due that nobody asks for: a job's time has come, or what stays is to be moved. */
  readonly nextDue: number | undefined;
  /** Jobs in the journal that have not ended. */
  readonly journal: number;
}

/** Rolled back, or unknown (`IOERR`). */
export interface Failed {
  readonly kind: "failed";
  readonly trouble: Trouble;
}

export interface Opened {
  readonly kind: "opened";
  readonly driver: string;
  readonly lanes: LaneRow[];
  readonly marks: { partition: string; id: string; at: number }[];
  readonly nextDue: number | undefined;
  readonly maxRid: number;
  /** The last holder did not close it: what stands before a lane's frontier may have run. */
  readonly unclean: boolean;
  readonly poison: { partition: string; queue: string; id: string; record: BuriedRecord }[];
}

export type RefusedOpen = {
  readonly kind: "refused";
  readonly code: "BrokerInUse" | "StoreUnreadable" | "StoreDamaged" | "StoreDriverMissing";
  readonly problem: string;
};

export type FromStore =
  | Opened
  | RefusedOpen
  | Done
  | Failed
  | { readonly kind: "closed" }
  | { readonly kind: "taken"; readonly problem: string }
  | { readonly kind: "space"; readonly low: boolean; readonly freeBytes: number };
