/**
 * No-op jobs through the whole runtime on the memory broker, against raw Piscina: the price of supervision.
 *
 * Owns a runtime and a raw pool of as many threads for the time of the suite.
 */
import type { JobDefinition } from "../../src/jobs/definition.ts";
import { RawPool } from "../baselines/raw.ts";
import { MemoryNode } from "../nodes/memory-node.ts";
import type { Bench } from "../runner/bench.ts";
import { loadJob } from "../runner/package.ts";

/** Goals of the design; `docs/performance.md` says which hold where. */
const CASES = [
  { inFlight: 1, jobs: 20_000, goal: 1.0 },
  { inFlight: 16, jobs: 60_000, goal: 2.5 },
  { inFlight: 64, jobs: 100_000, goal: 4.0, mainGoalUs: 5 },
];

export async function memorySuite(bench: Bench): Promise<void> {
  const node = await MemoryNode.start(bench, await loadJob<JobDefinition>("noop"));
  const raw = await RawPool.start(bench);
  try {
    for (const { inFlight, jobs: full, ...goals } of CASES) {
      const jobs = bench.settings.count(full);
      await bench.duel({
        case: `${inFlight} in flight`,
        metric: "no-op jobs",
        unit: "jobs/s",
        ours: () => node.runAll(jobs, inFlight),
        baseline: { name: "raw Piscina", run: () => raw.run(jobs, inFlight) },
        curve: { title: "No-op jobs a second, results awaited", axis: "jobs in flight", at: inFlight },
        ...goals,
      });
    }
  } finally {
    await node.stop();
    await raw.close();
  }
}
