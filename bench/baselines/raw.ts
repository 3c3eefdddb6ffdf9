/**
 * The two sides of a row about jobs: counted runs, and raw Piscina, which posts one message a job and keeps nothing.
 *
 * Owns the shared memory that bodies count in, which must exist before any thread starts, and the raw pool until
 * `close`.
 */
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { setEnvironmentData } from "node:worker_threads";
import type { Piscina } from "piscina";
import { type Bench, callers, type Sample, timed } from "../runner/bench.ts";
import { mainThreadUs } from "../runner/machine.ts";
import { loadPiscina } from "../runner/package.ts";

/** Both sides of every row. */
export const THREADS = 2;

// Two counts of runs, then two moments of the last start (`jobs/stamped.mjs`).
const shared = new SharedArrayBuffer(24);
const cells = new Int32Array(shared);
const starts = new BigInt64Array(shared, 8);
// Threads get it at their start; there is no other way into a thread that is not ours.
setEnvironmentData("spillway-bench", shared);

const OURS = 0;
const RAW = 1;

/** Runs so far of our bodies. */
export const runsOfOurs = (): number => Atomics.load(cells, OURS);
export const runsOfRaw = (): number => Atomics.load(cells, RAW);

/** When the last stamped body began, as `process.hrtime` tells it in all threads. */
export const startOfOurs = (): bigint => Atomics.load(starts, OURS);
export const startOfRaw = (): bigint => Atomics.load(starts, RAW);

/** A run that stands still for so long has lost a job; the checks then say so. */
const STUCK_MS = 30_000;

/** Resolves when bodies have run so often in all, or stand still. Looks each millisecond: nobody is told anything. */
export async function runsReach(count: number, runs: () => number = runsOfOurs): Promise<void> {
  let last = runs();
  for (let since = performance.now(); last < count; ) {
    await setTimeout(1);
    const now = runs();
    if (now !== last) since = performance.now();
    else if (performance.now() - since > STUCK_MS) return;
    last = now;
  }
}

export class RawPool {
  readonly #pool: Piscina;
  readonly #bench: Bench;

  private constructor(pool: Piscina, bench: Bench) {
    this.#pool = pool;
    this.#bench = bench;
  }

  static async start(bench: Bench, worker = "noop"): Promise<RawPool> {
    const { Piscina } = await loadPiscina();
    const filename = fileURLToPath(new URL(`./raw/${worker}.cjs`, import.meta.url));
    return new RawPool(new Piscina({ filename, minThreads: THREADS, maxThreads: THREADS }), bench);
  }

  /** `run` per job, with so many in flight. */
  async run(jobs: number, inFlight: number): Promise<Sample> {
    const pool = this.#pool;
    const before = runsOfRaw();
    const measured = await timed(
      jobs,
      () =>
        callers(inFlight, jobs, async (take) => {
          while (take()) await pool.run(undefined);
        }),
      mainThreadUs,
    );
    this.#bench.check("runs of raw Piscina", jobs, runsOfRaw() - before);
    return { ...measured, checked: jobs };
  }

  /** One of them. */
  once(): Promise<void> {
    return this.#pool.run(undefined);
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}
