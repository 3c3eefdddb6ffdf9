/**
 * Who the children are: those that run a body, the hot ones, those that start or end.
 *
 * Owns the number of them. There is none before the first body asks for one, and from then on as many as run bodies and
 * `spares` beside; one that was ended is built anew in a later turn, so that the next body never waits for that. What
 * was needed for a while and is idle is ended. Its `stop` resolves when all are gone.
 */
import { guarded } from "../callbacks.ts";
import { FAILURES_IN_A_ROW, rebuildLater } from "../rebuild.ts";
import type { Registry } from "../registry.ts";
import type { PoolEvent, PoolOptions, Task } from "../types.ts";
import { HUNG_AHEAD } from "../watch.ts";
import { Child } from "./child.ts";

const IDLE_MS = 30_000;

export interface CrewOwner {
  /** Bodies that wait for a child. */
  readonly waiting: number;
  /** A child is free, or a place for one. */
  onRoom(): void;
  onUnstarted(task: Task): void;
  /** None could be started, several times in a row. */
  onFailing(reason: string): void;
}

export class ChildCrew {
  stopping = false;
  /** Bodies that may run at once. */
  most: number;
  readonly #children = new Set<Child>();
  readonly #options: PoolOptions;
  readonly #registry: Registry;
  readonly #owner: CrewOwner;
  readonly #stopped: (() => void)[] = [];
  /** Started before the last edit, and which that was. */
  readonly #outdated = new WeakMap<Child, string>();
  /** In a row: that died before they were ready, or when they loaded what may come. */
  #failures = 0;
  #rebuild: { cancel(): void } | undefined = undefined;
  #idle: NodeJS.Timeout | undefined = undefined;

  constructor(options: PoolOptions, registry: Registry, owner: CrewOwner) {
    this.#options = options;
    this.most = options.threads;
    this.#registry = registry;
    this.#owner = owner;
  }

  get #idleMs(): number {
    return this.#options.processes?.idleMs ?? IDLE_MS;
  }

  get children(): Iterable<Child> {
    return this.#children;
  }

  /** One that can take a body now, if as many as may run do not run already; rather one whose code is hot. */
  free(): Child | undefined {
    let running = 0;
    let free: Child | undefined;
    for (const child of this.#children) {
      if (child.task !== undefined) running++;
      else if (child.state === "idle" && (free === undefined || child.served)) free = child;
    }
    return running < this.most ? free : undefined;
  }

  running(task: Task): Child | undefined {
    for (const child of this.#children) if (child.task === task) return child;
    return undefined;
  }

  /** A type that was not used before. */
  warm(type: number): void {
    const module = this.#registry.types[type];
    if (module === undefined) return;
    for (const child of this.#children) if (child.state === "idle") child.warm(module);
  }

  /** Builds what is missing, once the bodies that can start have. */
  fillLater(): void {
    if (this.stopping || this.#rebuild !== undefined || this.#missing() <= 0) return;
    const missed = this.#owner.waiting > 0;
    this.#rebuild = rebuildLater(this.#failures, missed, () => this.#fill());
  }

  /** Those that run a body are ended when it has. */
  renew(because: string): void {
    for (const child of this.#children) {
      this.#outdated.set(child, because);
      if (child.state === "idle") child.end(because);
    }
    this.fillLater();
  }

  stop(): Promise<void> {
    this.stopping = true;
    this.#rebuild?.cancel();
    clearTimeout(this.#idle);
    for (const child of this.#children) {
      if (child.task === undefined) child.end("stop");
      else child.abort("shutdown");
    }
    return new Promise((resolve) => {
      this.#stopped.push(resolve);
      this.#checkStopped();
    });
  }

  #missing(): number {
    const { processes } = this.#options;
    let running = 0;
    let usable = 0;
    for (const { task, state } of this.#children) {
      if (task !== undefined) running++;
      else if (state === "idle" || state === "starting") usable++;
    }
    const wanted = Math.max(0, Math.min(this.#owner.waiting, this.most - running));
    return wanted + (processes?.spares ?? 1) - usable;
  }

  /** One a turn: a fork holds the event loop, the longer the more memory our process has. */
  #fill(): void {
    this.#rebuild = undefined;
    if (this.#missing() > 0) this.#build();
    this.fillLater();
  }

  #build(): void {
    const child: Child = new Child(this.#options, {
      onReady: () => this.#ready(child),
      onFree: () => this.#free(child),
      onGone: (_, reason) => this.#gone(child, reason),
      onUnstarted: (task) => this.#owner.onUnstarted(task),
      onLoadHung: (module) => {
        const type = this.#registry.find(module);
        if (type !== undefined && this.#registry.hung(type)) this.renew(HUNG_AHEAD);
      },
    });
    this.#children.add(child);
  }

  #ready(child: Child): void {
    this.#emit({ type: "process.started", pid: child.pid });
    // The body that waits goes first, and its own module is loaded under it, where that has a limit.
    this.#free(child);
    for (const type of this.#registry.used) {
      const module = this.#registry.types[type];
      if (module !== undefined && child.task?.type !== type) child.warm(module);
    }
  }

  #free(child: Child): void {
    if (child.served) this.#failures = 0;
    if (this.stopping) return child.end("stop");
    const outdated = this.#outdated.get(child);
    if (outdated !== undefined && child.state === "idle") child.end(outdated);
    this.#owner.onRoom();
    if (child.state === "idle") this.#endIdleLater();
  }

  #gone(child: Child, reason: string): void {
    this.#children.delete(child);
    this.#emit({ type: "process.ended", pid: child.pid, reason });
    if (child.hadTask) this.#failures = 0;
    else if (!child.retired && ++this.#failures >= FAILURES_IN_A_ROW) this.#failing(reason);
    this.#owner.onRoom();
    this.fillLater();
    this.#checkStopped();
  }

  #failing(reason: string): void {
    this.#emit({ type: "threads.failing", failures: this.#failures, reason });
    this.#owner.onFailing(reason);
  }

  #endIdleLater(): void {
    this.#idle ??= setTimeout(() => {
      this.#idle = undefined;
      this.#endIdle();
    }, this.#idleMs).unref();
  }

  #endIdle(): void {
    const idle = [...this.#children].filter((child) => child.state === "idle");
    const surplus = idle.length - (this.#options.processes?.spares ?? 1);
    if (surplus <= 0) return;
    const now = performance.now();
    const rested = idle.filter((child) => now - child.idleSinceMs >= this.#idleMs);
    for (const child of rested.slice(0, surplus)) child.end("nothing to do");
    if (rested.length < surplus) this.#endIdleLater();
  }

  #checkStopped(): void {
    if (this.stopping && this.#children.size === 0) for (const resolve of this.#stopped.splice(0)) resolve();
  }

  #emit(event: PoolEvent): void {
    guarded(() => this.#options.event?.(event));
  }
}
