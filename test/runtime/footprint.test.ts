/** What a runtime costs that does nothing, and a job that only waits: counted in processes of their own. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { Place } from "./support.ts";

const script = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

async function said(...args: readonly string[]): Promise<Record<string, number>> {
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Record<string, number>;
}

test.each(["memory", "embedded"])(
  "nothing wakes an idle runtime on %s more than once a second",
  async (kind) => {
    const fired = await said(script("idle-timers.mjs"), kind, new Place().store, "3000");
    // By interval. On a late machine the three seconds are longer ones: the sum has room.
    expect(Object.keys(fired).filter((everyMs) => Number(everyMs) < 1_000)).toEqual([]);
    expect(Object.values(fired).reduce((sum, times) => sum + times, 0)).toBeLessThanOrEqual(8);
  },
);

test("a job that waits in memory takes less than a kilobyte of heap", async () => {
  const { bytesPerJob } = await said("--expose-gc", script("waiting-heap.mjs"));
  expect(bytesPerJob).toBeGreaterThan(0);
  expect(bytesPerJob).toBeLessThanOrEqual(1_024);
});
