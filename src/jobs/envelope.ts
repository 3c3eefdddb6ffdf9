/**
 * A job as the runtime carries it: the header's fields and the args as text, parsed only in the thread.
 *
 * Owns the record itself; `codec.ts` turns it into bytes and back. One class, every field always there, so that
 * all envelopes share one hidden class on the hot path. Treated as immutable: a retry, a snooze and a re-queue
 * make a new one (`retry.ts`).
 */

/** One failed attempt, as it travels with the job: the last 5, at most 16 KiB in all. */
export interface HistoryEntry {
  readonly attempt: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly kind: FailureKind;
  readonly message: string;
  readonly stack?: string;
}

/** How an attempt failed (`api.md`, failure kinds). */
export type FailureKind = "error" | "timeout" | "crash" | "memory" | "exit" | "result" | "cancelled";

export interface EnvelopeFields {
  readonly id: string;
  readonly job: string;
  readonly partition: string;
  readonly queue: string;
  readonly queueKey?: string | undefined;
  readonly executionKey?: string | undefined;
  readonly attempt?: number | undefined;
  readonly hop?: number | undefined;
  readonly levels?: readonly number[] | undefined;
  readonly history?: readonly HistoryEntry[] | undefined;
  readonly maxExecutionTimeMs?: number | undefined;
  readonly enqueuedAt?: number | undefined;
  readonly startedAt?: number | undefined;
  readonly replyTo?: string | undefined;
  readonly trace?: string | undefined;
  readonly argsText: string;
}

export class Envelope {
  readonly id: string;
  readonly job: string;
  readonly partition: string;
  readonly queue: string;
  readonly queueKey: string | undefined;
  readonly executionKey: string | undefined;
  /** Starts at 0; grows with each retry, never with a snooze, rescue or hand-back. */
  readonly attempt: number;
  /** Grows each time one attempt is published again, so that copies can be told apart. */
  readonly hop: number;
  /** Delays in seconds after attempt n; `undefined`: the running node's definition or runtime decides. */
  readonly levels: readonly number[] | undefined;
  readonly history: readonly HistoryEntry[];
  /** 0 = unlimited. */
  readonly maxExecutionTimeMs: number;
  readonly enqueuedAt: number;
  /** Of the last attempt that started; 0 = never. */
  readonly startedAt: number;
  readonly replyTo: string | undefined;
  readonly trace: string | undefined;
  /** JSON text, as it goes to the thread. */
  readonly argsText: string;

  constructor(fields: EnvelopeFields) {
    this.id = fields.id;
    this.job = fields.job;
    this.partition = fields.partition;
    this.queue = fields.queue;
    this.queueKey = fields.queueKey;
    this.executionKey = fields.executionKey;
    this.attempt = fields.attempt ?? 0;
    this.hop = fields.hop ?? 0;
    this.levels = fields.levels;
    this.history = fields.history ?? NO_HISTORY;
    this.maxExecutionTimeMs = fields.maxExecutionTimeMs ?? 0;
    this.enqueuedAt = fields.enqueuedAt ?? 0;
    this.startedAt = fields.startedAt ?? 0;
    this.replyTo = fields.replyTo;
    this.trace = fields.trace;
    this.argsText = fields.argsText;
  }
}

const NO_HISTORY: readonly HistoryEntry[] = [];
