/**
 * A pool for one test, and tasks that collect what is told of them.
 *
 * The pool is stopped when its test ends, and the test fails when a thread is left then. Tests that are true of every
 * place where bodies run are run for each: `in-processes.test.ts` loads their files again.
 */
import { pbkdf2Sync } from "node:crypto";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import { Pool } from "../../src/threads/pool.ts";
import { ProcessPool } from "../../src/threads/process/pool.ts";
import type { LogLevel, Outcome, PoolEvent, PoolOptions, Task, ThreadPool } from "../../src/threads/types.ts";

/** Where the bodies of a test run. */
export type Place = "thread" | "process";

let placeNow: Place = "thread";

/** Where bodies of the tests run that are being defined. */
export const place = (): Place => placeNow;

/** From here on, tests are defined for this place. */
export function defineFor(next: Place): void {
  placeNow = next;
}

export const fixture = (name: string): string => new URL(`../fixtures/jobs/${name}`, import.meta.url).href;
export const broken = (name: string): string => new URL(`../fixtures/broken/${name}`, import.meta.url).href;
export const fixturePath = (name: string): string => fileURLToPath(fixture(name));

export interface Given {
  readonly task: Task;
  readonly outcome: Promise<Outcome>;
  readonly started: Promise<number>;
  readonly wedged: Promise<unknown>;
  readonly progress: unknown[];
  readonly logs: { level: LogLevel; text: string; data: unknown }[];
  /** How often `ended` was called. */
  ends: number;
}

export class TestPool {
  readonly events: PoolEvent[] = [];
  readonly pool: ThreadPool;
  #ids = 0;
  #listeners: ((event: PoolEvent) => void)[] = [];

  constructor(options: Partial<PoolOptions> = {}) {
    const Place = placeNow === "process" ? ProcessPool : Pool;
    this.pool = new Place({
      threads: 1,
      spares: 0,
      graceMs: { timeout: 0, cancel: 1_000, shutdown: 0 },
      captureStack: false,
      maxWedged: 1,
      resultLimitBytes: 100_000,
      processes: { spares: options.spares ?? 0 },
      event: (event) => {
        this.events.push(event);
        for (const listener of this.#listeners) listener(event);
      },
      ...options,
    });
  }

  type(name: string, url = fixture(`${name}.mjs`)): number {
    return this.pool.register({ name, url });
  }

  task(type: number, args: unknown = null, more: Partial<Task> = {}): Given {
    const given: Partial<Given> & { ends: number } = { ends: 0, progress: [], logs: [] };
    const outcome = resolvers<Outcome>();
    const started = resolvers<number>();
    const wedged = resolvers<unknown>();
    const task: Task = {
      type,
      id: `job-${++this.#ids}`,
      partition: "myapp",
      queue: "default",
      attempt: 0,
      argsText: JSON.stringify(args),
      maxExecutionTimeMs: 0,
      started: (threadId) => started.resolve(threadId),
      progress: (value) => given.progress?.push(value),
      log: (level, text, data) => given.logs?.push({ level, text, data }),
      wedged: (report) => wedged.resolve(report),
      ended: (how) => {
        given.ends++;
        outcome.resolve(how);
        // Whoever waits for what will not come any more is told, with what came instead.
        const instead = new Error(`ended first: ${JSON.stringify(how)}`);
        started.reject(instead);
        wedged.reject(instead);
      },
      ...more,
    };
    const promises = { outcome: outcome.promise, started: started.promise, wedged: wedged.promise };
    return Object.assign(given, { task, ...promises }) as Given;
  }

  give(type: number, args: unknown = null, more: Partial<Task> = {}): Given {
    const given = this.task(type, args, more);
    this.pool.give(given.task);
    return given;
  }

  run(type: number, args: unknown = null, more: Partial<Task> = {}): Promise<Outcome> {
    return this.give(type, args, more).outcome;
  }

  /** Resolves at the next event of this type. */
  event<T extends PoolEvent["type"]>(type: T): Promise<Extract<PoolEvent, { type: T }>> {
    return new Promise((resolve) => {
      this.#listeners.push((event) => {
        if (event.type === type) resolve(event as Extract<PoolEvent, { type: T }>);
      });
    });
  }
}

/** A started pool; ended with its test, and every task that was given must then have had one end. */
export async function startPool(options: Partial<PoolOptions> = {}): Promise<TestPool> {
  const pool = new TestPool(options);
  onTestFinished(async () => {
    await pool.pool.stop();
    expect(pool.pool.threads).toEqual([]);
  });
  await pool.pool.start();
  return pool;
}

export const completed = (value: unknown) => ({
  kind: "completed",
  value,
  durationMs: expect.any(Number),
});

export const failed = (failure: Record<string, unknown>) => ({
  kind: "failed",
  durationMs: expect.any(Number),
  failure: expect.objectContaining(failure),
});

export interface Resolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export function resolvers<T>(): Resolvers<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/**
 * So many iterations of `pbkdf2Sync` keep a thread busy for about so long, whatever machine this is. Measured in CPU
 * time, so that other work on it does not make the call too short.
 */
export function nativeIterations(cpuMs: number): number {
  const measured = 200_000;
  const before = process.cpuUsage();
  pbkdf2Sync("secret", "salt", measured, 64, "sha512");
  const { user, system } = process.cpuUsage(before);
  return Math.ceil((measured * cpuMs * 1_000) / Math.max(1, user + system));
}
