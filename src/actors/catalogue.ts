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
  /** Delays in seconds after attempt n. */
  readonly levels: readonly number[];
}

export class Catalogue {
  readonly #jobs = new Map<string, KnownJob>();
  readonly #retryLevels: readonly number[];

  constructor(retryLevels: readonly number[]) {
    this.#retryLevels = retryLevels;
  }

  add(definition: JobDefinition, type: number): void {
    const levels = levelsOf(definition.retry, this.#retryLevels);
    this.#jobs.set(definition.name, { name: definition.name, definition, type, levels });
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
