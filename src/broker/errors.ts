/**
 * Errors of brokers: where jobs live could not be reached, opened, written, or does not have what was asked for.
 *
 * Owns the classes only; `docs/errors.md` has a row for each.
 */
import { type ErrorOptions, SpillwayError } from "../kernel/errors.ts";

export class UnknownPartition extends SpillwayError {
  readonly code = "UnknownPartition";
  constructor(readonly partition: string) {
    super(
      `no partition "${partition}" exists on this broker; start it on a node with runtime.partitions.start, or check the name.`,
    );
  }
}

export class UnknownQueue extends SpillwayError {
  readonly code = "UnknownQueue";
  constructor(
    readonly partition: string,
    readonly queue: string,
  ) {
    super(
      `partition "${partition}" has no queue "${queue}" on this broker; add it to a node's partitions option, or check the name.`,
    );
  }
}

/** The job may or may not be stored. Enqueue again with the same id: nothing is lost, a keyed job is not doubled. */
export class EnqueueOutcomeUnknown extends SpillwayError {
  readonly code = "EnqueueOutcomeUnknown";
  constructor(
    readonly id: string,
    options?: ErrorOptions,
  ) {
    super(
      `nobody can tell whether job ${id} was stored; enqueue it again with the same id (DuplicateJob by "id" then means that it was).`,
      options,
    );
  }
}

export class BrokerUnreachable extends SpillwayError {
  readonly code = "BrokerUnreachable";
  constructor(
    readonly broker: string,
    options?: ErrorOptions,
  ) {
    const why = options?.cause instanceof Error ? ` (${options.cause.message})` : "";
    super(
      `${broker} cannot be reached${why}; once it was, it is tried again with backoff. Check its address and that it runs.`,
      options,
    );
  }
}

export class BrokerRefused extends SpillwayError {
  readonly code = "BrokerRefused";
  constructor(
    readonly broker: string,
    readonly why: string,
    options?: ErrorOptions,
  ) {
    super(`${broker} refused: ${why}`, options);
  }
}

export class BrokerBlocked extends SpillwayError {
  readonly code = "BrokerBlocked";
  constructor(
    readonly broker: string,
    readonly reason: string,
  ) {
    super(
      `${broker} takes no messages (${reason}); the job was not stored. Free its memory or disk, then enqueue again.`,
    );
  }
}

export class TopologyConflict extends SpillwayError {
  readonly code = "TopologyConflict";
  constructor(
    /** `queue P.Q`, `exchange orders`. */
    readonly what: string,
    readonly difference: string,
    options?: ErrorOptions,
  ) {
    const advice = what.startsWith("queue") ? "Drain and delete it" : "Delete it";
    super(
      `${what} exists with other arguments: ${difference}. ${advice}, or use the arguments it has.`,
      options,
    );
  }
}

/** Another process (or another runtime of this one) holds the folder. */
export class BrokerInUse extends SpillwayError {
  readonly code = "BrokerInUse";
  constructor(
    readonly path: string,
    readonly holder: {
      readonly pid?: number;
      readonly host?: string;
      readonly node?: string;
      readonly since?: number;
    },
    options?: ErrorOptions,
  ) {
    super(
      `${path} is held by ${holder.pid === undefined ? "another process" : `process ${holder.pid}${holder.host === undefined ? "" : ` on ${holder.host}`}${holder.node === undefined ? "" : ` (node ${holder.node})`}`}; one process at a time may open it. Stop that one, or use another folder.`,
      options,
    );
  }
}

/** The disk is full: this enqueue was not stored; completions still pass. */
export class StorageFull extends SpillwayError {
  readonly code = "StorageFull";
  constructor(
    readonly path: string,
    readonly freeBytes?: number,
  ) {
    super(
      `the disk that holds ${path} is full${freeBytes === undefined ? "" : ` (${freeBytes} bytes free)`}; the job was not stored. Free space, then enqueue again; running jobs still complete.`,
    );
  }
}

export class StoreUnreadable extends SpillwayError {
  readonly code = "StoreUnreadable";
  constructor(
    readonly path: string,
    readonly problem: string,
    options?: ErrorOptions,
  ) {
    super(
      `${path} cannot be opened as a Spillway store: ${problem}. Nothing was changed. Restore the folder from a backup, or move it away to begin an empty one.`,
      options,
    );
  }
}

export class StoreDamaged extends SpillwayError {
  readonly code = "StoreDamaged";
  constructor(
    readonly path: string,
    readonly problem: string,
    options?: ErrorOptions,
  ) {
    super(
      `${path} is damaged: ${problem}. Copy the folder, then restore it from a backup or salvage it with sqlite3's .recover.`,
      options,
    );
  }
}

/** The data files were replaced, moved or taken by another process while they were open. */
export class StoreTaken extends SpillwayError {
  readonly code = "StoreTaken";
  constructor(
    readonly path: string,
    readonly problem: string,
  ) {
    super(
      `${path} is no longer this process's: ${problem}. The runtime stops here, so that nothing is written twice.`,
    );
  }
}

export class StoreDriverMissing extends SpillwayError {
  readonly code = "StoreDriverMissing";
  constructor(options?: ErrorOptions) {
    super(
      "the embedded broker needs SQLite: use Node >= 22.13, or run npm i better-sqlite3@12. (memory() and rabbitmq() need nothing.)",
      options,
    );
  }
}

export class TooManyCancelled extends SpillwayError {
  readonly code = "TooManyCancelled";
  constructor(
    readonly partition: string,
    readonly limit: number,
  ) {
    super(
      `partition "${partition}" remembers ${limit} cancelled ids that were never seen; none is dropped for room. Cancel ids that exist.`,
    );
  }
}

export class InvalidOptions extends SpillwayError {
  readonly code = "InvalidOptions";
  constructor(
    readonly problems: readonly string[],
    options?: ErrorOptions,
  ) {
    super(
      `the options do not hold: ${problems.join("; ")}. docs/options.md has every option with its default.`,
      options,
    );
  }
}

/** Of a partition: no node that stands for it answered in time. */
export class CoordinatorUnavailable extends SpillwayError {
  readonly code = "CoordinatorUnavailable";
  constructor(
    readonly partition: string,
    options?: ErrorOptions,
  ) {
    const why = options?.cause instanceof Error ? ` (${options.cause.message})` : "";
    super(
      `the coordinator of partition "${partition}" did not answer in time${why}; nothing was changed that it did not confirm. Try again.`,
      options,
    );
  }
}

/** What keeps a partition's state threw, took too long, or gave what is none of ours; nothing was stored over it. */
export class PersisterFailed extends SpillwayError {
  readonly code = "PersisterFailed";
  constructor(
    readonly partition: string,
    readonly call: "init" | "load" | "store" | "append",
    readonly why: string,
    options?: ErrorOptions,
  ) {
    super(
      `the persister of partition "${partition}" failed in ${call}: ${why}. Nothing was stored over what it has; it is asked again by itself. Mend it, or what it reads.`,
      options,
    );
  }
}

/** Of a job with a queue key, where the persister would have to store the whole state for each of them. */
export class QueueKeyRefused extends SpillwayError {
  readonly code = "QueueKeyRefused";
  constructor(readonly job: string) {
    super(
      `job "${job}" has a queue key, and the persister has no append, without which the whole state would be stored at each change; the job was not stored. Give it append(partition, bytes), use filesystem({ path }), or leave the option persister out.`,
    );
  }
}
