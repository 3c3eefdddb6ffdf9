/**
 * What travels on a thread's plain port, in both directions, as flat arrays led by a number.
 *
 * Copies: args are JSON text from enqueue on, copied once by this post and parsed in the thread; a result is cloned once by
 * the post to main, a SharedArrayBuffer in it shared (`docs/decisions/0015-copies-between-threads.md`).
 *
 * Owns the words, no state. A batch of jobs is `[firstSlot, job, job, …]` with each job's fields in line, because
 * one flat array costs the least to clone; everything rarer has a negative first number. The other way, a bare
 * number says "look at the cells".
 */
import type { MessagePort } from "node:worker_threads";

// To the host. A batch: [slot of the first, then FIELDS values a job: type, lane, id, attempt, limitMs, argsText].
export const FIELDS = 6;
/** [TO_ABORT, slot] */
export const TO_ABORT = -1;
/** [TO_TYPES, number of the first, then name, url a type] */
export const TO_TYPES = -2;
/** [TO_LANES, number of the first, then partition, queue a lane] */
export const TO_LANES = -3;
/** [TO_ANSWER]: is anybody there? */
export const TO_ANSWER = -4;

// From the host: [word, slot, …].
/** Cells have changed. */
export const LOOK = 0;
/** [VALUE, slot, value] */
export const VALUE = 1;
/** [FAILED, slot, failure] */
export const FAILED = 2;
/** [SNOOZED, slot, delayMs] */
export const SNOOZED = 3;
/** [PROGRESS, slot, value] */
export const PROGRESS = 4;
/** [LOG, slot, level, text, data] */
export const LOG = 5;
/** [ALIVE, slot or -1]: the abort (-1: the question) was delivered, so the thread's event loop runs. */
export const ALIVE = 6;
/** [DYING, slot or -1, failure, id, child pids]: the thread ends now, and why; -1 = a body that has ended did it. */
export const DYING = 7;
/** [READY, tid or 0] */
export const READY = 8;

/** Key of the global symbol under which a thread keeps the function that tells its memory. */
export const MEMORY_KEY = "spillway.memory";
/** The same of what tells its stack: JSON of `ToldFrame`s, or "" where it cannot. */
export const STACK_KEY = "spillway.stack";
/** Function, script (none: the engine's own), line and column, both from 1. */
export type ToldFrame = readonly [
  name: string | null,
  script: string | null,
  line: number | null,
  column: number | null,
];

/** What a host is started with. */
export interface HostStart {
  readonly port: MessagePort;
  /** Comlink's own, for calls that answer. */
  readonly calls: MessagePort;
  readonly cells: SharedArrayBuffer;
  readonly resultLimitBytes: number;
  /** Bodies that may be under way at once. */
  readonly jobsPerThread: number;
  /** Memory is limited: the thread is asked what it uses without its garbage. */
  readonly memoryLimited?: boolean;
}

/** Calls main makes into a host. */
export interface HostCalls {
  /** Loads the module of a type ahead of its first job; the error's message, or undefined. */
  load(type: number): Promise<string | undefined>;
  /** Bytes in use in the thread's heap and its buffers. */
  heap(): { readonly heapBytes: number; readonly externalBytes: number };
}

/** Calls a host makes to main. */
export interface MainCalls {
  ask(name: string, args: readonly unknown[]): Promise<unknown>;
}
