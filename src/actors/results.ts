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

/**
 * What a waiter is told: `undefined`, the runtime stopped first; `"unknown"`, the job is nowhere and its end forgotten;
 * `"missed"`, it may have ended elsewhere while this node heard nobody.
 */
export type Told = Ended | "unknown" | "missed" | undefined;

/** Carries ends between nodes, where there are others. */
export interface ResultPort {
  /** A job ended here. `replyTo`: the node that wants to know. */
  ended(partition: string, id: string, ended: Ended, replyTo: string | undefined): void;
  /** Somebody here waits for a job's end. */
  waited(partition: string, id: string): void;
}

/** Somebody who waits for a job's end. A class and not a closure: there is one for each job that is waited for. */
export abstract class Waiter {
  /** Sweeps that it has waited through. */
  sweeps = 0;
  /** Sweeps in a row that found the job nowhere. */
  absent = 0;
  /** Called once; the waiter has been let go of by then. */
  abstract tell(told: Told): void;
}

/** An end without a value: one for all. */
const COMPLETED: Ended = Object.freeze({ kind: "completed", value: undefined });

export function completed(value: unknown): Ended {
  return value === undefined ? COMPLETED : { kind: "completed", value };
}

const HALF_COUNT = 5_000;
const HALF_BYTES = 8 * 1024 * 1024;
const HALF_AGE_MS = 30_000;
/** Looks at a waiter from its second sweep on, at 100 a sweep. */
const SWEEP_FROM = 2;
const SWEEP_MOST = 100;
/** What an end costs beside its value. */
const ENTRY_BYTES = 96;
/** A failure with its stack, and perhaps a kill report. */
const BURIED_BYTES = 4_096;

export class Results {
  /** By partition, then id: both strings are hashed already, a joined one would be hashed anew each time. */
  readonly #partitions = new Map<string, PartitionResults>();
  readonly #now: () => number;
  /** Grows with each end: where it has not, nothing has to be looked up. */
  ends = 0;
  #closed = false;
  #port: ResultPort | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Where ends are told beside this node. */
  connect(port: ResultPort): void {
    this.#port = port;
  }

  /** Called at each job's end; tells who waits, remembers for who comes later. */
  ended(partition: string, id: string, ended: Ended, replyTo?: string): void {
    this.ends++;
    this.#of(partition).ended(id, ended);
    this.#port?.ended(partition, id, ended, replyTo);
  }

  /** Another node says how a job ended: it is remembered here too, and told no further. */
  heard(partition: string, id: string, ended: Ended): void {
    this.ends++;
    this.#of(partition).ended(id, ended);
  }

  /** Everything that is waited for. */
  waiting(): (readonly [partition: string, id: string])[] {
    return [...this.#partitions].flatMap(([partition, results]) =>
      results.waiting().map((id) => [partition, id] as const),
    );
  }

  /** Whoever waits for it is told that nobody will know. */
  missed(partition: string, id: string): void {
    this.#partitions.get(partition)?.missed(id);
  }

  /** How the job ended, if it is remembered. */
  get(partition: string, id: string): Ended | undefined {
    return this.#partitions.get(partition)?.get(id);
  }

  /** A job of this id was enqueued again: its last end no longer answers for it. */
  forget(partition: string, id: string): void {
    this.#partitions.get(partition)?.forget(id);
  }

  /** Tells the waiter once: the job's end, or that nobody will know it; at once when it is closed. */
  wait(partition: string, id: string, waiter: Waiter): void {
    if (this.#closed) waiter.tell(undefined);
    else {
      this.#of(partition).wait(id, waiter);
      this.#port?.waited(partition, id);
    }
  }

  /** The waiter is not told any more. */
  giveUp(partition: string, id: string, waiter: Waiter): void {
    this.#of(partition).giveUp(id, waiter);
  }

  /**
   * Once a second: who has waited long for a job that is nowhere is told so. A job that is being settled is nowhere
   * for a moment, so it must be missed twice.
   */
  async sweep(find: (partition: string, id: string) => Promise<string>): Promise<void> {
    for (const [partition, results] of this.#partitions) await results.sweep((id) => find(partition, id));
  }

  #of(partition: string): PartitionResults {
    const there = this.#partitions.get(partition);
    if (there !== undefined) return there;
    const results = new PartitionResults(this.#now);
    this.#partitions.set(partition, results);
    return results;
  }

  close(): void {
    this.#closed = true;
    for (const results of this.#partitions.values()) results.close();
  }
}

class PartitionResults {
  #young = new Map<string, Ended>();
  #old = new Map<string, Ended>();
  #youngBytes = 0;
  #youngSince: number;
  readonly #waiters = new Map<string, Waiter | Waiter[]>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#youngSince = now();
  }

  ended(id: string, ended: Ended): void {
    if (this.#waiters.size > 0) this.#tell(id, ended);
    this.#turnOver();
    this.#young.set(id, ended);
    this.#youngBytes += ENTRY_BYTES + weigh(ended);
  }

  waiting(): string[] {
    return [...this.#waiters.keys()];
  }

  missed(id: string): void {
    this.#tell(id, "missed");
  }

  #tell(id: string, told: Told): void {
    const waiters = this.#waiters.get(id);
    if (waiters === undefined) return;
    this.#waiters.delete(id);
    if (!Array.isArray(waiters)) waiters.tell(told);
    else for (const waiter of waiters) waiter.tell(told);
  }

  async sweep(find: (id: string) => Promise<string>): Promise<void> {
    for (const [id, first] of this.#due()) {
      const waiters = this.#waiters.get(id);
      if (waiters === undefined) continue; // told meanwhile
      // to the end of the line: a hundred that wait for hours must not keep all others from being looked at
      this.#waiters.delete(id);
      this.#waiters.set(id, waiters);
      first.absent = (await find(id)) === "absent" ? first.absent + 1 : 0;
      if (first.absent >= 2) this.#tell(id, this.get(id) ?? "unknown");
    }
  }

  #due(): (readonly [string, Waiter])[] {
    const due: (readonly [string, Waiter])[] = [];
    for (const [id, waiters] of this.#waiters) {
      const first = Array.isArray(waiters) ? waiters[0] : waiters;
      if (first === undefined || ++first.sweeps < SWEEP_FROM) continue;
      if (due.push([id, first]) === SWEEP_MOST) break;
    }
    return due;
  }

  /** The clock is looked at once in 64 ends; a generation that is a little older than 30 s harms nobody. */
  #turnOver(): void {
    const { size } = this.#young;
    const full = size >= HALF_COUNT || this.#youngBytes >= HALF_BYTES;
    if (!full && ((size & 63) !== 0 || this.#now() - this.#youngSince < HALF_AGE_MS)) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
    this.#youngSince = this.#now();
  }

  get(id: string): Ended | undefined {
    return this.#young.get(id) ?? this.#old.get(id);
  }

  forget(id: string): void {
    this.#young.delete(id);
    this.#old.delete(id);
  }

  wait(id: string, waiter: Waiter): void {
    const there = this.#waiters.get(id);
    if (there === undefined) this.#waiters.set(id, waiter);
    else this.#waiters.set(id, Array.isArray(there) ? [...there, waiter] : [there, waiter]);
  }

  giveUp(id: string, waiter: Waiter): void {
    const there = this.#waiters.get(id);
    if (there === waiter) this.#waiters.delete(id);
    else if (Array.isArray(there)) this.#waiters.set(id, there.filter((one) => one !== waiter)); // biome-ignore format: one case a line
  }

  close(): void {
    for (const id of [...this.#waiters.keys()]) this.#tell(id, undefined);
  }
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
