/**
 * Who the threads are: those in service, the hot spares, those that start, leave or are wedged.
 *
 * Owns the number of each. A thread that leaves is replaced by a spare at once and rebuilt in a later turn, so that
 * the next job never waits for the building; threads that die before they are ready are rebuilt with backoff. Its
 * `stop` resolves when all are gone but the wedged, which are unreferenced.
 */

import { guarded } from "./callbacks.ts";
import { ThreadsUnavailable } from "./errors.ts";
import type { Registry } from "./registry.ts";
import { Thread } from "./thread.ts";
import type { PoolEvent, PoolOptions, Task, ThreadInfo } from "./types.ts";

/** Threads in a row that die before they are ready, until it is said aloud. */
const FAILURES_IN_A_ROW = 5;
const BACKOFF_FIRST_MS = 10;
const BACKOFF_MOST_MS = 2_000;

export interface CrewOwner {
  /** A thread can take more. */
  onRoom(): void;
  /** Tasks of a thread that left. */
  onUnstarted(tasks: readonly Task[]): void;
}

export class Crew {
  stopping = false;
  /** In service; those that leave stay until they are gone, their slot is not free before. */
  active: Thread[] = [];
  #spares: Thread[] = [];
  readonly #starting = new Set<Thread>();
  readonly #wedged = new Set<Thread>();
  readonly #options: PoolOptions;
  readonly #registry: Registry;
  readonly #owner: CrewOwner;
  /** Threads in a row that died before they were ready, and that were ready and died without any job's end. */
  #failures = 0;
  #earlyDeaths = 0;
  #rebuild: { cancel(): void } | undefined = undefined;
  #started: PromiseWithResolvers<void> | undefined = undefined;
  #stopped: PromiseWithResolvers<void> | undefined = undefined;

  constructor(options: PoolOptions, registry: Registry, owner: CrewOwner) {
    this.#options = options;
    this.#registry = registry;
    this.#owner = owner;
  }

  start(): Promise<void> {
    if (this.#started !== undefined) return this.#started.promise;
    this.#started = withResolvers<void>();
    this.#fill();
    return this.#started.promise;
  }

  /** Begins the end of all that is not in service; `endIdle` ends the others as they fall idle. */
  stop(): Promise<void> {
    if (this.#stopped !== undefined) return this.#stopped.promise;
    this.stopping = true;
    this.#stopped = withResolvers<void>();
    this.#rebuild?.cancel();
    this.#started?.reject(new ThreadsUnavailable("the pool was stopped before it had started"));
    for (const thread of [...this.#spares, ...this.#starting]) thread.terminate("stop");
    for (const thread of this.#wedged) thread.unref();
    this.#checkStopped();
    return this.#stopped.promise;
  }

  endIdle(): void {
    for (const thread of [...this.active]) {
      if (thread.state === "ready" && thread.ring.open === 0) thread.terminate("stop");
    }
  }

  warmSpares(type: number): void {
    for (const spare of this.#spares) spare.warm([type]);
  }

  wedgedJobs(): readonly string[] {
    return [...this.#wedged].flatMap((thread) => thread.jobIds());
  }

  info(): readonly ThreadInfo[] {
    const spare = (thread: Thread) => ({ ...thread.info(), state: "spare" as const });
    const others = [...this.#starting, ...this.#wedged].map((thread) => thread.info());
    return [...this.active.map((thread) => thread.info()), ...this.#spares.map(spare), ...others];
  }

  /** The thread did not end in its time: its slot goes to another, its job stays with it. */
  #stuck(thread: Thread): void {
    this.#starting.delete(thread);
    this.#wedged.add(thread);
    if (this.stopping) thread.unref();
    const jobId = thread.tellWedged() ?? thread.dying?.jobId ?? "";
    this.#emit({ type: "thread.wedged", threadId: thread.threadId, jobId });
    const unstarted = thread.ring.revokeAll();
    if (this.#wedged.size > this.#options.maxWedged) {
      this.#emit({ type: "threads.wedged-limit", wedged: this.#wedged.size });
    }
    this.#replace(thread, unstarted);
  }

  #build(): void {
    const thread: Thread = new Thread(this.#options, this.#registry, {
      onReady: () => this.#ready(thread),
      onGone: (_, unstarted, reason) => this.#gone(thread, unstarted, reason),
      onStuck: () => this.#stuck(thread),
      onRoom: () => this.#owner.onRoom(),
    });
    this.#starting.add(thread);
  }

  #fill(): void {
    this.#rebuild = undefined;
    const { threads, spares } = this.#options;
    const have = this.active.length + this.#spares.length + this.#starting.size;
    for (let i = have; i < threads + spares && !this.stopping; i++) this.#build();
  }

  #ready(thread: Thread): void {
    if (!this.#starting.delete(thread)) return;
    this.#failures = 0;
    this.#emit({ type: "thread.started", threadId: thread.threadId });
    thread.warm(this.#registry.used);
    if (this.active.length < this.#options.threads) this.active.push(thread);
    else this.#spares.push(thread);
    if (this.active.length === this.#options.threads) this.#started?.resolve();
    this.#owner.onRoom();
  }

  #gone(thread: Thread, unstarted: readonly Task[], reason: string): void {
    const neverReady = this.#starting.delete(thread);
    this.#wedged.delete(thread);
    this.#emit({ type: "thread.ended", threadId: thread.threadId, reason });
    this.#tellBlame(thread);
    if (thread.served) this.#earlyDeaths = 0;
    else if (!neverReady) this.#earlyDeaths++;
    if (neverReady && !this.stopping) this.#failed(reason);
    this.#replace(thread, unstarted);
  }

  /** Hands on what the thread leaves, to a spare first, and only then has a new thread built. */
  #replace(thread: Thread, unstarted: readonly Task[]): void {
    this.active = this.active.filter((one) => one !== thread);
    this.#spares = this.#spares.filter((one) => one !== thread);
    if (!this.stopping && this.active.length < this.#options.threads) {
      const spare = this.#spares.shift();
      if (spare !== undefined) this.active.push(spare);
    }
    this.#owner.onUnstarted(unstarted);
    this.#owner.onRoom();
    if (this.stopping) this.#checkStopped();
    else this.#fillLater();
  }

  #failed(reason: string): void {
    this.#failures++;
    if (this.#failures < FAILURES_IN_A_ROW) return;
    this.#emit({ type: "threads.failing", failures: this.#failures, reason });
    this.#started?.reject(new ThreadsUnavailable(reason));
  }

  #fillLater(): void {
    if (this.#rebuild !== undefined) return;
    const failures = this.#failures + this.#earlyDeaths;
    if (failures === 0) {
      const immediate = setImmediate(() => this.#fill());
      this.#rebuild = { cancel: () => clearImmediate(immediate) };
      return;
    }
    const waitMs = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failures - 1, 20));
    const timer = setTimeout(() => this.#fill(), waitMs);
    this.#rebuild = { cancel: () => clearTimeout(timer) };
  }

  #tellBlame(thread: Thread): void {
    const { dying, threadId } = thread;
    if (dying === undefined || dying.slot !== -1) return;
    this.#emit({ type: "thread.blamed", threadId, jobId: dying.jobId, failure: dying.failure });
  }

  #checkStopped(): void {
    if (this.active.length + this.#spares.length + this.#starting.size === 0) this.#stopped?.resolve();
  }

  #emit(event: PoolEvent): void {
    guarded(() => this.#options.event?.(event));
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

// Promise.withResolvers is not in Node 20. A rejection nobody waits for is no crash of the process.
function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}
