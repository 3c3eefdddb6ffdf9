/**
 * What a process costs beside a thread, each with the same host in it: start, round trip, no-op jobs; and how soon a body
 * in native code is gone, which no thread can say.
 *
 * Owns one pool of threads and processes at a time. The pool is asked directly: no broker stands between.
 */
import type { PoolOptions } from "../../src/threads/types.ts";
import { THREADS } from "../baselines/raw.ts";
import { Bodies, fromGrace, type Place, quantiles, startOf } from "../nodes/bodies.ts";
import { type Bench, callers, type Sample, timed } from "../runner/bench.ts";
import { mainThreadUs } from "../runner/machine.ts";

const PLACES = ["process", "thread"] as const;

const OPTIONS: PoolOptions = {
  threads: THREADS,
  spares: 1,
  processes: { spares: 1 },
  graceMs: { timeout: 0, cancel: 0, shutdown: 0 },
  captureStack: false,
  maxWedged: THREADS,
  resultLimitBytes: 1_000,
};

export async function threadsSuite(bench: Bench): Promise<void> {
  await starts(bench);
  await jobs(bench);
  for (const captureStack of [false, true]) await kills(bench, captureStack);
}

/** From nothing to the end of the first body, as many times as there are rounds and some more. */
async function starts(bench: Bench): Promise<void> {
  const ms: Record<Place, number[]> = { process: [], thread: [] };
  for (let round = 0; round < bench.settings.rounds * 4; round++)
    for (const place of PLACES) {
      const one = { ...OPTIONS, threads: 1, spares: 0, processes: { spares: 0 } };
      const bodies = await Bodies.of(one);
      const before = performance.now();
      if (place === "thread") await bodies.pool.start();
      const outcome = await bodies.run(place, "noop");
      ms[place].push(performance.now() - before);
      bench.check("first bodies", 1, outcome.kind === "completed" ? 1 : 0);
      await bodies.pool.stop();
    }
  bench.within({
    case: "start",
    metric: "until its first body has ended",
    unit: "ms",
    ours: ms.process,
    baseline: { name: "a thread", values: ms.thread },
    checked: ms.process.length,
  });
}

const CASES = [
  { inFlight: 1, jobs: 5_000 },
  { inFlight: 2, jobs: 10_000 },
  { inFlight: 16, jobs: 10_000 },
];

async function jobs(bench: Bench): Promise<void> {
  const bodies = await Bodies.of(OPTIONS);
  await bodies.pool.start();
  const run = async (place: Place, count: number, inFlight: number): Promise<Sample> => {
    let completed = 0;
    const work = () =>
      callers(inFlight, count, async (take) => {
        while (take()) if ((await bodies.run(place, "noop")).kind === "completed") completed++;
      });
    const measured = await timed(count, work, mainThreadUs);
    bench.check(`jobs in a ${place}`, count, completed);
    return { ...measured, checked: count };
  };
  try {
    for (const { inFlight, jobs: full } of CASES) {
      const count = bench.settings.count(full);
      await bench.duel({
        case: `processes, ${inFlight} in flight`,
        metric: "no-op jobs",
        unit: "jobs/s",
        ours: () => run("process", count, inFlight),
        baseline: { name: "threads", run: () => run("thread", count, inFlight) },
      });
    }
  } finally {
    await bodies.pool.stop();
  }
}

/** Of each kind; a tenth of what is counted as a job elsewhere, since each costs a process. */
const KILLS = 200;

/** Kills one after another, each with a hot process there and a job that waits. */
async function kills(bench: Bench, captureStack: boolean): Promise<void> {
  const bodies = await Bodies.of({ ...OPTIONS, threads: 1, captureStack });
  const capture = captureStack ? "capture on" : "capture off";
  try {
    for (const way of ["native", "spins"]) {
      bench.say(`kills, ${way}, ${capture}`);
      const gone: number[] = [];
      const next: number[] = [];
      const count = Math.max(3, bench.settings.count(KILLS) / 10);
      for (let i = 0; i < count; i++) {
        await hot(bodies);
        const killed = bodies.run("process", way, { maxExecutionTimeMs: 50 });
        const following = bodies.run("process", "began");
        gone.push(fromGrace(await killed));
        const settledAt = process.hrtime.bigint();
        next.push(Number(startOf(await following) - settledAt) / 1e6);
      }
      const of = way === "native" ? "a body in native code" : "for (;;)";
      quantiles(bench, `${of}, ${capture}`, "end of the grace → process gone", gone);
      quantiles(bench, `${of}, ${capture}`, "its outcome → the next body begins", next);
    }
  } finally {
    await bodies.pool.stop();
  }
}

/** Until two idle processes are there: one for the body, one for what comes after its kill. */
async function hot(bodies: Bodies): Promise<void> {
  const idle = () => bodies.pool.threads.filter(({ pid, state }) => pid !== undefined && state === "idle");
  while (idle().length < 2) {
    await bodies.run("process", "noop");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
