/** Jobs that run in processes, through the whole runtime: what a thread does not survive is one failed attempt here. */
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { brokers, collect, next, Place, start } from "./support.ts";

const jobs = [
  new URL("../fixtures/process-jobs/", import.meta.url),
  new URL("../fixtures/runtime/", import.meta.url),
];
const there = { partition: "p" };

describe.each(brokers)("on $kind", (kind) => {
  test("a body runs in another process, with the same context, progress, logs and result", async () => {
    const runtime = await start(kind, new Place(), { jobs });
    const told = collect(runtime, "job.progress");
    const lines = collect(runtime, "job.log");
    expect(await runtime.execute("any", { way: "pid" }, there)).not.toBe(process.pid);
    expect(await runtime.execute("any", { way: "says" }, there)).toEqual(["p", "default", "number"]);
    expect(told.map((event) => event.value)).toEqual(["half"]);
    expect(lines.map(({ level, text, data }) => ({ level, text, data }))).toEqual([
      { level: "info", text: "said", data: { n: 1 } },
      { level: "info", text: "printed", data: undefined },
    ]);
  });

  test("a native crash is one failed attempt: its job is tried again, and those beside it go on", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { jobs });
    const path = place.path();
    const beside = await runtime.enqueue("any", { way: "gate", path }, there);
    await next(runtime, "job.started", beside.id);
    const failed = next(runtime, "job.failed");
    const handle = await runtime.enqueue("any", { way: "attempt" }, there);
    expect((await failed).error).toMatchObject({
      kind: "crash",
      message: expect.stringContaining("its process was ended by SIGSEGV"),
    });
    expect(await handle.result()).toBe(1);
    place.open(path);
    expect(await beside.result()).not.toBe(process.pid);
  });

  test("a body in a native call is killed at its limit, with a report, and its job goes on to its next attempt", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { jobs });
    const killed = next(runtime, "job.killed");
    const path = place.path();
    execFileSync("mkfifo", [path]);
    const handle = await runtime.enqueue("reads-in-process", { path }, there);
    const { reason, report } = await killed;
    expect(reason).toBe("timeout");
    expect(report.steps.at(-1)).toMatchObject({ step: "exit", outcome: "gone" });
    await expect(handle.result()).rejects.toMatchObject({ code: "JobBuried", cause: { kind: "timeout" } });
  });

  test("a cancel reaches a synchronous loop, and a snooze spends no attempt", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { jobs });
    const polls = await runtime.enqueue("any", { way: "polls" }, there);
    await next(runtime, "job.started", polls.id);
    expect(await polls.cancel()).toEqual({ was: "running" });
    await expect(polls.result()).rejects.toMatchObject({ code: "JobCancelled" });
    expect(await runtime.execute("any", { way: "snoozes", path: place.path() }, there)).toBe(0);
  });

  test("bodies in processes take the node's slots as those in threads do", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { jobs, threads: 2 });
    const path = place.path();
    const waiting = next(runtime, "job.waiting");
    const inThread = await runtime.enqueue("hold", { until: path }, there);
    const inProcess = await runtime.enqueue("any", { way: "gate", path }, there);
    const third = await runtime.enqueue("any", { way: "pid" }, there);
    expect((await waiting).id).toBe(third.id);
    expect(await runtime.node.counts()).toMatchObject({ running: 2, waiting: 1 });
    place.open(path);
    for (const handle of [inThread, inProcess, third]) await handle.result();
  });

  test("stop ends a native call, names nothing as wedged, and hands the job back", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { jobs, shutdownTimeout: 50, grace: 50 });
    const path = place.path();
    execFileSync("mkfifo", [path]);
    const handle = await runtime.enqueue("any", { way: "fifo", path }, there);
    await next(runtime, "job.started", handle.id);
    const killed = next(runtime, "job.killed", handle.id);
    expect(await runtime.stop()).toEqual({ wedged: [] });
    expect((await killed).reason).toBe("shutdown");
  });
});

test("a runtime whose jobs never ask for a process has none", async () => {
  const [kind] = brokers;
  const runtime = await start(kind, new Place(), { jobs });
  expect(await runtime.execute("sum", { x: 1 }, there)).toBe(2);
  const children = execFileSync("ps", ["--ppid", String(process.pid), "-o", "args="], { encoding: "utf8" });
  expect(children).not.toContain("process/entry.js");
});
