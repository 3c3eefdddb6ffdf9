/**
 * Bodies given to a pool of threads and processes directly, and what their ends say: no broker stands between.
 *
 * Owns the pool that it makes, until its owner stops it, and the count of ends: one for each body, or the run has failed.
 */
import type { Failure, KillReport } from "../../src/jobs/failure.ts";
import type { Outcome, PoolOptions, Task, ThreadPool } from "../../src/threads/types.ts";
import { type Bench, quantile } from "../runner/bench.ts";
import { loadRouter } from "../runner/package.ts";

export type Place = "process" | "thread";

const job = new URL("../jobs/processed.mjs", import.meta.url).href;

export class Bodies {
  readonly pool: ThreadPool;
  /** Bodies that were given, and outcomes that came. */
  given = 0;
  ends = 0;
  readonly #type: number;

  private constructor(pool: ThreadPool) {
    this.pool = pool;
    this.#type = pool.register({ name: "processed", url: job });
  }

  static async of(options: PoolOptions): Promise<Bodies> {
    const { makePool } = await loadRouter();
    return new Bodies(makePool(options));
  }

  run(place: Place, way: string, more: Partial<Task> = {}): Promise<Outcome> {
    return this.give(place, way, more).outcome;
  }

  give(place: Place, way: string, more: Partial<Task> = {}): { task: Task; outcome: Promise<Outcome> } {
    let resolve: (outcome: Outcome) => void = () => {};
    const outcome = new Promise<Outcome>((yes) => {
      resolve = yes;
    });
    const task: Task = {
      type: this.#type,
      id: `${++this.given}`,
      partition: "bench",
      queue: "default",
      attempt: 0,
      argsText: JSON.stringify({ way }),
      maxExecutionTimeMs: 0,
      ...(place === "process" ? { inProcess: true } : {}),
      ended: (how) => {
        this.ends++;
        resolve(how);
      },
      ...more,
    };
    this.pool.give(task);
    return { task, outcome };
  }
}

/** A row each for p50 and p99, with the most that is wanted of them, and beside them what another one took. */
export function quantiles(
  bench: Bench,
  name: string,
  metric: string,
  values: readonly number[],
  goals: { readonly p50?: number; readonly p99?: number } = {},
  beside?: { readonly name: string; readonly values: readonly number[] },
): void {
  const parts = [
    { part: 0.5, goal: goals.p50 },
    { part: 0.99, goal: goals.p99 },
  ];
  for (const { part, goal } of parts)
    bench.atMost({
      case: name,
      metric: `${metric}, p${part * 100}`,
      unit: "ms",
      values: [quantile(values, part)],
      checked: values.length,
      ...(goal === undefined ? {} : { goal }),
      ...(beside === undefined
        ? {}
        : { baseline: { name: beside.name, value: quantile(beside.values, part) } }),
    });
}

/** What all steps after the grace took. */
export function fromGrace(outcome: Outcome): number {
  const failure: Failure | undefined = outcome.kind === "failed" ? outcome.failure : undefined;
  const report: KillReport | undefined = failure?.report;
  if (report === undefined) throw new Error(`no kill: ${JSON.stringify(outcome)}`);
  const after = report.steps.findIndex(({ step }) => step === "grace") + 1;
  return report.steps.slice(after).reduce((sum, { ms }) => sum + ms, 0);
}

export function startOf(outcome: Outcome): bigint {
  if (outcome.kind === "completed") return outcome.value as bigint;
  throw new Error(`the next body did not end well: ${JSON.stringify(outcome)}`);
}
