/**
 * What nodes ask of a partition's coordinator, what it answers, and what it keeps: the words of its journal.
 *
 * Owns no code. All of it is JSON. Every request may come twice (its first coordinator died before it had answered) and
 * then gets the same answer. Changes are what the journal holds; execution keys are leases of live nodes and are in none.
 */

/** One process: a node's name, and what tells this run of it from the one before. */
export interface NodeId {
  readonly node: string;
  readonly boot: string;
}

export type Request =
  /**
   * Before a keyed job is published. The same id may reserve again. `hop`: of a buried job that is queued again. Whoever
   * gives up waiting for the answer, or has asked more than once and is refused, says that it was not published: the key
   * may be free when the next of its asks is read.
   */
  | { readonly t: "reserve"; readonly key: string; readonly id: string; readonly hop?: number }
  /** The publish of a reserved job was confirmed (a cast), or is known to have failed: it lapses 30 s later. */
  | {
      readonly t: "published";
      readonly key: string;
      readonly id: string;
      readonly ok: boolean;
      readonly hop?: number;
    }
  /**
   * A job is about to run: asserts its queue key, asks for its execution key, whichever it has. `token` grows with each
   * ask of a process, tells this one from an earlier one of the same job, and comes back with the grant. A node that is
   * granted what it neither awaits nor holds withdraws it: the grant may have crossed its withdrawal.
   */
  | {
      readonly t: "begin";
      readonly id: string;
      readonly hop: number;
      readonly attempt: number;
      readonly queueKey?: string;
      readonly executionKey?: string;
      readonly token: number;
    }
  /** Takes an ask for an execution key back, also one whose grant is under way. */
  | { readonly t: "withdraw"; readonly executionKey: string; readonly id: string; readonly token: number }
  /**
   * A job leaves: its execution key is free. With `ended` its queue key too, and its id is remembered with its hop for
   * an hour; `buried` says that it lies there. Without `ended` it comes again (retry, hand-back) and keeps its queue key;
   * `attempt` is the one under which it comes then. Asks of this node for this job up to `token` are over; without one,
   * all of them. A job without a queue key is not remembered: its end costs no write. `round`: it comes again in a
   * second, and keeps its place in the line for its execution key.
   */
  | {
      readonly t: "end";
      readonly id: string;
      readonly hop: number;
      readonly attempt: number;
      readonly queueKey?: string;
      readonly executionKey?: string;
      readonly token?: number;
      readonly ended: boolean;
      readonly buried: boolean;
      readonly round?: true;
    }
  /** A buried job was dropped: its id may be used again. */
  | { readonly t: "dropped"; readonly ids: readonly string[] }
  | { readonly t: "mark"; readonly id: string }
  | { readonly t: "unmark"; readonly ids: readonly string[] }
  | { readonly t: "pause"; readonly queue: string; readonly paused: boolean }
  /** What waits in retry and delay queues for this queue is purged when it comes. */
  | { readonly t: "purge"; readonly queue: string }
  /** How many process crashes are counted against a job. */
  | { readonly t: "suspect"; readonly id: string }
  /** A suspect is about to run on this node; `alone`: with no other suspect beside it. */
  | { readonly t: "started"; readonly id: string; readonly alone: boolean }
  /** Its own process has died under it. */
  | { readonly t: "crashed"; readonly id: string }
  /** It runs no more. `kept`: what is counted against it stays, since it was handed back. */
  | { readonly t: "cleared"; readonly id: string; readonly kept: boolean }
  /**
   * All that this node holds and awaits: whenever it is asked to, and when its connection has come back. Replaces what was
   * known of it, so it must keep its place among the node's other requests. `epoch`: of the coordinator it is meant for,
   * `serial` grows with each announcement of a process: one that comes late, or again, says nothing that is still true.
   */
  | {
      readonly t: "announce";
      readonly epoch: number;
      readonly serial: number;
      readonly holds: readonly Held[];
      readonly awaits: readonly Held[];
    }
  /** What a node's replica is made of. */
  | { readonly t: "replica" }
  /** Questions and releases by hand. */
  | { readonly t: "is-queued" | "is-executing"; readonly key: string }
  | { readonly t: "release-queued" | "release-executing"; readonly key: string }
  | { readonly t: "holders" };

export interface Held {
  readonly executionKey: string;
  readonly id: string;
  readonly token: number;
}

/**
 * `again`, of `reserve`: the same id had reserved it before, and may stand on the broker. `outdated`: the queue key is the job's under a later attempt, so
 * nothing is to be published of how this one ends.
 */
export type Answer =
  | { readonly ok: true; readonly again?: true; readonly outdated?: true }
  /** Of `reserve`; of `begin` when another job has the queue key: the job is buried as a duplicate. */
  | { readonly duplicate: "queueKey" | "id"; readonly holder: string }
  /** Of `begin`: a copy of what ended (this hop or a later one): it is acknowledged and not run. */
  | { readonly ended: true }
  /** Of `begin` with an execution key. Who is queued is told of its grant later; `place` grows along the line. */
  | { readonly granted: boolean; readonly place?: number; readonly outdated?: true }
  | { readonly tooMany: number }
  /** Of `suspect` and `crashed`. */
  | { readonly crashes: number }
  | { readonly replica: Replica }
  /** Of a question: the id that holds; of a release: the id that held. */
  | { readonly holder: string | null }
  | { readonly holders: readonly Holder[] };

export interface Replica {
  readonly marks: readonly string[];
  readonly paused: readonly string[];
  readonly purged: readonly (readonly [queue: string, at: number])[];
  readonly roll: Roll;
}

/** The list of nodes. What is in nobody's hands of these may be started by who has only just come. */
export interface Roll {
  readonly nodes: readonly (readonly [node: string, boot: string])[];
  /** When one of them was last gone without a farewell; 0: never. */
  readonly crashedAt: number;
}

/** Of an execution key. */
export interface Holder {
  readonly key: string;
  readonly id: string;
  readonly node: string;
  readonly waiting: number;
}

/** What the coordinator says of itself, after the change it rests on is durable. */
export type Notice =
  /** To the node that asked. */
  | {
      readonly t: "granted";
      readonly to: NodeId;
      readonly executionKey: string;
      readonly id: string;
      readonly token: number;
    }
  /** To all after an election, to one that is new in the list: say what you hold and await. */
  | { readonly t: "announce"; readonly to?: NodeId }
  /** To all: replicas follow. */
  | { readonly t: "marked" | "unmarked"; readonly ids: readonly string[] }
  | { readonly t: "paused"; readonly queue: string; readonly paused: boolean }
  | { readonly t: "purged"; readonly queue: string; readonly at: number }
  | { readonly t: "roll"; readonly roll: Roll }
  /** To all: a release by hand, an event. */
  | {
      readonly t: "released";
      readonly kind: "queueKey" | "executionKey";
      readonly key: string;
      readonly id: string;
    };

/** What the journal holds, in order. Applied to the state it gives the state again; twice is as good as once. */
export type Change =
  /** Reserved, until it is kept, or lapses. */
  | {
      readonly c: "key";
      readonly key: string;
      readonly id: string;
      readonly by: NodeId;
      readonly at: number;
      readonly lapsesAt?: number;
    }
  /** It was confirmed, or taken by a worker: it no longer rests on its node. */
  | { readonly c: "kept"; readonly key: string; readonly id: string; readonly attempt: number }
  /** Its publish failed: it lapses then. */
  | { readonly c: "lapses"; readonly key: string; readonly id: string; readonly at: number }
  | { readonly c: "free"; readonly key: string; readonly id: string }
  | {
      readonly c: "ended";
      readonly id: string;
      readonly hop: number;
      readonly at: number;
      readonly buried: boolean;
    }
  | { readonly c: "forgotten"; readonly ids: readonly string[] }
  | { readonly c: "mark"; readonly id: string; readonly at: number }
  | { readonly c: "unmark"; readonly ids: readonly string[] }
  | { readonly c: "pause"; readonly queue: string; readonly paused: boolean }
  | { readonly c: "purged"; readonly queue: string; readonly at: number }
  /** What is counted against a job, and where it runs as a suspect. */
  | {
      readonly c: "suspect";
      readonly id: string;
      readonly crashes: number;
      readonly at: number;
      readonly by?: NodeId;
      readonly alone?: boolean;
    }
  | { readonly c: "cleared"; readonly ids: readonly string[] }
  /** A node was gone without a farewell. */
  | { readonly c: "crash"; readonly at: number }
  /** The list of nodes: whose word is awaited after an election. What one that is gone has reserved lapses later. */
  | {
      readonly c: "node";
      readonly node: string;
      readonly boot: string;
      readonly there: boolean;
      readonly at: number;
    }
  /** A node is gone that may still run under keys; who is elected does not know which, and grants none before then. */
  | { readonly c: "closed"; readonly until: number }
  /** Of a journal whose partition has a persister: what is not of this list's nodes is there, stored in this epoch or later. */
  | { readonly c: "elsewhere"; readonly epoch: number };
