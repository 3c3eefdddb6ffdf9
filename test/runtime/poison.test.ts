/**
 * A job that takes the process down, over and over: it is buried as poison, and nobody who ran beside it is.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { brokers, collect, jobs, Place, start } from "./support.ts";

const node = fileURLToPath(new URL("./fixtures/poisoned.mjs", import.meta.url));

/** Runs a node on the folder; how it ended. */
function run(path: string): Promise<number | string | null> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [node, path, jobs.href], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    child.on("exit", (code, signal) => resolve(code ?? signal));
  });
}

test("a job that kills its process is buried after maxCrashes of its own; all others end well, with no attempt spent", async () => {
  const [, kind] = brokers;
  const place = new Place();
  const log = place.path();
  const producer = await start(kind, place, { jobs: [], partitions: { p: { default: 0 } } });
  const { defineJob } = await import("../../src/jobs/definition.ts");
  const hold = defineJob({ name: "hold", perform: (_args: object) => {} });
  const takesAll = defineJob({ name: "takes-all", perform: (_args: object) => {} });
  const innocents = Array.from({ length: 20 }, (_, i) => ({ log, name: `${i}` }));
  await producer.enqueueMany(hold, innocents.slice(0, 10), { partition: "p" });
  const poison = await producer.enqueue(takesAll, {}, { partition: "p" });
  await producer.enqueueMany(hold, innocents.slice(10), { partition: "p" });
  await producer.stop();

  const ends: unknown[] = [];
  while (ends.length < 8 && ends.at(-1) !== 0) ends.push(await run(place.store));

  // three crashes are its own; the first cannot be told from those of whoever ran beside it
  expect(ends).toEqual(["SIGKILL", "SIGKILL", "SIGKILL", "SIGKILL", 0].slice(-ends.length));
  expect(ends.length).toBeGreaterThanOrEqual(4);
  expect(new Set(place.lines(log).filter((line) => line.startsWith("end"))).size).toBe(20);
  const after = await start(kind, place, { partitions: { p: { default: 0 } } });
  const buried = collect(after, "job.buried");
  expect(await after.buried.list("p", "default")).toMatchObject([
    { id: poison.id, reason: "poison", attempt: 0 },
  ]);
  expect(buried).toEqual([]);
  expect((await after.node.partitions()).p?.default).toMatchObject({ ready: 0, scheduled: 0, buried: 1 });
});
