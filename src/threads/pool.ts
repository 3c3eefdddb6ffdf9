/**
 * The threads of a node: slots, hot spares, and which thread a task goes to.
 *
 * Owns all threads and the tasks that no thread has room for. A task that has not started outlives its thread
 * unnoticed: it moves. After a kill the next task goes to a spare at once, and the thread that takes the spare's
 * place is built in a later turn. When the pool is stopped every task has had its outcome, but for those that hang
 * in wedged threads; no port, timer or listener of any other thread is left.
 */

import { endTask } from "./callbacks.ts";
import { MOST_OPEN } from "./cells.ts";
import { Crew } from "./crew.ts";
import { Ladder } from "./ladder.ts";
import { Registry } from "./registry.ts";
import type { Thread } from "./thread.ts";
import type { AbortReason, JobModule, Outcome, PoolOptions, Task, ThreadInfo, ThreadPool } from "./types.ts";
import { Watch, type Watched } from "./watch.ts";

/** A pool of worker threads; `start` it, then `give` it tasks. */
export function makePool(options: PoolOptions): Pool {
  return new Pool(options);
}

export class Pool implements ThreadPool, Watched {
  readonly #options: PoolOptions;
  readonly #registry = new Registry();
  readonly #watch = new Watch(this);
  readonly #crew: Crew;
  /** Given, and in no thread: none was ready, or all were full. */
  #pending: Task[] = [];

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#crew = new Crew(options, this.#registry, {
      onRoom: () => this.#onRoom(),
      onUnstarted: (tasks) => this.#onUnstarted(tasks),
    });
  }

  get inService(): readonly Thread[] {
    return this.#crew.active;
  }

  get threads(): readonly ThreadInfo[] {
    return this.#crew.info();
  }

  register(module: JobModule): number {
    return this.#registry.register(module);
  }

  start(): Promise<void> {
    return this.#crew.start();
  }

  give(task: Task): void {
    if (this.#crew.stopping) {
      endLater(task, { kind: "returned" });
      return;
    }
    if (this.#registry.use(task.type)) this.#crew.warmSpares(task.type);
    if (this.#pending.length > 0 || !this.#place(task)) this.#pending.push(task);
  }

  revoke(task: Task): boolean {
    const taken = this.#takeBack(task);
    if (taken) endLater(task, { kind: "returned" });
    return taken;
  }

  abort(task: Task, reason: "cancel" | "shutdown"): void {
    if (this.#takeBack(task)) {
      endLater(task, { kind: "aborted", reason, report: undefined });
      return;
    }
    for (const thread of this.#crew.active) {
      const slot = thread.ring.slotOf(task);
      if (slot !== -1) this.overrun(thread, slot, task, reason);
    }
  }

  async stop(): Promise<readonly string[]> {
    const pending = this.#pending;
    this.#pending = [];
    const gone = this.#crew.stop();
    for (const task of pending) endLater(task, { kind: "returned" });
    for (const thread of this.#crew.active) {
      for (const task of thread.ring.revokeAll()) endLater(task, { kind: "returned" });
      const slot = thread.ring.running();
      const task = slot === -1 ? undefined : thread.ring.at(slot);
      if (task !== undefined) this.overrun(thread, slot, task, "shutdown");
    }
    this.#crew.endIdle();
    await gone;
    this.#watch.stop();
    return this.#crew.wedgedJobs();
  }

  /** Bytes in use of each thread that answers; a thread that is busy answers when its body waits or ends. */
  async heaps(): Promise<readonly { threadId: number; heapBytes: number; externalBytes: number }[]> {
    const asked = this.#crew.active.map(async (thread) => {
      const heap = await thread.heap();
      return heap === undefined ? [] : [{ threadId: thread.threadId, ...heap }];
    });
    return (await Promise.all(asked)).flat();
  }

  overrun(thread: Thread, slot: number, task: Task, reason: AbortReason, looked = false): void {
    const graceMs = this.#options.graceMs[reason];
    if (thread.ladder?.task === task) {
      thread.ladder.hurry(graceMs);
      return;
    }
    if (!thread.isRunning(slot, task)) return;
    if (thread.ladder !== undefined && !looked) {
      // Another body's, whose end lies unread on the port: without its ladder it would not count as told to end.
      queueMicrotask(() => {
        thread.look(Number.POSITIVE_INFINITY);
        this.overrun(thread, slot, task, reason, true);
        this.#onRoom();
      });
      return;
    }
    // A thread that dies already needs no ladder; but what was cancelled on it must not come back as rescued.
    const dies = thread.state !== "ready";
    if (dies && reason === "timeout") return;
    thread.ladder = new Ladder(thread, task, slot, reason, {
      graceMs,
      captureStack: this.#options.captureStack,
    });
    if (!dies) thread.ladder.start();
  }

  /** Moves what waits behind a long body to a thread without one; else it stays, or goes back to who gave it. */
  relieve(thread: Thread): void {
    const freer = this.#crew.active.some((other) => other !== thread && other.burden() < 2 * MOST_OPEN);
    if (freer) this.#onUnstarted(thread.ring.revokeAll());
    else if (this.#options.giveBack === true)
      for (const task of thread.ring.revokeAll()) endLater(task, { kind: "returned" });
  }

  looked(): void {
    this.#onRoom();
  }

  #place(task: Task): boolean {
    let best: Thread | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const thread of this.#crew.active) {
      const burden = thread.burden();
      if (burden >= least) continue;
      least = burden;
      best = thread;
    }
    if (best === undefined) return false;
    // Here and not in give: what waited for a thread may come long after the watch has fallen asleep.
    this.#watch.arm();
    best.push(task);
    return true;
  }

  #onUnstarted(tasks: readonly Task[]): void {
    if (this.#crew.stopping) {
      for (const task of tasks) endLater(task, { kind: "returned" });
      return;
    }
    const left = tasks.filter((task) => !this.#place(task));
    if (left.length > 0) this.#pending = [...left, ...this.#pending];
  }

  #onRoom(): void {
    if (this.#crew.stopping) this.#crew.endIdle();
    if (this.#crew.stopping || this.#pending.length === 0) return;
    let placed = 0;
    for (const task of this.#pending) {
      if (!this.#place(task)) break;
      placed++;
    }
    if (placed > 0) this.#pending = this.#pending.slice(placed);
  }

  #takeBack(task: Task): boolean {
    const at = this.#pending.indexOf(task);
    if (at !== -1) return this.#pending.splice(at, 1).length > 0;
    for (const thread of this.#crew.active) {
      const slot = thread.ring.slotOf(task);
      if (slot !== -1) return thread.ring.revoke(slot) !== undefined;
    }
    return false;
  }
}

function endLater(task: Task, outcome: Outcome): void {
  queueMicrotask(() => endTask(task, outcome));
}
