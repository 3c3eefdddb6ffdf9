/**
 * What `enqueue` gives back: the job's identity, its result, and a way to cancel it.
 *
 * Owns nothing but the identity: a handle that is dropped costs nothing, and the job goes on. A result is a
 * courtesy beside the promises: what nobody remembers is `ResultUnknown`.
 */
import { type Ended, type Results, type Told, Waiter } from "../actors/results.ts";
import { type Duration, toMs } from "../jobs/duration.ts";
import { JobBuried, JobCancelled, JobPurged, ResultUnknown } from "../jobs/errors.ts";
import { ExecuteTimeout } from "./errors.ts";

/** What a handle needs of its runtime. */
export interface HandleHome {
  readonly results: Results;
  cancel(partition: string, id: string): Promise<Cancelled>;
}

/** What `cancel` found the job doing. */
export interface Cancelled {
  readonly was: "running" | "queued" | "scheduled" | "buried" | "marked";
}

export interface ResultOptions {
  /** Default: no limit. Past it `ExecuteTimeout`; the job goes on. */
  readonly timeout?: Duration;
}

export class JobHandle<Result = unknown> {
  readonly id: string;
  readonly partition: string;
  readonly queue: string;
  readonly #home: HandleHome;
  /** Ends that had been told when it was made; -1: its job may have ended before that. */
  readonly #ends: number;

  constructor(id: string, partition: string, queue: string, home: HandleHome, ends = -1) {
    this.id = id;
    this.partition = partition;
    this.queue = queue;
    this.#home = home;
    this.#ends = ends;
  }

  /**
   * Waits through retries and resolves with what `perform` returned.
   * @throws JobBuried (its cause is the last error), JobCancelled, JobPurged, ResultUnknown, ExecuteTimeout.
   */
  result(options?: ResultOptions): Promise<Result> {
    const { results } = this.#home;
    const ended = results.ends === this.#ends ? undefined : results.get(this.partition, this.id);
    if (options?.timeout !== undefined) return this.#within(options.timeout, ended);
    return new Promise((resolve, reject) => {
      const waiter = new ResultWaiter(this.id, resolve as (value: unknown) => void, reject);
      if (ended === undefined) results.wait(this.partition, this.id, waiter);
      else waiter.tell(ended);
    });
  }

  async #within(timeout: Duration, ended: Ended | undefined): Promise<Result> {
    const timeoutMs = toMs(timeout, { name: "timeout" });
    const { results } = this.#home;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const waiter = new ResultWaiter(this.id, resolve as (value: unknown) => void, reject);
        if (ended !== undefined) return waiter.tell(ended);
        results.wait(this.partition, this.id, waiter);
        timer = setTimeout(() => {
          results.giveUp(this.partition, this.id, waiter);
          reject(new ExecuteTimeout(this.id, timeoutMs));
        }, timeoutMs);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** As `runtime.cancel(partition, id)`. */
  cancel(): Promise<Cancelled> {
    return this.#home.cancel(this.partition, this.id);
  }
}

class ResultWaiter extends Waiter {
  constructor(
    readonly id: string,
    readonly resolve: (value: unknown) => void,
    readonly reject: (error: Error) => void,
  ) {
    super();
  }

  override tell(told: Told): void {
    if (typeof told === "object" && told.kind === "completed") this.resolve(told.value);
    else this.reject(errorOf(told, this.id));
  }
}

function errorOf(told: Exclude<Told, { kind: "completed" }>, id: string): Error {
  if (told === "unknown")
    return new ResultUnknown(id, "the job has ended, and its end is no longer remembered");
  if (told === "missed")
    return new ResultUnknown(
      id,
      "this node was cut off for longer than results are remembered, or the result was too large to travel; the job itself is not affected",
    );
  if (told === undefined) return new ResultUnknown(id, "the runtime stopped before the job ended");
  if (told.kind === "buried") return new JobBuried(id, told.record);
  return told.kind === "cancelled" ? new JobCancelled(id) : new JobPurged(id);
}
