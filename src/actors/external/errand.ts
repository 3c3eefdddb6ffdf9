/**
 * A job of the runtime on its way through external workers: who has it, for the how many-th time, and how it is ended.
 *
 * Owns its time limit and the grace after a signal. When the worker does not end the job by itself, its connection is
 * ended; that is all that can be done from here, and its body may go on there.
 */
import type { KillReport, KillStep } from "../../jobs/failure.ts";
import type { Clock } from "../../kernel/types.ts";
import type { AbortReason, Outcome, Task } from "../../threads/types.ts";
import type { ExternalWorker } from "./port.ts";

export class Errand {
  readonly task: Task;
  /** The definition's name. */
  readonly job: string;
  readonly worker: string;
  deliveries = 0;
  /** Who has it. */
  holder: ExternalWorker | undefined;
  /** Why it is to end, since when, and what was done about it. */
  reason: AbortReason | undefined;
  #startedAt = 0;
  #endingSince = 0;
  readonly #steps: KillStep[] = [];
  readonly #clock: Clock;
  #cancelTimer: () => void = () => {};

  constructor(task: Task, job: string, worker: string, clock: Clock) {
    this.task = task;
    this.job = job;
    this.worker = worker;
    this.#clock = clock;
  }

  get ranMs(): number {
    return this.#clock.now() - this.#startedAt;
  }

  /** The worker has it from now on. */
  start(holder: ExternalWorker, number: number, timeoutGraceMs: number): void {
    const { task, job } = this;
    const { id, partition, queue, attempt, argsText, maxExecutionTimeMs } = task;
    this.deliveries += 1;
    this.holder = holder;
    this.#startedAt = this.#clock.now();
    if (this.deliveries === 1) task.started?.(number, this.#startedAt);
    if (maxExecutionTimeMs > 0) this.#later(maxExecutionTimeMs, () => this.end("timeout", timeoutGraceMs));
    holder.run({ id, job, partition, queue, attempt, argsText, maxExecutionTimeMs });
  }

  /** Signal → grace → the end of the connection; a second reason can only shorten the grace. */
  end(reason: AbortReason, graceMs: number): void {
    const { holder } = this;
    if (holder === undefined) return;
    if (this.reason === undefined) {
      this.reason = reason;
      this.#endingSince = this.#clock.now();
      if (holder.hears) holder.signal(this.task.id, reason);
      this.#step("signal", holder.hears ? reason : "its wire has no word for it");
    }
    if (graceMs === 0 || !holder.hears) return this.#disconnect("0 ms");
    this.#later(graceMs, () => this.#disconnect(`${graceMs} ms`));
  }

  #disconnect(grace: string): void {
    this.#cancelTimer();
    this.#step("grace", grace);
    this.#step("terminate", "its connection is ended");
    this.holder?.end(`${this.reason} of job ${this.task.id}`, true);
  }

  /** The worker has it no more; what became of it says the caller. */
  left(): void {
    this.#cancelTimer();
    this.holder = undefined;
  }

  /** What its end means after it was told to end: `report` when the connection had to be ended for it. */
  endedAs(reason: AbortReason, disconnected: boolean, name: string): Outcome {
    if (disconnected) this.#step("exit", "gone");
    const report = disconnected ? this.#report(name) : undefined;
    if (reason === "timeout") return this.#timedOut(report);
    return { kind: "aborted", reason: reason === "cancel" ? "cancel" : "shutdown", report };
  }

  #timedOut(report: KillReport | undefined): Outcome {
    const limit = this.task.maxExecutionTimeMs;
    const how = report === undefined ? "it ended only when told to" : "its worker's connection was ended";
    const message = `still running after its limit of ${limit} ms; ${how}`;
    const failure = { kind: "timeout", name: "Timeout", message, stack: undefined, final: false } as const;
    return {
      kind: "failed",
      failure: report === undefined ? failure : { ...failure, report },
      durationMs: this.ranMs,
    };
  }

  #report(name: string): KillReport {
    return { stack: undefined, frames: [], state: { worker: name }, children: [], steps: [...this.#steps] };
  }

  #step(step: KillStep["step"], outcome: string): void {
    this.#steps.push({ step, ms: this.#clock.now() - this.#endingSince, outcome });
  }

  #later(ms: number, then: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.timer(ms, then);
  }
}
