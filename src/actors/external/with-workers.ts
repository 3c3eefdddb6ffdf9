/**
 * The pool that the actors see where there are gateways: threads and processes, and workers outside.
 *
 * Owns which job types run outside. A type's number is the inner pool's; nothing is in two of them.
 */
import type { JobModule, Task, ThreadInfo, ThreadPool } from "../../threads/types.ts";
import type { ExternalPool } from "./pool.ts";

export class WithWorkers implements ThreadPool {
  readonly #inner: ThreadPool;
  readonly #external: ExternalPool;
  /** By type number: the job's name, and the type of its worker. */
  readonly #outside: ({ readonly job: string; readonly worker: string } | undefined)[] = [];

  constructor(inner: ThreadPool, external: ExternalPool) {
    this.#inner = inner;
    this.#external = external;
  }

  get threads(): readonly ThreadInfo[] {
    return [...this.#inner.threads, ...this.#external.threads];
  }

  register(module: JobModule): number {
    const type = this.#inner.register(module);
    const { runsIn, name } = module;
    if (typeof runsIn === "object") {
      this.#outside[type] = { job: name, worker: runsIn.worker };
      this.#external.know(runsIn.worker);
    }
    return type;
  }

  start(): Promise<void> {
    return this.#inner.start();
  }

  give(task: Task): void {
    const outside = this.#outside[task.type];
    if (outside === undefined) this.#inner.give(task);
    else this.#external.give(task, outside.job, outside.worker);
  }

  revoke(task: Task): boolean {
    return this.#external.has(task) ? this.#external.revoke(task) : this.#inner.revoke(task);
  }

  abort(task: Task, reason: "cancel" | "shutdown"): void {
    if (this.#external.has(task)) this.#external.abort(task, reason);
    else this.#inner.abort(task, reason);
  }

  renew(because: string): void {
    this.#inner.renew(because);
  }

  /** How many workers there are is not ours to say. */
  resize(threads: number): Promise<void> {
    return this.#inner.resize(threads);
  }

  stop(): Promise<readonly string[]> {
    this.#external.stop();
    return this.#inner.stop();
  }
}
