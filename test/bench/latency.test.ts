/**
 * How soon bodies begin: that the suite runs, and that it sees a job that never began or ran twice.
 *
 * The systems here are made up; they write the cells that bodies write.
 */
import { getEnvironmentData } from "node:worker_threads";
import { expect, test } from "vitest";
import { Bench } from "../../bench/runner/bench.ts";
import { arriving, capacity, lone, type Taker } from "../../bench/runner/pickup.ts";
import { readSettings } from "../../bench/runner/settings.ts";
import { suggest } from "../../src/jobs/suggest.ts";
import { benchOnce } from "./spawned.ts";

test("memory, embedded and what else is there: three quantiles, idle and under load, of jobs that ran once", async () => {
  const { code, stderr, rows } = await benchOnce(["latency"]);
  expect(code, stderr).toBe(0);
  const metrics = ["p50", "p99", "p99.9"].map((name) => `until its body begins, ${name}`);
  for (const name of ["memory, idle", "memory, half load", "embedded, idle", "embedded, half load"])
    expect(rows.filter((row) => row.case === name).map((row) => row.metric)).toEqual(
      expect.arrayContaining(metrics),
    );
  for (const row of rows) expect(row.checked, row.case).toBeGreaterThan(0);
  expect(rows[0]?.baseline?.name).toBe("raw Piscina (threads, not kept)");
}, 600_000);

/** The cells are used up long before. */
const LONG_MS = 10_000;

/** Runs each job so often, at once; its body says that it began so much later. */
function taker(times: number, ms = 0): Taker {
  const marks = new BigInt64Array(getEnvironmentData("spillway-bench-marks") as SharedArrayBuffer);
  let runs = 0;
  return {
    name: "made up",
    send: async (cell) => {
      marks[cell] = process.hrtime.bigint() + BigInt(ms * 1e6);
      runs += times;
    },
    runs: () => runs,
  };
}

function benchOf(): Bench {
  const settings = readSettings([], ["latency"], suggest);
  if (settings === "help") throw new Error("help was not asked for");
  return new Bench("latency", settings, () => {});
}

test("a lone job's latency is its body's own word, however late one looks", async () => {
  const bench = benchOf();
  const [quick = [], slow = []] = await lone(bench, [taker(1), taker(1, 500)], 3);
  expect([quick.length, slow.length]).toEqual([3, 3]);
  expect(Math.min(...slow)).toBeGreaterThanOrEqual(500);
  expect(Math.min(...quick)).toBeGreaterThanOrEqual(0);
  expect(bench.failed).toEqual([]);
});

test("jobs come at the rate that is asked for, and each has a latency", async () => {
  const bench = benchOf();
  expect(await arriving(bench, taker(1), 1_000, 50)).toHaveLength(50);
  expect(await capacity(bench, taker(1), LONG_MS)).toBeGreaterThan(0);
  expect(bench.failed).toEqual([]);
});

test("a job that ran twice is seen, idle, under half and under full load", async () => {
  const bench = benchOf();
  await lone(bench, [taker(2)], 2);
  await arriving(bench, taker(2), 1_000, 5);
  await capacity(bench, taker(2), LONG_MS);
  expect(bench.failed).toEqual([
    "latency: runs of lone jobs, made up: expected 2, got 4",
    "latency: runs under half load, made up: expected 5, got 10",
    expect.stringContaining("latency: runs under full load, made up: expected"),
  ]);
});
