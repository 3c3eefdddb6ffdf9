/**
 * No-op jobs through the whole runtime on the memory broker, against raw Piscina: the price of supervision.
 *
 * Owns a runtime and a raw pool of as many threads for the time of the suite. Every job's own result is awaited, and
 * the bodies' count is compared with the number of jobs: together these say that each ran exactly once.
 */
import type { JobDefinition } from "../src/jobs/definition.ts";
import { mainThreadUs } from "./machine.ts";
import { loadJob, loadSpillway } from "./package.ts";
import { RawPool, runsOfOurs, THREADS } from "./raw.ts";
import { type Bench, callers, type Sample, timed } from "./runner.ts";

/** Goals of the design; `docs/performance.md` says which hold where. */
const CASES = [
  { inFlight: 1, jobs: 20_000, goal: 1.0 },
  { inFlight: 16, jobs: 60_000, goal: 2.5 },
  { inFlight: 64, jobs: 100_000, goal: 2.5, mainGoalUs: 5 },
];

export async function memorySuite(bench: Bench): Promise<void> {
  const { Runtime, memory } = await loadSpillway();
  const { definition: noop, url } = await loadJob<JobDefinition<"noop", void, void, void>>("noop");
  const partition = "bench";
  const runtime = await Runtime.start({
    broker: memory(),
    jobs: url,
    partitions: { [partition]: { default: 64 } },
    threads: THREADS,
  });
  const raw = await RawPool.start(bench);
  const ours = async (jobs: number, inFlight: number): Promise<Sample> => {
    const before = runsOfOurs();
    let results = 0;
    const work = () =>
      callers(inFlight, jobs, async (take) => {
        while (take()) {
          const handle = await runtime.enqueue(noop, undefined, { partition });
          await handle.result();
          results++;
        }
      });
    const measured = await timed(jobs, work, mainThreadUs);
    bench.check("results of jobs", jobs, results);
    bench.check("runs of jobs", jobs, runsOfOurs() - before);
    return { ...measured, checked: jobs };
  };
  try {
    for (const { inFlight, jobs: full, ...goals } of CASES) {
      const jobs = bench.settings.count(full);
      await bench.duel({
        case: `${inFlight} in flight`,
        metric: "no-op jobs",
        unit: "jobs/s",
        ours: () => ours(jobs, inFlight),
        baseline: { name: "raw Piscina", run: () => raw.run(jobs, inFlight) },
        ...goals,
      });
    }
  } finally {
    await runtime.stop();
    await raw.close();
  }
}
