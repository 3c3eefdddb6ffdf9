/** The Python client: its own tests, and real `python3` workers and producers against the real gateway. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { gloom, Workers } from "../../src/gateways/index.ts";
import { defineJob } from "../../src/jobs/index.ts";
import type { RuntimeOptions } from "../../src/runtime/options.ts";
import { brokers, collect, next, Place, start } from "../runtime/support.ts";
import { daemon, slave } from "./gloom-support.ts";

const CLIENT = fileURLToPath(new URL("../../clients/python/", import.meta.url));
const WORKER = fileURLToPath(new URL("../fixtures/python_worker.py", import.meta.url));
const run = promisify(execFile);
const [memory] = brokers;
const at = { partition: "p" };
const runsIn = { worker: "py" };
const names = ["add", "fails", "waits", "naps", "spins", "slow", "task"];
const jobs = names.map((name) =>
  defineJob({
    name,
    runsIn,
    ...(name === "fails" ? { retry: { levels: [1] } } : {}),
    ...(name === "spins" ? { maxExecutionTime: 500 } : {}),
  }),
);

async function node(count: number, options: RuntimeOptions = {}) {
  const gateway = gloom({ masterPort: 0, slavePort: 0 });
  const runtime = await start(memory, new Place(), { jobs, gateways: [gateway], ...options });
  const lines: string[] = [];
  const workers = new Workers(["python3", WORKER, String(gateway.address?.slavePort), "$WID"], count, {
    onLine: ({ text }) => lines.push(text),
  });
  onTestFinished(() => workers.stop());
  const joined = collect(runtime, "worker.joined");
  await workers.start();
  while (joined.length < count) await next(runtime, "worker.joined");
  return { runtime, gateway, workers, lines };
}

test("its own tests pass", async () => {
  const { stderr } = await run("python3", ["-W", "error", "-m", "unittest", "discover", "-s", "tests"], {
    cwd: CLIENT,
  });
  expect(stderr).toMatch(/Ran \d+ tests[\s\S]*OK/);
});

test("a job runs in Python, fails with Python's traceback, and is retried", async () => {
  const { runtime, workers, lines } = await node(1);
  expect(await runtime.execute("add", { a: 2, b: 3 }, at)).toMatchObject({ sum: 5, wid: "1" });
  const failed = next(runtime, "job.failed");
  const handle = await runtime.enqueue("fails", { why: "é" }, at);
  expect(await failed).toMatchObject({
    willRetry: true,
    error: { failure: { name: "ValueError", message: "no é", stack: expect.stringContaining("in fails") } },
  });
  await expect(handle.result()).rejects.toMatchObject({ code: "JobBuried", record: { reason: "failed" } });
  const final = await runtime.enqueue("fails", { why: "never", final: true }, at);
  await expect(final.result()).rejects.toMatchObject({ record: { reason: "non-retryable" } });
  await workers.stop();
  expect(lines).toEqual(["worker 1 runs", "worker 1 has stopped"]);
});

test("a cancel reaches a body that looks, and the worker goes on", async () => {
  const { runtime, workers } = await node(1);
  const waiting = next(runtime, "job.progress");
  const handle = await runtime.enqueue("waits", null, { ...at, id: "w" });
  await waiting;
  const [before] = workers.running;
  await runtime.cancel("p", "w");
  await expect(handle.result()).rejects.toMatchObject({ code: "JobCancelled" });
  expect(await runtime.execute("add", { a: 1, b: 1 }, at)).toMatchObject({ pid: before?.pid });
});

test("a body that snoozes runs again later, with no attempt spent", async () => {
  const { runtime } = await node(1);
  const snoozed = next(runtime, "job.snoozed");
  const handle = await runtime.enqueue("naps", { path: new Place().path() }, at);
  expect(await snoozed).toMatchObject({ id: handle.id, delayMs: 200 });
  expect(await handle.result()).toBe(0);
});

test("a body that does not look is cut off at its limit, and its process with it when it is ours", async () => {
  const { runtime, workers } = await node(1);
  const [before] = workers.running;
  const handle = await runtime.enqueue("spins", { seconds: 3_600 }, at);
  await expect(handle.result()).rejects.toMatchObject({ record: { error: { kind: "timeout" } } });
  const after = await runtime.execute("add", { a: 1, b: 2 }, at);
  expect(after).toMatchObject({ sum: 3, wid: "1" });
  expect(after).not.toMatchObject({ pid: before?.pid });
});

test("a worker that is killed half-way loses nothing: another has its job, and a fresh one takes its number", async () => {
  const { runtime, workers } = await node(3);
  const logged = collect(runtime, "job.log");
  const failed = collect(runtime, "job.failed");
  const args = Array.from({ length: 12 }, (_, n) => ({ n, seconds: 0.3 }));
  const handles = await runtime.enqueueMany("slow", args, at);
  while (logged.length < 3) await next(runtime, "job.log");
  process.kill(workers.running[0]?.pid ?? Number.NaN, "SIGKILL");
  const results = (await Promise.all(handles.map((handle) => handle.result()))) as { n: number }[];
  expect(results.map(({ n }) => n)).toEqual(args.map(({ n }) => n));
  expect(failed).toEqual([]);
  expect(logged.length).toBeGreaterThan(12);
});

// ROH's own two tests.

test("two tasks run; stopped, none is left", async () => {
  const { runtime } = await node(2);
  const place = new Place();
  const path = place.path();
  const started = collect(runtime, "job.progress");
  const handles = await runtime.enqueueMany(
    "task",
    [
      { n: 1, path },
      { n: 2, path },
    ],
    at,
  );
  while (started.length < 2) await next(runtime, "job.progress");
  expect(await runtime.node.runningJobs("p")).toHaveLength(2);
  for (const { id } of handles) await runtime.cancel("p", id);
  await Promise.allSettled(handles.map((handle) => handle.result()));
  expect(place.lines(path).sort()).toEqual(["stopped 1", "stopped 2"]);
  expect(await runtime.node.runningJobs("p")).toEqual([]);
});

test("with a limit of one, one runs and one waits; stopped, the other runs, and then none", async () => {
  const { runtime } = await node(2, { partitions: { p: { default: 1 } } });
  const place = new Place();
  const path = place.path();
  const first = next(runtime, "job.progress");
  const handles = await runtime.enqueueMany(
    "task",
    [
      { n: 1, path },
      { n: 2, path },
    ],
    at,
  );
  await first;
  expect(await runtime.node.runningJobs("p")).toHaveLength(1);
  const second = next(runtime, "job.progress");
  await runtime.cancel("p", handles[0]?.id ?? "");
  expect(await second).toMatchObject({ value: { started: { n: 2 } } });
  await runtime.cancel("p", handles[1]?.id ?? "");
  await Promise.allSettled(handles.map((handle) => handle.result()));
  expect(place.lines(path)).toEqual(["stopped 1", "stopped 2"]);
});

test("a producer submits to the daemon, many at once, and hears of errors", async () => {
  const gloomd = await daemon();
  const program = `
from spillway_client import Producer, ServerError
with Producer(("127.0.0.1", ${gloomd.address.masterPort})) as producer:
    print(sum(future.result(30) for future in [producer.submit("echo", n) for n in range(200)]))
    try:
        producer.execute("dies", 1, timeout=30)
    except ServerError as error:
        print(error.error)
`;
  const ended = run("python3", ["-c", program], { cwd: CLIENT });
  const worker = await slave(gloomd, "echo");
  for (let n = 0; n < 200; n += 1) {
    const { body } = (await worker.hear()) as { body: number };
    await worker.ask({ action: "respond", body });
  }
  for (let n = 0; n < 4; n += 1) {
    const dying = await slave(gloomd, "dies");
    await dying.hear();
    dying.end();
  }
  expect((await ended).stdout).toBe("19900\njob_failed\n");
});
