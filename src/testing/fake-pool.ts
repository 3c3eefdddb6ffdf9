/**
 * A thread pool without threads: bodies run for as long as a test says, and end as it says.
 *
 * Owns the tasks it was given, in order: as many as it has threads are running, the others stand behind them and can
 * be taken back. It keeps the port's promise that every task gets exactly one outcome, never from within a call of
 * the pool's owner. Time limits are the test's business: it ends a body with the outcome that a limit would give.
 */
import type { JobModule, Outcome, Task, ThreadInfo, ThreadPool } from "../threads/types.ts";

const COMPLETED: Outcome = { kind: "completed", value: undefined, durationMs: 2 };

export class FakePool implements ThreadPool {
  /** Bodies that run now, oldest first. */
  readonly running: Task[] = [];
  /** Given and not started. */
  readonly queued: Task[] = [];
  /** Called when a body starts. */
  onStart: (task: Task) => void = () => {};
  readonly #modules: JobModule[] = [];
  #slots: number;
  #stopped = false;

  constructor(threads = 2) {
    this.#slots = threads;
  }

  register(module: JobModule): number {
    return this.#modules.push(module) - 1;
  }

  /** Takes any job, also one that no module defines. */
  async start(): Promise<void> {}

  give(task: Task): void {
    if (this.#stopped) return this.#endLater(task, { kind: "returned" });
    this.queued.push(task);
    queueMicrotask(() => this.#pump());
  }

  revoke(task: Task): boolean {
    const at = this.queued.indexOf(task);
    if (at < 0) return false;
    this.queued.splice(at, 1);
    this.#endLater(task, { kind: "returned" });
    return true;
  }

  abort(task: Task, reason: "cancel" | "shutdown"): void {
    const outcome: Outcome = { kind: "aborted", reason, report: undefined };
    if (this.queued.includes(task)) {
      this.queued.splice(this.queued.indexOf(task), 1);
      this.#endLater(task, outcome);
    } else if (this.running.includes(task)) queueMicrotask(() => this.finish(task, outcome));
  }

  /** Ends a running body (the oldest, unless told which) with an outcome; false when it does not run. */
  finish(task: Task | undefined = this.running[0], outcome: Outcome = COMPLETED): boolean {
    const at = task === undefined ? -1 : this.running.indexOf(task);
    if (task === undefined || at < 0) return false;
    this.running.splice(at, 1);
    task.ended(outcome);
    this.#pump();
    return true;
  }

  get threads(): readonly ThreadInfo[] {
    return this.running.map((task, at) => ({ threadId: at + 1, state: "busy", running: task.id, queued: 0 }));
  }

  /** It has loaded nothing. */
  renew(): void {}

  async resize(threads: number): Promise<void> {
    this.#slots = threads;
    queueMicrotask(() => this.#pump());
  }

  async stop(): Promise<readonly string[]> {
    this.#stopped = true;
    for (const task of [...this.queued]) this.revoke(task);
    for (const task of [...this.running])
      this.finish(task, { kind: "aborted", reason: "shutdown", report: undefined });
    return [];
  }

  #pump(): void {
    while (this.running.length < this.#slots) {
      const task = this.queued.shift();
      if (task === undefined) return;
      this.running.push(task);
      task.started?.(this.running.length, 1);
      this.onStart(task);
    }
  }

  #endLater(task: Task, outcome: Outcome): void {
    queueMicrotask(() => task.ended(outcome));
  }
}
