/**
 * What every broker keeps: the port between the actors and wherever jobs live.
 *
 * Owns no code. Written for two worlds: one process that owns its store (memory, embedded), where taking a job
 * writes nothing and a settle can be lazy; and RabbitMQ, where deliveries come again, acknowledgements go out in
 * groups, outcomes can be unknown and jobs may be held for another node. A broker that can't do a thing rejects
 * with a typed error. `test/conformance/` is this page as a test.
 */
import type { Envelope } from "../jobs/envelope.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import type { DeclaredQueue } from "./foreign.ts";

/** Enqueues of one commit that were refused, each with its error; all others of that commit are durable. */
export type Refusals = ReadonlyMap<Envelope, Error>;

/** What the broker tells whoever opened it. Called on the main thread, never from within a broker call. */
export interface BrokerEvents {
  /** The connection or store is there (again). */
  connected(): void;
  /** It is gone; every unsettled delivery is void, the broker reopens under supervision. */
  lost(error: Error): void;
  blocked(reason: string): void;
  unblocked(): void;
  /** The broker itself buried a job (poison, undecodable), outside any delivery's settle. */
  buried(partition: string, queue: string, id: string, record: BuriedRecord): void;
  /** Another node on the same broker was first heard of, is late (for information only), or is gone. */
  node(name: string, state: "up" | "late" | "gone"): void;
  /** What runs here differs from what others say in a way that looks like a mistake; in words. */
  mixed(name: string, difference: string): void;
  /** A job was purged with its queue when it came back from where it had waited. */
  purged(queue: QueueRef, id: string): void;
  /** A queue was paused or resumed in the whole cluster, by whichever node. Told where pauses travel. */
  paused(queue: QueueRef, paused: boolean): void;
  /**
   * Others will soon take this node for gone, and its execution keys go to the next: bodies that run under one must have
   * ended by then.
   */
  keysEnd(): void;
  /** A key was freed by hand, by whichever node. */
  released(partition: string, kind: "queue" | "execution", key: string): void;
}

/** One queue of one partition. */
export interface QueueRef {
  readonly partition: string;
  readonly queue: string;
}

export interface PublishOptions {
  /** Milliseconds since the epoch; the job is `scheduled` until then. */
  readonly dueAt?: number;
  /** The ids were made for these jobs and are known to nobody yet: none can be a duplicate. Default false. */
  readonly fresh?: boolean;
}

/**
 * A job in this node's hands. Settled exactly once, by one of the `Broker` calls that take it; a delivery of a
 * connection that is gone is settled into nothing (the broker has the job again).
 */
export interface Delivery {
  readonly envelope: Envelope;
  /** It may have been handed out before (never says that it started). */
  readonly redelivered: boolean;
  /**
   * Set when the job may have taken a process down: it runs in a process of its own, and its start must be made durable
   * with `markStarted` first; with `alone` no other suspect may run on this node while it does.
   */
  readonly suspect: { readonly crashes: number; readonly alone: boolean } | undefined;
  readonly subscription: Subscription;
  /** False once it was settled, or when the connection it came from is gone: settling it does nothing then. */
  readonly live?: boolean;
  /**
   * The node was cut off for so long that another one may have started this job: `stillOurs` must say so before its
   * outcome is told. Never set by a broker of one process.
   */
  readonly doubtful?: boolean;
}

/** One node's consumption of one queue. */
export interface Subscription {
  readonly queue: QueueRef;
  /** Most unsettled deliveries; takes effect at once, a lower one by handing out nothing until below it. */
  setLimit(limit: number): void;
  /** Hands out nothing new; what is unsettled stays. `resume` goes on. */
  pause(): void;
  resume(): void;
  /**
   * As `pause`, and all that is not settled and is released goes to other nodes at once. Only where there can be others.
   */
  giveWay?(): void;
  /** Takes no more; unsettled deliveries stay valid until settled. Idempotent. */
  cancel(): Promise<void>;
}

export interface QueueCounts {
  readonly available: number;
  /** `undefined` where scheduled jobs wait in queues that all partitions share, and cannot be told apart. */
  readonly scheduled: number | undefined;
  readonly buried: number;
  /** Handed out and not settled. */
  readonly unsettled: number;
  readonly paused: boolean;
}

/** One row of a list: a job that waits. */
export interface QueuedJob {
  readonly envelope: Envelope;
  readonly state: "available" | "scheduled";
  readonly dueAt: number | undefined;
}

export interface BuriedJob {
  readonly id: string;
  /** `undefined` when its bytes could not be decoded; `raw` then holds them. */
  readonly envelope: Envelope | undefined;
  readonly record: BuriedRecord;
  readonly raw: Uint8Array | undefined;
}

export interface BuriedPage {
  /** 1 … 1,000; default 100. */
  readonly limit?: number;
  /** Rows behind this id in the order of burial. */
  readonly after?: string;
}

/**
 * How a queue is looked at. `careful`: while nobody takes from it. `alone`: no other node does, which who asks must know; also
 * while this one can take no more. `deep`: in any case, others may be overtaken. Default `careful`.
 */
export type Look = "careful" | "alone" | "deep";

/** What `cancelQueued` found. `absent`: not seen by this broker in any state. `unsettled`: in this node's hands. */
export type Found = "available" | "scheduled" | "buried" | "unsettled" | "absent";

export interface RequeueOutcome {
  readonly id: string;
  /** `undefined` = re-queued. `DuplicateJob` when its queue key is held: it stays buried. */
  readonly error: Error | undefined;
}

/** Jobs, wherever they live. Every promise resolves only when its change is durable (memory: at once). */
export interface Broker {
  readonly kind: "memory" | "embedded" | "rabbitmq";
  /** One line for people: `embedded ./data (better-sqlite3 12)`. */
  readonly description: string;

  /** Rejects with `BrokerInUse`, `StoreUnreadable`, `StoreDamaged`, `StoreDriverMissing`, `BrokerUnreachable`, … */
  open(events: BrokerEvents): Promise<void>;
  /** After all subscriptions are cancelled: flushes what is lazy, then lets go. Idempotent. */
  close(): Promise<void>;

  /** What a queue is called on the broker. */
  nameOf(queue: QueueRef): string;
  /** Makes sure that these queues exist, bound to these exchanges and no others that this node has bound them to before. */
  declare(queues: readonly DeclaredQueue[]): Promise<void>;
  /** Every queue that exists; on a broker that cannot be asked, every one that a live node has declared. */
  queues(): Promise<readonly QueueRef[]>;
  /** Whether a queue is there, whoever made it. */
  exists(queue: QueueRef): Promise<boolean>;

  /**
   * Resolves when durable, with the refusals of the commit it was part of, or `undefined` when there were none
   * (callers look for their own envelope; the promise is shared by all of one commit). A refusal is `DuplicateJob`,
   * `UnknownPartition`, `UnknownQueue` or `StorageFull` (known: not stored). Rejects with `EnqueueOutcomeUnknown`
   * when nobody can tell.
   */
  publish(envelope: Envelope, options?: PublishOptions): Promise<Refusals | undefined>;
  publishMany(envelopes: readonly Envelope[], options?: PublishOptions): Promise<Refusals | undefined>;

  /** Starts handing out: at most `limit` unsettled at a time, in order. `deliver` must not throw. */
  subscribe(queue: QueueRef, limit: number, deliver: (delivery: Delivery) => void): Subscription;

  /** Makes the start of a suspect durable before its body runs; a second call with `alone: false` lets others in. */
  markStarted(delivery: Delivery, alone: boolean): Promise<void>;
  /** Its own process has died under it, and it may run again: how often that has happened, durably. */
  markCrashed(delivery: Delivery): Promise<number>;
  /** The job has ended well. Lazy (≤ 2 ms, at close at the latest): a crash before that runs it again. Frees its queue key. */
  complete(delivery: Delivery): void;
  /** The job has ended otherwise (cancelled, superseded); durable. Frees its queue key. */
  discard(delivery: Delivery): Promise<void>;
  /** Replaces the job by `next` (same id, new attempt or hop), due at `dueAt`; its queue key stays held. */
  retry(delivery: Delivery, next: Envelope, dueAt: number): Promise<void>;
  /** Moves it to the buried jobs; frees its queue key. `envelope` carries the final attempt and history. */
  bury(delivery: Delivery, envelope: Envelope, record: BuriedRecord): Promise<void>;
  /** Hands it back as it came, to its old place in the queue; nothing is counted. Lazy where it costs nothing. */
  release(delivery: Delivery): void;
  /** For a `doubtful` delivery: false when another node has started or ended it; it is settled then. */
  stillOurs(delivery: Delivery): Promise<boolean>;

  /**
   * Removes a job that has not started, wherever it waits, durably; the answer says where it was. `unsettled` and
   * `buried` are left as they are. Frees its queue key when removed.
   */
  cancelQueued(
    partition: string,
    id: string,
  ): Promise<{ readonly found: Found; readonly envelope: Envelope | undefined }>;
  /**
   * Where a job of this id is, without touching it. A buried one counts as `buried`; an ended one is `absent`;
   * `unknown` where a broker cannot be searched.
   */
  find(partition: string, id: string): Promise<Found | "unknown">;
  /** Who holds a queue key: the id of the job, or `undefined`. */
  holderOf(partition: string, queueKey: string): Promise<string | undefined>;

  /** Frees a queue key by hand: the id that had it, or `undefined`. Its job goes on without it. */
  releaseKey(partition: string, queueKey: string): Promise<string | undefined>;

  /** Stored: a paused queue hands nothing out, on any node, until resumed; survives restarts. */
  setPaused(queue: QueueRef, paused: boolean): Promise<void>;
  /** `undefined` for a queue that does not exist. Never blocks: a broker on a network answers with what it knew last. */
  counts(queue: QueueRef): QueueCounts | undefined;
  /** The same, asked now. */
  count(queue: QueueRef): Promise<QueueCounts | undefined>;
  /** What this node has in hand and has not settled, front of the queue first; whether it has started is not known here. */
  held(queue: QueueRef): readonly Envelope[];
  /** Whether this node takes from a queue now, or will as soon as it can. */
  takes(queue: QueueRef): boolean;
  /**
   * What waits and is in no node's hands, front first. A broker that can only look by taking (`Look`) looks while no job can
   * be overtaken by that.
   */
  list(
    queue: QueueRef,
    limit: number,
    look?: Look,
  ): Promise<{ readonly jobs: readonly QueuedJob[]; readonly complete: boolean }>;
  /** Removes what waits (available and scheduled); the ids of all of it. */
  purge(queue: QueueRef): Promise<readonly string[]>;

  listBuried(queue: QueueRef, page?: BuriedPage): Promise<readonly BuriedJob[]>;
  /** Attempt 0, hop + 1; takes the queue key first. `argsText` replaces the args. */
  requeueBuried(
    queue: QueueRef,
    ids: readonly string[] | "all",
    argsText?: string,
  ): Promise<readonly RequeueOutcome[]>;
  dropBuried(queue: QueueRef, ids: readonly string[] | "all"): Promise<readonly string[]>;

  /** How long a delivery may be unsettled before the broker takes it back; `undefined`: as long as it likes. */
  readonly deliveryTimeoutMs: number | undefined;
  /** Marks of cancelled ids that were not seen; durable, bounded (`TooManyCancelled`), kept 30 days. */
  mark(partition: string, id: string): Promise<void>;
  isMarked(partition: string, id: string): boolean;
  /** Resolves when this node knows a partition's marks and pauses, also of one that it does not run. */
  ready(partition: string): Promise<void>;
  unmark(partition: string, id: string): Promise<void>;

  /**
   * Where jobs wait for an execution key when this node has enough of them in hand; `undefined`: to wait in hand costs no
   * more.
   */
  readonly keyRoom: KeyRoom | undefined;

  /** Execution keys of the whole cluster; `undefined` where one process is all there is, and its coordinator keeps them. */
  readonly keys: ClusterKeys | undefined;

  readonly cluster: Cluster;
}

/** Who waits for an execution key; both may be called from within `acquire`. */
export interface KeyListener {
  granted(): void;
  /** Another job has it. `place` grows along the line, whichever node its jobs wait on. */
  queued(place: number): void;
}

/** An execution key that some job has. */
export interface KeyHolder {
  readonly key: string;
  readonly id: string;
  readonly node: string;
  /** Jobs that wait for it. */
  readonly waiting: number;
}

/** Execution keys as leases that a partition's coordinator gives to live nodes. What settles a delivery frees its key. */
export interface ClusterKeys {
  /** For a job that was delivered here. Asked for until it is granted or taken back. */
  acquire(partition: string, key: string, id: string, listener: KeyListener): void;
  /** Takes an ask back, also one whose grant is under way. */
  withdraw(partition: string, key: string, id: string): void;
  holders(partition: string): Promise<readonly KeyHolder[]>;
  /** The id that has a key. */
  executing(partition: string, key: string): Promise<string | undefined>;
  /** By hand: the id that had it, or `undefined`; whoever is next has it now, beside a body that may still run. */
  release(partition: string, key: string): Promise<string | undefined>;
}

/** A job that was put aside, by its number in the store. */
export type Shelved = number;

export type KeyRoom =
  | {
      readonly kind: "round";
      /**
       * Settles a delivery that waits: it comes again in a second, to any node, with a higher hop and its old place in
       * the line. When its turn comes before that, the key waits for it, 1.5 s from here at most.
       */
      goRound(delivery: Delivery): Promise<void>;
    }
  | {
      readonly kind: "shelf";
      /** In nobody's hands, and not handed out before it is asked for. Writes nothing. `undefined`: it was void. */
      put(delivery: Delivery): Shelved | undefined;
      /** In hand again, beyond any limit, in this order; what is no more there (cancelled, purged) is left out. */
      take(subscription: Subscription, jobs: readonly Shelved[]): Promise<readonly Delivery[]>;
      /** To their old places in the queue. */
      giveBack(queue: QueueRef, jobs: readonly Shelved[]): void;
    };

/** One entry a node; a late one is an error in its place, never a hang. */
export type NodeAnswer<T = unknown> =
  | { readonly node: string; readonly ok: true; readonly value: T }
  | { readonly node: string; readonly ok: false; readonly error: Error };

/** Other nodes on the same broker; a broker of one process knows only this one. */
export interface Cluster {
  /** Answers commands of any node, this one included. Set once, before `call` and `cast`. */
  serve(node: string, answer: (command: string, args: unknown) => Promise<unknown>): Promise<void>;
  call(command: string, args: unknown, timeoutMs: number): Promise<readonly NodeAnswer[]>;
  /** To every node, this one included, or to one by its name. */
  cast(command: string, args: unknown, to?: string): void;
  /** Tells the others what this node can run and what it declares. A broker of one process has nobody to tell. */
  announce(jobs: readonly string[]): void;
  /** Whether a live node other than this one can run jobs of this name. */
  knows(job: string): boolean;
  /** Live nodes beside this one. */
  readonly others: readonly string[];
  /** It has been here for less than `nodeTimeout`: what comes again waits, since somebody silent may still have it. */
  readonly isNew: boolean;
  /**
   * Stands as a candidate for a partition's coordinator; `elected` with an epoch that grows with each election,
   * `deposed` when another has taken over. A broker of one process elects at once.
   */
  candidate(
    partition: string,
    face: { elected(epoch: number): void; deposed(): void },
  ): Promise<{ withdraw(): Promise<void> }>;
}
