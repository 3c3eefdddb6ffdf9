/**
 * The processes of a node: which of them a task goes to, and the tasks that wait for one.
 *
 * Owns the children and what none of them has room for. At most `threads` of them run bodies at once. Nothing is handed
 * ahead, so a task that waits can be taken back, and one that a child has is running. Never wedged: SIGKILL ends native
 * calls too, and `stop` resolves when all are gone.
 */
import { endLater } from "../callbacks.ts";
import { Registry } from "../registry.ts";
import type { JobModule, PoolOptions, Task, ThreadInfo, ThreadPool } from "../types.ts";
import { ChildCrew, type CrewOwner } from "./crew.ts";

export class ProcessPool implements ThreadPool, CrewOwner {
  readonly #registry = new Registry();
  readonly #crew: ChildCrew;
  #waiting: Task[] = [];

  constructor(options: PoolOptions) {
    this.#crew = new ChildCrew(options, this.#registry, this);
  }

  get threads(): readonly ThreadInfo[] {
    return [...this.#crew.children].map((child) => child.info());
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  register(module: JobModule): number {
    return this.#registry.register(module);
  }

  /** Nothing is started before it is needed. */
  async start(): Promise<void> {}

  give(task: Task): void {
    if (this.#crew.stopping) return endLater(task, { kind: "returned" });
    const isNew = this.#registry.use(task.type);
    this.#waiting.push(task);
    this.onRoom();
    if (isNew) this.#crew.warm(task.type);
    this.#crew.fillLater();
  }

  revoke(task: Task): boolean {
    const taken = this.#takeBack(task);
    if (taken) endLater(task, { kind: "returned" });
    return taken;
  }

  abort(task: Task, reason: "cancel" | "shutdown"): void {
    if (this.#takeBack(task)) endLater(task, { kind: "aborted", reason, report: undefined });
    else this.#crew.running(task)?.abort(reason);
  }

  renew(because: string): void {
    this.#registry.renew();
    this.#crew.renew(because);
  }

  /** So many may run at once; what runs goes on. */
  async resize(threads: number): Promise<void> {
    this.#crew.most = threads;
    this.onRoom();
    this.#crew.fillLater();
  }

  async stop(): Promise<readonly string[]> {
    const gone = this.#crew.stop();
    this.#returnAll();
    await gone;
    return [];
  }

  onRoom(): void {
    if (this.#crew.stopping) return;
    for (let task = this.#waiting[0]; task !== undefined; task = this.#waiting[0]) {
      const child = this.#crew.free();
      const module = this.#registry.types[task.type];
      if (child === undefined || module === undefined) return;
      this.#waiting.shift();
      child.run(task, module);
    }
  }

  onUnstarted(task: Task): void {
    if (this.#crew.stopping) return endLater(task, { kind: "returned" });
    this.#waiting.unshift(task);
  }

  /** Told at once: nobody else would ever say why nothing starts. */
  onFailing(reason: string): void {
    const message = `no process could be started: ${reason}`;
    const failure = { kind: "crash", name: "ProcessesUnavailable", message, stack: undefined } as const;
    for (const task of this.#waiting.splice(0))
      endLater(task, { kind: "failed", failure: { ...failure, final: false }, durationMs: 0 });
  }

  #returnAll(): void {
    for (const task of this.#waiting.splice(0)) endLater(task, { kind: "returned" });
  }

  #takeBack(task: Task): boolean {
    const at = this.#waiting.indexOf(task);
    return at !== -1 && this.#waiting.splice(at, 1).length > 0;
  }
}
