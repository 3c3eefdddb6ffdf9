/**
 * The one pool that the actors see: threads, threads of named pools, and processes for the types that ask for one.
 *
 * Owns all of these. A type has the same number in each, so a task goes to any as it is. Nothing is in two of them.
 */
import { Pool } from "./pool.ts";
import { ProcessPool } from "./process/pool.ts";
import type { JobModule, PoolOptions, Task, ThreadInfo, ThreadPool } from "./types.ts";

/** Where bodies run; `start` it, then `give` it tasks. Processes are started when the first body asks for one. */
export function makePool(options: PoolOptions): ThreadPool {
  return new Router(options);
}

class Router implements ThreadPool {
  readonly #threads: Pool;
  readonly #named = new Map<string, Pool>();
  readonly #processes: ProcessPool;
  /** By type number. */
  readonly #pools: ThreadPool[] = [];

  constructor(options: PoolOptions) {
    const { pools = [], ...own } = options;
    this.#threads = new Pool(own);
    for (const pool of pools) this.#named.set(pool.name, new Pool({ ...own, ...pool }));
    this.#processes = new ProcessPool(own);
  }

  get threads(): readonly ThreadInfo[] {
    const named = [...this.#named].flatMap(([pool, { threads }]) =>
      threads.map((info) => ({ ...info, pool })),
    );
    return [...this.#threads.threads, ...named, ...this.#processes.threads];
  }

  register(module: JobModule): number {
    const type = this.#threads.register(module);
    for (const pool of this.#all())
      if (pool.register(module) !== type) throw new Error("a type has two numbers");
    this.#pools[type] = this.#poolOf(module);
    return type;
  }

  async start(): Promise<void> {
    await Promise.all(this.#all().map((pool) => pool.start()));
  }

  give(task: Task): void {
    this.#of(task).give(task);
  }

  revoke(task: Task): boolean {
    return this.#of(task).revoke(task);
  }

  abort(task: Task, reason: "cancel" | "shutdown"): void {
    this.#of(task).abort(task, reason);
  }

  renew(because: string): void {
    for (const pool of this.#all()) pool.renew(because);
  }

  /** Pools with a name keep their threads. */
  async resize(threads: number): Promise<void> {
    await Promise.all([this.#threads.resize(threads), this.#processes.resize(threads)]);
  }

  async stop(): Promise<readonly string[]> {
    const wedged = await Promise.all(this.#all().map((pool) => pool.stop()));
    return wedged.flat();
  }

  #all(): readonly ThreadPool[] {
    return [this.#threads, ...this.#named.values(), this.#processes];
  }

  #poolOf({ name, runsIn, pool }: JobModule): ThreadPool {
    if (runsIn === "process") return this.#processes;
    const found = pool === undefined ? this.#threads : this.#named.get(pool);
    if (found === undefined) throw new Error(`job "${name}" asks for the pool "${pool}", which is not there`);
    return found;
  }

  #of(task: Task): ThreadPool {
    return task.inProcess === true ? this.#processes : (this.#pools[task.type] ?? this.#threads);
  }
}
