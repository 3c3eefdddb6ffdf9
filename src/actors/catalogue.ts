/**
 * The job types this node can run: name → definition, its number in the thread pool, its retry levels.
 *
 * Owns nothing that changes after start but the list itself (`watch` and later registrations add to it).
 */
import type { JobDefinition } from "../jobs/definition.ts";
import { levelsOf } from "../jobs/retry.ts";
import { suggest } from "../jobs/suggest.ts";

export interface KnownJob {
  readonly name: string;
  readonly definition: JobDefinition;
  /** The pool's number for its module. */
  readonly type: number;
  /** Its bodies run in processes of their own: one at a time each, none handed ahead. */
  readonly inProcess: boolean;
  /** Its bodies run in workers behind a gateway: they take none of this node's slots. */
  readonly outside: boolean;
  /** The number of the pool of threads that it runs in; 0 = the one without a name. */
  readonly pool: number;
  /** Delays in seconds after attempt n. */
  readonly levels: readonly number[];
}

export class Catalogue {
  readonly #jobs = new Map<string, KnownJob>();
  readonly #retryLevels: readonly number[];

  readonly #pools: readonly string[];

  /** `pools`: the names of those that have one. */
  constructor(retryLevels: readonly number[], pools: readonly string[] = []) {
    this.#retryLevels = retryLevels;
    this.#pools = pools;
  }

  add(definition: JobDefinition, type: number): void {
    const levels = levelsOf(definition.retry, this.#retryLevels);
    const inProcess = definition.runsIn === "process";
    const outside = typeof definition.runsIn === "object";
    const { name, pool: poolName } = definition;
    const pool = poolName === undefined ? 0 : this.#pools.indexOf(poolName) + 1;
    this.#jobs.set(name, { name, definition, type, inProcess, outside, pool, levels });
  }

  /** Its definition was edited; where its bodies run stays. */
  replace(definition: JobDefinition): void {
    const known = this.#jobs.get(definition.name);
    if (known === undefined) return;
    const levels = levelsOf(definition.retry, this.#retryLevels);
    this.#jobs.set(definition.name, { ...known, definition, levels });
  }

  get(name: string): KnownJob | undefined {
    return this.#jobs.get(name);
  }

  /** The closest known name, for "did you mean". */
  near(name: string): string | undefined {
    return suggest(name, [...this.#jobs.keys()]);
  }

  get names(): readonly string[] {
    return [...this.#jobs.keys()];
  }
}
