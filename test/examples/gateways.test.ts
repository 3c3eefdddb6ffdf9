/**
 * The examples of gateways, shortened: echoes through Gloom's daemon, Python tasks of which a worker is killed, squares
 * by Powerhose's workers.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { start } from "./process.ts";

// Whole processes, several a test: on a machine that others load they take their time.
vi.setConfig({ testTimeout: 180_000 });

test("every echo comes back, those of a higher priority first", async () => {
  const { code, stdout, stderr } = await start("examples/gloom-echo/echo.mjs", "300").ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("the first to come back was 200, the last 199; not echoed: 0");
});

test("three Python workers, one killed half-way: nothing is lost, no attempt is spent", async () => {
  const { code, stdout, stderr } = await start("examples/python-tasks/tasks.mjs", "24").ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("12 of 24 are done; worker");
  expect(stdout).toContain("ended with SIGKILL; it is started again");
  expect(stdout).toMatch(/24 results of 24, 2668 primes, which is right; failed attempts: 0/);
});

test("the seed's three programs: five workers, and a master that waits for the first and asks for squares", async () => {
  const folder = mkdtempSync(join(tmpdir(), "spillway-square-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const endpoint = `ipc://${folder}/master.ipc`;
  const master = start("examples/powerhose-square/master.mjs", endpoint, "50");
  await master.saw(/Waiting for some workers to register/);
  const workers = start("examples/powerhose-square/workers.mjs", endpoint, folder);
  const { code, stdout, stderr } = await master.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("50 of 50 are right");
  workers.kill("SIGTERM");
  expect(await workers.ended).toMatchObject({ code: 0 });
});
