/**
 * The threads of a node: slots, hot spares, and which thread a task goes to.
 *
 * Owns all threads and the tasks that no thread has room for. A task that has not started outlives its thread
 * unnoticed: it moves. After a kill the next task goes to a spare at once, and the thread that takes the spare's
 * place is built in a later turn. When the pool is stopped every task has had its outcome, but for those that hang
 * in wedged threads; no port, timer or listener of any other thread is left.
 */

import { endLater, guarded } from "./callbacks.ts";
import { MOST_OPEN } from "./cells.ts";
import { Crew } from "./crew.ts";
import { openInspector } from "./kill/inspector.ts";
import { Ladder } from "./kill/ladder.ts";
import { Registry } from "./registry.ts";
import type { Thread } from "./thread.ts";
import type { AbortReason, JobModule, PoolOptions, Task, ThreadInfo, ThreadPool } from "./types.ts";
import type { HeapUse } from "./upkeep/heap.ts";
import { MemoryGuard } from "./upkeep/memory-guard.ts";
import { Recycler } from "./upkeep/recycler.ts";
import { HUNG_AHEAD, LOAD_LIMIT_MS, Watch, type Watched } from "./watch.ts";

/** A pool of worker threads; `start` it, then `give` it tasks. */
export class Pool implements ThreadPool, Watched {
  readonly #options: PoolOptions;
  readonly #registry = new Registry();
  readonly #watch = new Watch(this);
  readonly #crew: Crew;
  readonly #memory: MemoryGuard | undefined;
  readonly #recycler: Recycler | undefined;
  /** Given, and in no thread: none was ready, or all were full. */
  #pending: Task[] = [];

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#crew = new Crew(options, this.#registry, {
      onRoom: () => this.#onRoom(),
      onUnstarted: (tasks) => this.#onUnstarted(tasks),
    });
    const { memoryLimitBytes, recycle } = options;
    if (memoryLimitBytes !== undefined)
      this.#memory = new MemoryGuard(memoryLimitBytes, (thread, use) => this.#overMemory(thread, use));
    if (recycle !== undefined)
      this.#recycler = new Recycler(recycle, (thread, because) => this.#crew.retire(thread, because));
  }

  get loadLimitMs(): number {
    return this.#options.loadLimitMs ?? LOAD_LIMIT_MS;
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
    const { captureStack, memoryLimitBytes } = this.#options;
    if (captureStack || memoryLimitBytes !== undefined) openInspector();
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

  resize(threads: number): Promise<void> {
    return this.#crew.resize(threads);
  }

  loadHung(type: number): void {
    const module = this.#registry.types[type];
    if (module === undefined || !this.#registry.hung(type)) return;
    guarded(() => this.#options.event?.({ type: "module.hung", module }));
    this.#crew.renew(HUNG_AHEAD);
  }

  renew(because: string): void {
    this.#registry.renew();
    this.#crew.renew(because);
  }

  async stop(): Promise<readonly string[]> {
    const pending = this.#pending;
    this.#pending = [];
    const gone = this.#crew.stop();
    for (const task of pending) endLater(task, { kind: "returned" });
    for (const thread of this.#crew.active) {
      for (const task of thread.ring.revokeAll()) endLater(task, { kind: "returned" });
      for (const slot of thread.ring.runningSlots()) {
        const task = thread.ring.at(slot);
        if (task !== undefined) this.overrun(thread, slot, task, "shutdown");
      }
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

  overrun(thread: Thread, slot: number, task: Task, reason: AbortReason, because?: string): void {
    const graceMs = reason === "memory" ? 0 : this.#options.graceMs[reason];
    const on = thread.ladders.get(task);
    if (on !== undefined) {
      on.hurry(graceMs);
      return;
    }
    if (!thread.isRunning(slot, task)) return;
    // A thread that dies already needs no ladder; but what was cancelled on it must not come back as rescued.
    const dies = thread.state !== "ready";
    if ((dies || thread.killer !== undefined) && (reason === "timeout" || reason === "memory")) return;
    const blame = (at: number, other: Task, why: string) => this.#blame(thread, at, other, why);
    const ladder = new Ladder(thread, task, slot, reason, {
      graceMs,
      captureStack: this.#options.captureStack,
      ...(because === undefined ? {} : { because }),
      instead: this.#options.kill,
      ...(thread.shared === undefined ? {} : { blame }),
    });
    thread.ladders.set(task, ladder);
    if (!dies) ladder.start();
  }

  /** A body that keeps its thread from answering, at the cost of others. */
  #blame(thread: Thread, slot: number, task: Task, because: string): void {
    this.overrun(thread, slot, task, "timeout", because);
    thread.ladders.get(task)?.killNow(because);
  }

  /** Moves what waits behind a long body to a thread without one; else it stays, or goes back to who gave it. */
  relieve(thread: Thread): void {
    if (thread.shared !== undefined) return this.#spread(thread);
    const freer = this.#crew.active.some((other) => other !== thread && other.burden() < 2 * MOST_OPEN);
    if (freer) this.#onUnstarted(thread.ring.revokeAll());
    else if (this.#options.giveBack === true)
      for (const task of thread.ring.revokeAll()) endLater(task, { kind: "returned" });
  }

  /** Moves what waits in a thread of many bodies to others, as far as these can start it at once. */
  #spread(thread: Thread): void {
    const most = this.#options.jobsPerThread ?? 1;
    const room = (other: Thread) => (other === thread || other.long ? 0 : Math.max(0, most - other.burden()));
    let left = this.#crew.active.reduce((sum, other) => sum + room(other), 0);
    const moved: Task[] = [];
    for (const slot of left === 0 ? [] : thread.ring.slots().reverse()) {
      const task = left > 0 ? thread.ring.revoke(slot) : undefined;
      if (task === undefined) continue;
      moved.unshift(task);
      left--;
    }
    this.#onUnstarted(moved);
  }

  looked(nowMs: number): void {
    this.#memory?.look(this.#crew.active, nowMs);
    this.#recycler?.look(this.#crew.active, nowMs);
    this.#onRoom();
  }

  /** A body has grown beyond the limit, or its thread has without one. */
  #overMemory(thread: Thread, { heapBytes, externalBytes }: HeapUse): void {
    const limit = megabytes(this.#options.memoryLimitBytes ?? 0);
    const because = `${megabytes(heapBytes)} of heap and ${megabytes(externalBytes)} of buffers, the limit is ${limit}`;
    const slot = thread.ring.running();
    const task = slot === -1 ? undefined : thread.ring.at(slot);
    if (task === undefined) this.#crew.retire(thread, `recycled: ${because}`);
    else if (thread.shared !== undefined && thread.bodies().length > 1) thread.shared.evacuate(because);
    else this.overrun(thread, slot, task, "memory", because);
  }

  #place(task: Task): boolean {
    let best: Thread | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const thread of this.#crew.active) {
      const burden = thread.burden();
      if (burden >= least || thread.shared?.accepts(task) === false) continue;
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
    else this.#crew.endRetired();
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

const megabytes = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MB`;
