/**
 * How jobs ended, remembered for whoever asks within a minute.
 *
 * Owns two generations of at most half of 10,000 ends and 16 MiB each, turned over every 30 s or when full: an end
 * costs one Map entry and no timer. Results are a courtesy beside the promises: when this is gone, `result()` says
 * `ResultUnknown` and the jobs are as they were.
 */
import type { BuriedRecord } from "../jobs/failure.ts";

export type Ended =
  | { readonly kind: "completed"; readonly value: unknown }
  | { readonly kind: "buried"; readonly record: BuriedRecord }
  | { readonly kind: "cancelled" }
  | { readonly kind: "purged" };

type Waiter = (ended: Ended | undefined) => void;

const HALF_COUNT = 5_000;
const HALF_BYTES = 8 * 1024 * 1024;
const HALF_AGE_MS = 30_000;
/** What an end costs beside its value. */
const ENTRY_BYTES = 96;
/** A failure with its stack, and perhaps a kill report. */
const BURIED_BYTES = 4_096;

export class Results {
  #young = new Map<string, Ended>();
  #old = new Map<string, Ended>();
  #youngBytes = 0;
  #youngSince: number;
  readonly #waiters = new Map<string, Waiter[]>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#youngSince = now();
  }

  /** Called at each job's end; tells who waits, remembers for who comes later. */
  ended(partition: string, id: string, ended: Ended): void {
    const key = keyOf(partition, id);
    if (this.#waiters.size > 0) this.#tell(key, ended);
    this.#turnOver();
    this.#young.set(key, ended);
    this.#youngBytes += ENTRY_BYTES + weigh(ended);
  }

  #tell(key: string, ended: Ended): void {
    const waiters = this.#waiters.get(key);
    if (waiters === undefined) return;
    this.#waiters.delete(key);
    for (const waiter of waiters) waiter(ended);
  }

  #turnOver(): void {
    const full = this.#young.size >= HALF_COUNT || this.#youngBytes >= HALF_BYTES;
    if (!full && this.#now() - this.#youngSince < HALF_AGE_MS) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
    this.#youngSince = this.#now();
  }

  /** How the job ended, if it is remembered. */
  get(partition: string, id: string): Ended | undefined {
    const key = keyOf(partition, id);
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** A job of this id was enqueued again: its last end no longer answers for it. */
  forget(partition: string, id: string): void {
    const key = keyOf(partition, id);
    this.#young.delete(key);
    this.#old.delete(key);
  }

  /** Calls back once, at the job's end, or with `undefined` when the runtime stops first; returns what gives up. */
  wait(partition: string, id: string, waiter: Waiter): () => void {
    const key = keyOf(partition, id);
    const waiters = this.#waiters.get(key);
    if (waiters === undefined) this.#waiters.set(key, [waiter]);
    else waiters.push(waiter);
    return () => this.#giveUp(key, waiter);
  }

  #giveUp(key: string, waiter: Waiter): void {
    const left = this.#waiters.get(key)?.filter((w) => w !== waiter);
    if (left === undefined) return;
    if (left.length === 0) this.#waiters.delete(key);
    else this.#waiters.set(key, left);
  }

  close(): void {
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter(undefined);
    this.#waiters.clear();
  }
}

/** Ids are 27 characters mostly and unique within a partition; a partition's name holds no space. */
function keyOf(partition: string, id: string): string {
  return `${partition} ${id}`;
}

/** A rough size: exact for text and bytes, a guess by entries for the rest; bounds memory, not accounts for it. */
function weigh(ended: Ended): number {
  if (ended.kind === "buried") return BURIED_BYTES;
  if (ended.kind !== "completed" || ended.value === undefined) return 0;
  return weighValue(ended.value, 4);
}

function weighValue(value: unknown, depth: number): number {
  if (typeof value === "string") return value.length * 2;
  if (typeof value !== "object" || value === null) return 8;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (depth === 0) return 256;
  let sum = 16;
  for (const inner of Object.values(value)) sum += 16 + weighValue(inner, depth - 1);
  return sum;
}
