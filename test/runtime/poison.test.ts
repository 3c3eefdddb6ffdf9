/**
 * Jobs that take the process down: each costs the service one crash, is buried as poison, and nobody who ran beside it is.
 *
 * 3 poisons among 200 jobs, 10 runs of 1,000 with SPILLWAY_LONG.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import { brokers, collect, jobs, Place, start } from "./support.ts";

const node = fileURLToPath(new URL("./fixtures/poisoned.mjs", import.meta.url));
const [RUNS, JOBS] = process.env.SPILLWAY_LONG === undefined ? [1, 200] : [10, 1_000];
const POISONS = 3;

/** Runs a node on the folder; how it ended. */
function run(path: string): Promise<number | string | null> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [node, path, jobs.href], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    child.on("exit", (code, signal) => resolve(code ?? signal));
  });
}

test.each(Array.from({ length: RUNS }, (_, at) => at))(
  "jobs that kill their process cost it one crash and are buried; all others end well, with no attempt spent (%i)",
  {
    timeout: 300_000,
  },
  async () => {
    const [, kind] = brokers;
    const place = new Place();
    const log = place.path();
    const producer = await start(kind, place, { jobs: [], partitions: { p: { default: 0 } } });
    const hold = defineJob({ name: "hold", perform: (_args: object) => {} });
    const takesAll = defineJob({ name: "takes-all", perform: (_args: object) => {} });
    const innocents = Array.from({ length: JOBS }, (_, i) => ({ log, name: `${i}` }));
    const part = Math.ceil(JOBS / (POISONS + 1));
    const poisons: string[] = [];
    for (let at = 0; at < JOBS; at += part) {
      await producer.enqueueMany(hold, innocents.slice(at, at + part), { partition: "p" });
      if (poisons.length < POISONS)
        poisons.push((await producer.enqueue(takesAll, {}, { partition: "p" })).id);
    }
    await producer.stop();

    const ends: unknown[] = [];
    while (ends.length < 2 * POISONS && ends.at(-1) !== 0) ends.push(await run(place.store));

    // one crash brings back whatever was beside it: of three poisons some are found without a crash of their own
    expect(ends.at(-1)).toBe(0);
    expect(ends.slice(0, -1)).toEqual(ends.slice(0, -1).map(() => "SIGKILL"));
    expect(ends.length - 1).toBeGreaterThanOrEqual(1);
    expect(ends.length - 1).toBeLessThanOrEqual(POISONS);
    expect(new Set(place.lines(log).filter((line) => line.startsWith("end"))).size).toBe(JOBS);
    const after = await start(kind, place, { partitions: { p: { default: 0 } } });
    const buried = collect(after, "job.buried");
    const graves = await after.buried.list("p", "default");
    expect(graves.map(({ id, reason, attempt }) => `${id} ${reason} ${attempt}`).sort()).toEqual(
      poisons.map((id) => `${id} poison 0`).sort(),
    );
    expect(buried).toEqual([]);
    expect((await after.node.partitions()).p?.default).toMatchObject({
      ready: 0,
      scheduled: 0,
      buried: POISONS,
    });
  },
);
