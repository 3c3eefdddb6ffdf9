/**
 * What travels on a thread's plain port, in both directions, as flat arrays led by a number.
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
/** [ALIVE, slot]: the abort was delivered, so the thread's event loop runs. */
export const ALIVE = 6;
/** [DYING, slot or -1, failure, id, child pids]: the thread ends now, and why; -1 = a body that has ended did it. */
export const DYING = 7;
/** [READY, tid or 0] */
export const READY = 8;

/** What a host is started with. */
export interface HostStart {
  readonly port: MessagePort;
  /** Comlink's own, for calls that answer. */
  readonly calls: MessagePort;
  readonly cells: SharedArrayBuffer;
  readonly resultLimitBytes: number;
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
