/**
 * The port between the actors and the threads: what is handed to a thread, and what comes back.
 *
 * Owns no code. The pool calls back on the main thread, never from within one of its own calls; every task that
 * was given gets exactly one outcome, and gets it only when its body is known to have ended (or its thread to be
 * gone).
 */
import type { Failure, KillReport } from "../jobs/failure.ts";

/** A job type that threads can load: which module, which export. `type` numbers are small and dense. */
export interface JobModule {
  readonly name: string;
  /** `file:` URL of the module; `.js`, `.mjs`, `.cjs`, `.ts`, `.mts`, `.cts`. */
  readonly url: string;
  /** Default `thread`. */
  readonly runsIn?: "thread" | "process" | { readonly worker: string };
  /** Name of the pool whose threads run it; default: the one without a name. */
  readonly pool?: string;
}

/** One body to run. */
export interface Task {
  readonly type: number;
  readonly id: string;
  readonly partition: string;
  readonly queue: string;
  readonly attempt: number;
  readonly argsText: string;
  /** `false`: its body may take long, so no other is put behind it while another thread has no such body. */
  readonly short?: boolean;
  /** It runs in a process of its own, whatever its type says: what may take a process down. */
  readonly inProcess?: true;
  /** 0 = unlimited. Counted from the moment the body starts. */
  readonly maxExecutionTimeMs: number;
  /**
   * Called at most once, before the outcome; not for a body that started and ended between two looks. In a process of
   * its own: with the number of that process.
   */
  started?(threadId: number, at: number): void;
  progress?(value: unknown): void;
  log?(level: LogLevel, text: string, data: unknown): void;
  /** The thread did not exit within its time: no outcome comes until it has, hours later if need be. */
  wedged?(report: KillReport): void;
  ended(outcome: Outcome): void;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Why a body is told to end. */
export type AbortReason = "timeout" | "cancel" | "shutdown" | "memory";

export type Outcome =
  | { readonly kind: "completed"; readonly value: unknown; readonly durationMs: number }
  | {
      readonly kind: "failed";
      readonly failure: Failure;
      readonly durationMs: number;
      /** The process that it ran in has died under it, by its own doing. */
      readonly processDied?: true;
    }
  /** It asked to run later, with no attempt spent. */
  | { readonly kind: "snoozed"; readonly delayMs: number }
  /** It was aborted for this reason, and has ended by itself or was killed (then with a report). */
  | {
      readonly kind: "aborted";
      readonly reason: "cancel" | "shutdown";
      readonly report: KillReport | undefined;
    }
  /** Its thread ended for another body's sake; run it again at once, no attempt spent. */
  | { readonly kind: "rescued"; readonly reason: string }
  /** It had not started: taken back by `revoke` or a stop, or given back (`giveBack`). */
  | { readonly kind: "returned" };

export interface PoolOptions {
  /** Slots; at least 1. */
  readonly threads: number;
  /** Hot threads beside them; 0 … 16. */
  readonly spares: number;
  /** Bodies that share a thread, 1 unless given: asynchronous ones, which wait for most of their time. */
  readonly jobsPerThread?: number;
  /** From the signal to the kill. */
  readonly graceMs: { readonly timeout: number; readonly cancel: number; readonly shutdown: number };
  readonly captureStack: boolean;
  /** How long a module may load before its first body; default 30 s. */
  readonly loadLimitMs?: number;
  /**
   * Whether what stands behind a long body, with no thread to move to, goes back with the outcome `returned`: for an
   * owner that hands tasks ahead and wants to decide anew who is next. Default false: it stays where it is.
   */
  readonly giveBack?: boolean;
  /** Threads that may be wedged before `onWedgedLimit`. */
  readonly maxWedged: number;
  readonly resourceLimits?: {
    readonly maxOldGenerationSizeMb?: number;
    readonly maxYoungGenerationSizeMb?: number;
    readonly stackSizeMb?: number;
  };
  /** Bytes of a thread's heap and buffers, without garbage, above which it is killed; its body fails with `memory`. */
  readonly memoryLimitBytes?: number;
  /** When a thread is replaced by a fresh one, under no body and to no job's delay. */
  readonly recycle?: Recycle;
  /** Bytes of a result above which the attempt fails with kind `result`. */
  readonly resultLimitBytes: number;
  /** Beside the threads that have no name. */
  readonly pools?: readonly NamedPool[];
  /** Of bodies that run in processes. */
  readonly processes?: ProcessOptions;
  /**
   * Asked instead of ending the thread of a body that did not end by itself, with the outcome that it has then: for an
   * owner that ends the whole process.
   */
  kill?(task: Task, outcome: Outcome): void;
  /** What bodies may call on the main thread by name (`context.service`); rare calls that answer. */
  readonly services?: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  /** Told of things that are nobody's outcome: a thread that was replaced, one that is wedged. */
  event?(event: PoolEvent): void;
}

/** Threads of their own for some job types. All else is as in the options that it stands in. */
export interface NamedPool {
  readonly name: string;
  readonly threads: number;
  readonly spares: number;
  readonly jobsPerThread: number;
  readonly maxWedged: number;
  readonly resourceLimits?: NonNullable<PoolOptions["resourceLimits"]>;
  readonly memoryLimitBytes?: number;
}

/** What of these comes first. */
export interface Recycle {
  readonly jobs?: number;
  readonly ageMs?: number;
  /** Of heap and buffers, while it is idle. */
  readonly heapBytes?: number;
}

export interface ProcessOptions {
  /** Hot processes beside those that run a body, from the first use on; 0 … 16. */
  readonly spares: number;
  /** How long more than the spares stay when they have nothing to do; default 30 s. */
  readonly idleMs?: number;
  /** Bytes of memory (RSS) of one process, above which it is ended and its body fails with kind `memory`. */
  readonly memoryLimitBytes?: number;
}

export type PoolEvent =
  | { readonly type: "thread.started"; readonly threadId: number }
  | { readonly type: "thread.ended"; readonly threadId: number; readonly reason: string }
  | { readonly type: "thread.wedged"; readonly threadId: number; readonly jobId: string }
  /** `maxWedged` is exceeded: `wedged` threads hang in native calls; the node should take no more. */
  | { readonly type: "threads.wedged-limit"; readonly wedged: number }
  /** What a body left behind after its end (a timer, a rejection) ended the thread under another body. */
  | {
      readonly type: "thread.blamed";
      readonly threadId: number;
      readonly jobId: string | undefined;
      readonly failure: Failure;
    }
  | { readonly type: "process.started"; readonly pid: number }
  | { readonly type: "process.ended"; readonly pid: number; readonly reason: string }
  /** This job's module did not finish loading within the limit; it is no longer loaded ahead. */
  | { readonly type: "module.hung"; readonly module: JobModule }
  /** Threads die before they are ready, this many in a row by now; building goes on, with backoff. */
  | { readonly type: "threads.failing"; readonly failures: number; readonly reason: string };

/** What `info` shows of one thread. */
export interface ThreadInfo {
  readonly threadId: number;
  /** Name of its pool, if that has one. */
  readonly pool?: string;
  /** The process that it is, where bodies run in processes; then `threadId` is the same. */
  readonly pid?: number;
  /** `spare`: hot, with all modules loaded that were used so far; `starting` before that. */
  readonly state: "starting" | "idle" | "busy" | "killing" | "wedged" | "spare";
  /** The worker behind a gateway that it is; then `threadId` is the number of its connection. */
  readonly worker?: string;
  /** Id of the body that runs now. */
  readonly running: string | undefined;
  /** How many run now, where more than one may. */
  readonly bodies?: number;
  /** Handed ahead, not started. */
  readonly queued: number;
}

/** All threads of a node. */
export interface ThreadPool {
  /** Makes a job type known to all threads, spares included; the number to give in `Task.type`. */
  register(module: JobModule): number;
  /** Resolves when `threads` of them are ready; rejects with what kept the first from starting. */
  start(): Promise<void>;
  /** Hands a task to the freest thread; all that is given within one turn goes as one message a thread. */
  give(task: Task): void;
  /** Takes back a task that has not started: true = its outcome is `returned` (called later, not from within). */
  revoke(task: Task): boolean;
  /** Sends a running body down the kill ladder; revokes one that has not started (outcome `aborted`). */
  abort(task: Task, reason: "cancel" | "shutdown"): void;
  readonly threads: readonly ThreadInfo[];
  /** Job modules were edited: no body starts in what has loaded them any more, none is ended for it. */
  renew(because: string): void;
  /**
   * So many threads from now on. Bodies that run in those too many end in peace, idle ones go at once. Resolves when so
   * many are in service; rejects as `start` does, and goes on building.
   */
  resize(threads: number): Promise<void>;
  /** Ends all threads. Resolves when all but wedged ones are gone, with the ids of the jobs that hang in those. */
  stop(): Promise<readonly string[]>;
}
