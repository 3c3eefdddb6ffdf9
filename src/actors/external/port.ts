/**
 * The port for workers outside the process: what a gateway brings, and what it is given for it.
 *
 * Owns no code. A gateway speaks the wire of its workers; slots, time limits, deliveries, heartbeats and ages are kept
 * in one place for all gateways (`pool.ts`). Both sides call each other at once, on the main thread.
 */
import type { AbortReason, LogLevel } from "../../threads/types.ts";

/** A job as it goes out to a worker. */
export interface ExternalJob {
  readonly id: string;
  /** The name of its definition; the worker's type may serve several. */
  readonly job: string;
  readonly partition: string;
  readonly queue: string;
  readonly attempt: number;
  /** JSON, as it was enqueued: `null` for none. */
  readonly argsText: string;
  /** 0 = unlimited. */
  readonly maxExecutionTimeMs: number;
}

/** A worker that is connected: the gateway's side. */
export interface ExternalWorker {
  /** For people: `gloom 10.0.0.7:50211`. */
  readonly name: string;
  /** What a definition names in `runsIn: { worker }`. */
  readonly type: string;
  /** It hears of `signal` and answers to `ping`: its wire has words for that. */
  readonly hears: boolean;
  /** Longest time between the signs of life that it gives unasked (`heard`); missing: it gives none. */
  readonly beatMs?: number;
  /** Only when it is free. */
  run(job: ExternalJob): void;
  /** Its body is to end; it has a grace for that. */
  signal(id: string, reason: AbortReason): void;
  ping(): void;
  /**
   * Ends its connection; `gone` of its seat follows, at once or later. `body`: it has one that does not end by itself, so
   * its process is ended too, if that is ours.
   */
  end(why: string, body: boolean): void;
}

export interface ExternalFailure {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Buried at once, whatever levels are left. */
  readonly final: boolean;
}

/** A worker's place among all; the gateway says there what becomes of the worker. */
export interface WorkerSeat {
  /** It has a job of the runtime. */
  readonly busy: boolean;
  /** It may be given a job, now and until `taken`. */
  free(): void;
  /** It does something else, which is none of the runtime's business. */
  taken(): void;
  /** The result's JSON; what is none fails the attempt. */
  completed(text: string): void;
  failed(failure: ExternalFailure): void;
  /** It asked to run later, with no attempt spent. */
  snoozed(delayMs: number): void;
  progress(value: unknown): void;
  log(level: LogLevel, text: string): void;
  /** A sign of life; all of the above are. */
  heard(): void;
  /** Its connection has ended. Its body counts as ended, too: nothing else can be known. */
  gone(why: string): void;
}

/** What a gateway is given when it starts. */
export interface ExternalWorkers {
  seat(worker: ExternalWorker): WorkerSeat;
}

/** What `gateways` of `Runtime.start` takes. */
export interface Gateway {
  /** For people, and its name in the tree: `gloom`. */
  readonly kind: string;
  /** Resolves when workers can come. */
  start(workers: ExternalWorkers): Promise<void>;
  /** Resolves when all of its connections have ended; may be called without a start. */
  stop(): Promise<void>;
  /** What `info.tree()` shows of it. */
  describe(): Readonly<Record<string, unknown>>;
}
