/**
 * A body in the thread pool's hands, and its way back to the worker that waits for it.
 *
 * Owns the one link from a thread's answer to an actor. Outlives a worker that crashed: whoever takes its place
 * sets `owner`, and the outcome goes there, so no body is ever without somebody who waits for its end.
 */
import type { Envelope } from "../jobs/envelope.ts";
import type { KillReport } from "../jobs/failure.ts";
import type { Ref } from "../kernel/types.ts";
import type { LogLevel, Outcome, Task } from "../threads/types.ts";
import { jobFields } from "./callbacks.ts";
import { type JobRef, refOf } from "./job-ref.ts";
import type { NodeServices } from "./services.ts";

export type TaskMessage =
  | { readonly t: "outcome"; readonly outcome: Outcome }
  /** It hangs in a native call; its outcome comes when that returns. */
  | { readonly t: "wedged" };

export class BodyTask implements Task {
  readonly type: number;
  readonly id: string;
  readonly partition: string;
  readonly queue: string;
  readonly attempt: number;
  readonly argsText: string;
  readonly maxExecutionTimeMs: number;
  /** It may have taken a process down. */
  readonly inProcess?: true;
  /** False: nothing is put behind it while another thread can take it. */
  readonly short: boolean;
  owner: Ref<TaskMessage>;
  /** 0 until a look at the thread has seen it run. */
  threadId = 0;
  startedAt = 0;
  #wedged: JobRef | undefined;
  #outcome: Outcome | undefined;
  #orphaned: (() => void) | undefined;
  readonly #envelope: Envelope;
  readonly #services: NodeServices;

  constructor(
    envelope: Envelope,
    type: number,
    short: boolean,
    isSuspect: boolean,
    owner: Ref<TaskMessage>,
    services: NodeServices,
  ) {
    this.type = type;
    this.id = envelope.id;
    this.partition = envelope.partition;
    this.queue = envelope.queue;
    this.attempt = envelope.attempt;
    this.argsText = envelope.argsText;
    this.maxExecutionTimeMs = envelope.maxExecutionTimeMs;
    this.short = short;
    if (isSuspect) this.inProcess = true;
    this.owner = owner;
    this.#envelope = envelope;
    this.#services = services;
  }

  started(threadId: number, at: number): void {
    this.threadId = threadId;
    this.startedAt = at;
    if (this.#services.events.wants("job.started"))
      this.#services.events.emit("job.started", { ...jobFields(this.#envelope), threadId });
  }

  progress(value: unknown): void {
    if (this.#services.events.wants("job.progress"))
      this.#services.events.emit("job.progress", { ...jobFields(this.#envelope), value });
  }

  /** What a body prints goes to the host's logger, with its job's name; silence would look like a job that hangs. */
  log(level: LogLevel, text: string, data: unknown): void {
    const { events, logger } = this.#services;
    const line = `[${this.#envelope.job} ${this.id}] ${text}`;
    if (data === undefined) logger[level](line);
    else logger[level](line, data);
    if (events.wants("job.log")) events.emit("job.log", { ...jobFields(this.#envelope), level, text, data });
  }

  wedged(report: KillReport): void {
    this.#wedged = refOf(this.#envelope, this.startedAt);
    this.#services.wedged.add(this.#wedged);
    this.#services.events.emit("job.wedged", { ...jobFields(this.#envelope), report });
    this.owner.cast({ t: "wedged" });
  }

  /** A body that started and ended between two looks was never announced: its start is told with its end. */
  ended(outcome: Outcome): void {
    if (this.startedAt === 0 && this.#services.events.wants("job.started") && ran(outcome))
      this.started(this.threadId, 0);
    this.#outcome = outcome;
    if (this.#wedged !== undefined) this.#services.wedged.delete(this.#wedged);
    this.owner.cast({ t: "outcome", outcome });
    this.#orphaned?.();
  }

  /** It hangs in a native call, and nobody can end it. */
  get isWedged(): boolean {
    return this.#wedged !== undefined && this.#outcome === undefined;
  }

  get hasEnded(): boolean {
    return this.#outcome !== undefined;
  }

  /** Nobody is left who waits for this body: calls back once it has ended, at once when it has. */
  orphan(then: () => void): void {
    if (this.#outcome !== undefined) then();
    else this.#orphaned = then;
  }
}

function ran(outcome: Outcome): boolean {
  return outcome.kind === "completed" || outcome.kind === "failed" || outcome.kind === "snoozed";
}
