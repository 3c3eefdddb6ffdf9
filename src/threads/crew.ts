/**
 * Who the threads are: those in service, the hot spares, those that start, leave or are wedged.
 *
 * Owns the number of each. A thread that leaves is replaced by a spare at once and rebuilt in a later turn, so that
 * the next job never waits for the building; threads that die before they are ready are rebuilt with backoff. Its
 * `stop` resolves when all are gone but the wedged, which are unreferenced.
 */

import { guarded } from "./callbacks.ts";
import { ThreadsUnavailable } from "./errors.ts";
import { FAILURES_IN_A_ROW, rebuildLater } from "./rebuild.ts";
import type { Registry } from "./registry.ts";
import { Companies } from "./shared/companies.ts";
import { Thread } from "./thread.ts";
import type { PoolEvent, PoolOptions, Task, ThreadInfo } from "./types.ts";

/** Why a thread ends that is one too many. */
const RESIZED = "there are fewer threads now";

export interface CrewOwner {
  /** A thread can take more. */
  onRoom(): void;
  /** Tasks of a thread that left. */
  onUnstarted(tasks: readonly Task[]): void;
}

export class Crew {
  stopping = false;
  /** In service; those that leave stay until they are gone, their slot is not free before. Retiring ones have none. */
  active: Thread[] = [];
  #spares: Thread[] = [];
  readonly #starting = new Set<Thread>();
  readonly #wedged = new Set<Thread>();
  readonly #options: PoolOptions;
  readonly #registry: Registry;
  readonly #owner: CrewOwner;
  readonly #companies = new Companies();
  /** Threads in a row that died before they were ready, and that were ready and died without any job's end. */
  #failures = 0;
  #earlyDeaths = 0;
  /** A thread that retires waits for one more than `threads` and `spares`. */
  #relief = false;
  #retiring = 0;
  #rebuild: { cancel(): void } | undefined = undefined;
  #threads: number;
  #begun = false;
  /** Whoever waits until all are in service. */
  #complete: PromiseWithResolvers<void> | undefined = undefined;
  #stopped: PromiseWithResolvers<void> | undefined = undefined;

  constructor(options: PoolOptions, registry: Registry, owner: CrewOwner) {
    this.#options = options;
    this.#threads = options.threads;
    this.#registry = registry;
    this.#owner = owner;
  }

  start(): Promise<void> {
    if (!this.#begun) {
      this.#begun = true;
      this.#fill();
    }
    return this.#whenComplete();
  }

  /** So many in service from now on. Idle ones retire first, and no body ends for it; those that retired so come back first. */
  resize(threads: number): Promise<void> {
    this.#threads = threads;
    if (!this.#begun || this.stopping) return Promise.resolve();
    const ready = this.active.filter(({ state, retiring }) => state === "ready" && retiring === undefined);
    this.#retireSome(ready, ready.length - threads);
    for (const thread of this.active) {
      if (this.#serving >= threads || thread.state !== "ready" || thread.retiring !== RESIZED) continue;
      thread.retiring = undefined;
      this.#retiring--;
    }
    this.#serveWithSpares();
    this.#fillLater();
    this.#owner.onRoom();
    return this.#whenComplete();
  }

  #retireSome(threads: readonly Thread[], count: number): void {
    if (count <= 0) return;
    const leaving = [...threads].sort((a, b) => a.ring.open - b.ring.open).slice(0, count);
    for (const thread of leaving) thread.retiring = RESIZED;
    this.#retiring += leaving.length;
    this.#owner.onUnstarted(leaving.flatMap((thread) => thread.ring.revokeAll()));
    this.endRetired();
  }

  #serveWithSpares(): void {
    while (!this.stopping && this.#serving < this.#threads) {
      const spare = this.#takeSpare();
      if (spare === undefined) return;
      this.active.push(spare);
    }
  }

  #whenComplete(): Promise<void> {
    if (this.stopping || this.#serving >= this.#threads) return Promise.resolve();
    this.#complete ??= withResolvers<void>();
    return this.#complete.promise;
  }

  #checkComplete(): void {
    if (this.#serving < this.#threads) return;
    this.#complete?.resolve();
    this.#complete = undefined;
  }

  /** Begins the end of all that is not in service; `endIdle` ends the others as they fall idle. */
  stop(): Promise<void> {
    if (this.#stopped !== undefined) return this.#stopped.promise;
    this.stopping = true;
    this.#stopped = withResolvers<void>();
    this.#rebuild?.cancel();
    this.#complete?.reject(new ThreadsUnavailable("the pool was stopped before all its threads were there"));
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

  get #serving(): number {
    return this.active.length - this.#retiring;
  }

  /** Has a fresh thread take its place: at once when a spare is hot, else when asked again and one is. */
  retire(thread: Thread, because: string): void {
    if (this.stopping || thread.retiring !== undefined || thread.state !== "ready") return;
    const spare = this.#takeSpare();
    this.#relief = spare === undefined;
    if (spare === undefined) return this.#fillLater();
    thread.retiring = because;
    this.#retiring++;
    this.active.push(spare);
    this.#owner.onUnstarted(thread.ring.revokeAll());
    this.endRetired();
  }

  /** Has fresh threads take the place of all: no task starts in an old one any more, and none is ended under a body. */
  renew(because: string): void {
    if (this.stopping) return;
    for (const spare of this.#spares) {
      spare.retiring = because;
      spare.terminate(because);
    }
    for (const thread of this.active) {
      if (thread.retiring !== undefined || thread.state !== "ready") continue;
      thread.retiring = because;
      this.#retiring++;
      this.#owner.onUnstarted(thread.ring.revokeAll());
    }
    this.endRetired();
    this.#fillLater();
  }

  #takeSpare(): Thread | undefined {
    const at = this.#spares.findIndex((spare) => spare.state === "ready");
    return at === -1 ? undefined : this.#spares.splice(at, 1)[0];
  }

  /** Ends those that retire and run nothing any more. */
  endRetired(): void {
    if (this.#retiring === 0) return;
    for (const thread of [...this.active]) {
      if (thread.retiring !== undefined && thread.ring.open === 0) thread.terminate(thread.retiring);
    }
  }

  warmSpares(type: number): void {
    for (const spare of this.#spares) spare.warm([type]);
  }

  wedgedJobs(): readonly string[] {
    return [...this.#wedged].flatMap((thread) => thread.jobIds());
  }

  info(): readonly ThreadInfo[] {
    const spare = (thread: Thread) => {
      const state = thread.warming === 0 ? ("spare" as const) : ("starting" as const);
      return { ...thread.info(), state };
    };
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
    const thread: Thread = new Thread(this.#options, this.#registry, this.#companies, {
      onReady: () => this.#ready(thread),
      onGone: (_, unstarted, reason) => this.#gone(thread, unstarted, reason),
      onStuck: () => this.#stuck(thread),
      onRoom: () => this.#owner.onRoom(),
    });
    this.#starting.add(thread);
  }

  #fill(): void {
    this.#rebuild = undefined;
    const have = this.#serving + this.#hotSpares + this.#starting.size;
    const want = this.#threads + this.#wantedSpares;
    for (let i = have; i < want && !this.stopping; i++) this.#build();
  }

  #ready(thread: Thread): void {
    if (!this.#starting.delete(thread)) return;
    this.#failures = 0;
    this.#emit({ type: "thread.started", threadId: thread.threadId });
    thread.warm(this.#registry.used);
    if (this.#serving < this.#threads) this.active.push(thread);
    else {
      const tooMany = this.#hotSpares >= this.#wantedSpares;
      this.#spares.push(thread);
      if (tooMany) {
        thread.retiring = RESIZED;
        thread.terminate(RESIZED);
      }
    }
    this.#checkComplete();
    this.#owner.onRoom();
  }

  get #hotSpares(): number {
    return this.#spares.filter((thread) => thread.retiring === undefined).length;
  }

  get #wantedSpares(): number {
    return this.#options.spares + (this.#relief ? 1 : 0);
  }

  #gone(thread: Thread, unstarted: readonly Task[], reason: string): void {
    const neverReady = this.#starting.delete(thread);
    this.#wedged.delete(thread);
    this.#emit({ type: "thread.ended", threadId: thread.threadId, reason });
    this.#tellBlame(thread);
    if (thread.endings > 0) this.#earlyDeaths = 0;
    else if (!neverReady && thread.retiring === undefined) this.#earlyDeaths++;
    if (neverReady && !this.stopping) this.#failed(reason);
    this.#replace(thread, unstarted);
  }

  /** Hands on what the thread leaves, to a spare first, and only then has a new thread built. */
  #replace(thread: Thread, unstarted: readonly Task[]): void {
    if (thread.retiring !== undefined && this.active.includes(thread)) this.#retiring--;
    this.active = this.active.filter((one) => one !== thread);
    this.#spares = this.#spares.filter((one) => one !== thread);
    this.#serveWithSpares();
    this.#owner.onUnstarted(unstarted);
    this.#owner.onRoom();
    if (this.stopping) this.#checkStopped();
    else this.#fillLater();
  }

  #failed(reason: string): void {
    this.#failures++;
    if (this.#failures < FAILURES_IN_A_ROW) return;
    this.#emit({ type: "threads.failing", failures: this.#failures, reason });
    this.#complete?.reject(new ThreadsUnavailable(reason));
    this.#complete = undefined;
  }

  #fillLater(): void {
    if (this.#rebuild !== undefined) return;
    const missed = this.#serving + this.#starting.size < this.#threads;
    this.#rebuild = rebuildLater(this.#failures + this.#earlyDeaths, missed, () => this.#fill());
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
