/**
 * Jobs that wait for HTTP: 500 at once on two threads that 250 share each, against one body a thread.
 *
 * Owns a server in this process, which answers after 50 ms, and two runtimes on the memory broker. Each job's result is
 * awaited, and the bodies' count is compared with the number of jobs.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { JobDefinition } from "../../src/jobs/definition.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { runsOfOurs, THREADS } from "../baselines/raw.ts";
import { quantiles } from "../nodes/bodies.ts";
import { type Bench, callers, type Sample, timed } from "../runner/bench.ts";
import { mainThreadUs } from "../runner/machine.ts";
import { loadJob, loadSpillway } from "../runner/package.ts";

type Asks = JobDefinition<"asks", { port: number }, { port: number }, void>;

const ANSWER_MS = 50;
const PER_THREAD = 250;
const SHARED = { inFlight: THREADS * PER_THREAD, jobs: 10_000 };
const ALONE = { inFlight: THREADS, jobs: 200 };

export async function ioSuite(bench: Bench): Promise<void> {
  const { definition, url } = await loadJob<Asks>("asks");
  const server = createServer((_, answer) => setTimeout(() => answer.end("answer"), ANSWER_MS));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const shared = await start(url, PER_THREAD);
  const alone = await start(url, 1);
  const ms: number[] = [];
  const run = async (runtime: Runtime, { inFlight, jobs: full }: typeof SHARED, latencies?: number[]) => {
    const jobs = bench.settings.count(full);
    const before = runsOfOurs();
    let results = 0;
    const work = () =>
      callers(inFlight, jobs, async (take) => {
        while (take()) {
          const from = performance.now();
          const handle = await runtime.enqueue(definition, { port }, { partition: "bench" });
          await handle.result();
          latencies?.push(performance.now() - from);
          results++;
        }
      });
    const measured = await timed(jobs, work, mainThreadUs);
    bench.check("results of jobs", jobs, results);
    bench.check("runs of jobs", jobs, runsOfOurs() - before);
    return { ...measured, checked: jobs } satisfies Sample;
  };
  const name = `${SHARED.inFlight} wait for HTTP (${ANSWER_MS} ms), ${PER_THREAD} a thread`;
  try {
    await bench.duel({
      case: name,
      metric: "jobs",
      unit: "jobs/s",
      ours: () => run(shared, SHARED, ms),
      baseline: { name: "one a thread", run: () => run(alone, ALONE) },
    });
    quantiles(bench, name, "enqueue → result", ms);
  } finally {
    await shared.stop();
    await alone.stop();
    server.closeAllConnections();
    server.close();
  }
}

async function start(jobs: URL, jobsPerThread: number): Promise<Runtime> {
  const { Runtime, memory } = await loadSpillway();
  return Runtime.start({
    broker: memory(),
    jobs,
    threads: THREADS,
    jobsPerThread,
    partitions: { bench: { default: THREADS * jobsPerThread } },
  });
}
