/**
 * What `enqueue` gives back: the job's identity, its result, and a way to cancel it.
 *
 * Owns nothing but the identity: a handle that is dropped costs nothing, and the job goes on. A result is a
 * courtesy beside the promises: what nobody remembers is `ResultUnknown`.
 */
import type { Ended, Results } from "../actors/results.ts";
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

  constructor(id: string, partition: string, queue: string, home: HandleHome) {
    this.id = id;
    this.partition = partition;
    this.queue = queue;
    this.#home = home;
  }

  /**
   * Waits through retries and resolves with what `perform` returned.
   * @throws JobBuried (its cause is the last error), JobCancelled, JobPurged, ResultUnknown, ExecuteTimeout.
   */
  async result(options?: ResultOptions): Promise<Result> {
    const timeoutMs = options?.timeout === undefined ? undefined : toMs(options.timeout, { name: "timeout" });
    const ended = this.#home.results.get(this.partition, this.id) ?? (await this.#wait(timeoutMs));
    return outcomeOf(ended, this.id) as Result;
  }

  #wait(timeoutMs: number | undefined): Promise<Ended | "unknown" | undefined> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const giveUp = this.#home.results.wait(this.partition, this.id, (ended) => {
        if (timer !== undefined) clearTimeout(timer);
        resolve(ended);
      });
      if (timeoutMs === undefined) return;
      timer = setTimeout(() => {
        giveUp();
        reject(new ExecuteTimeout(this.id, timeoutMs));
      }, timeoutMs);
    });
  }

  /** As `runtime.cancel(partition, id)`. */
  cancel(): Promise<Cancelled> {
    return this.#home.cancel(this.partition, this.id);
  }
}

function outcomeOf(ended: Ended | "unknown" | undefined, id: string): unknown {
  if (ended === "unknown")
    throw new ResultUnknown(id, "the job has ended, and its end is no longer remembered");
  if (ended === undefined) throw new ResultUnknown(id, "the runtime stopped before the job ended");
  switch (ended.kind) {
    case "completed":
      return ended.value;
    case "buried":
      throw new JobBuried(id, ended.record);
    case "cancelled":
      throw new JobCancelled(id);
    case "purged":
      throw new JobPurged(id);
  }
}
