/**
 * A fresh process that runs its first job as soon as it can, with Spillway or with Piscina alone, and then rests.
 *
 * Its clock begins with the process. Answers `figures`: milliseconds of each step, and what it holds when garbage is gone.
 * Nothing that only one side needs is imported before that side's clock.
 */
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { setEnvironmentData } from "node:worker_threads";
import { serve } from "./serve.mjs";

const { kind, path, threads } = JSON.parse(process.argv[2]);
/** Timers of a start are over by then. */
const REST_MS = 500;

// What the bodies count in, as in the bench's own process.
setEnvironmentData("spillway-bench", new SharedArrayBuffer(24));

const sides = {
  async spillway() {
    const from = performance.now();
    const { Runtime, embedded, memory } = await import("spillway");
    const imported = performance.now();
    const { default: noop } = await import("../jobs/noop.mjs");
    const runtime = await Runtime.start({
      broker: kind === "embedded" ? embedded({ path }) : memory(),
      jobs: new URL("../jobs/noop.mjs", import.meta.url),
      partitions: { bench: { default: threads } },
      threads,
    });
    const started = performance.now();
    const handle = await runtime.enqueue(noop, undefined, { partition: "bench" });
    await handle.result();
    return { from, imported, started, done: performance.now(), stop: () => runtime.stop() };
  },
  async piscina() {
    const from = performance.now();
    const { Piscina } = await import("piscina");
    const imported = performance.now();
    const filename = fileURLToPath(new URL("../baselines/raw/noop.cjs", import.meta.url));
    const pool = new Piscina({ filename, minThreads: threads, maxThreads: threads });
    const started = performance.now();
    await pool.run(undefined);
    return { from, imported, started, done: performance.now(), stop: () => pool.destroy() };
  },
};

const { from, imported, started, done, stop } = await sides[kind === "piscina" ? "piscina" : "spillway"]();
await setTimeout(REST_MS);
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
collect();
collect();
const { rss, heapUsed, external } = process.memoryUsage();
const MIB = 2 ** 20;

serve({
  figures: () => ({
    importMs: imported - from,
    startMs: started - imported,
    firstJobMs: done,
    rssMiB: rss / MIB,
    heapMiB: (heapUsed + external) / MIB,
  }),
  stop,
});
