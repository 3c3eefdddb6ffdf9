import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { startRuntime } from "../../src/runtime/runtime.ts";
import { brokers, collect, jobs, next, Place, quiet, start } from "./support.ts";

describe.each(brokers)("on $kind", (kind) => {
  test("stop lets a running body finish, takes nothing new, and resolves when all is stopped", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { watermark: 1 });
    const [until, log] = [place.path(), place.path()];
    const started = next(runtime, "job.started");
    const first = await runtime.enqueue("hold", { until, log, name: "first" }, { partition: "p" });
    await started;
    await runtime.enqueue("hold", { log, name: "second" }, { partition: "p" });
    const result = first.result();
    const stopping = runtime.stop();
    place.open(until);
    expect(await result).toBe("first");
    expect(await stopping).toEqual({ wedged: [] });
    expect(place.lines(log)).toEqual(["start first", "end first"]);
  });

  test("what outlasts shutdownTimeout is killed and handed back, with no attempt spent and no callback", async () => {
    const calls: string[] = [];
    const callbacks = {
      onError: () => void calls.push("onError"),
      onBuried: () => void calls.push("onBuried"),
    };
    const runtime = await start(kind, new Place(), {
      shutdownTimeout: "50 ms",
      grace: { shutdown: 0 },
      callbacks,
    });
    const started = next(runtime, "job.started");
    const killed = collect(runtime, "job.killed");
    const handle = await runtime.enqueue("forever", {}, { partition: "p" });
    await started;
    const result = handle.result();
    await Promise.all([runtime.stop(), expect(result).rejects.toMatchObject({ code: "ResultUnknown" })]);
    expect(killed.map((e) => e.reason)).toEqual(["shutdown"]);
    expect(calls).toEqual([]);
  });

  test("stop may be called twice, and calls after it are RuntimeStopped", async () => {
    const runtime = await start(kind, new Place());
    const [one, two] = await Promise.all([runtime.stop(), runtime.stop()]);
    expect(one).toEqual(two);
    await expect(runtime.enqueue("sum", { x: 1 }, { partition: "p" })).rejects.toMatchObject({
      code: "RuntimeStopped",
    });
    await expect(runtime.cancel("p", "x")).rejects.toMatchObject({ code: "RuntimeStopped" });
  });

  test("the stream of events ends when the runtime has stopped", async () => {
    const runtime = await start(kind, new Place());
    const events = runtime.events();
    await runtime.execute("sum", { x: 1 }, { partition: "p" });
    await runtime.stop();
    const types = [];
    for await (const event of events) types.push(event.type);
    const ofJobs = types.filter((type) => type.startsWith("job."));
    expect(ofJobs).toEqual(["job.enqueued", "job.started", "job.completed"]);
  });
});

test("a body that hangs in a native call is wedged: stop names it and does not wait for it, and its job is not settled", async () => {
  const [, kind] = brokers;
  const place = new Place();
  const runtime = await start(kind, place);
  const path = place.path();
  execFileSync("mkfifo", [path]);
  const wedged = next(runtime, "job.wedged");
  const handle = await runtime.enqueue("reads", { path }, { partition: "p" });
  const result = expect(handle.result()).rejects.toMatchObject({ code: "ResultUnknown" });
  expect(await wedged).toMatchObject({ id: handle.id });
  expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2); // its slot has been replaced
  expect(await runtime.stop()).toMatchObject({
    wedged: [{ id: handle.id, job: "reads", partition: "p", attempt: 0 }],
  });
  await result;
  // the folder stays held while the body may still run
  const second = startRuntime({ broker: kind.of(place), jobs, logger: quiet }, {});
  await expect(second).rejects.toMatchObject({ code: "BrokerInUse" });
  writeFileSync(path, "");
});

test("on embedded: what was handed back at a stop runs after the next start, with its attempt untouched", async () => {
  const [, kind] = brokers;
  const place = new Place();
  const first = await start(kind, place, {
    watermark: 1,
    shutdownTimeout: 0,
    grace: { shutdown: "1 second" },
  });
  const until = place.path();
  const started = next(first, "job.started");
  await first.enqueue("hold", { until, name: "ran" }, { partition: "p", id: "ran" });
  await started;
  await first.enqueue("hold", { name: "waited" }, { partition: "p", id: "waited" });
  await first.stop();
  place.open(until);
  const options = { broker: kind.of(place), jobs, threads: 2, partitions: {}, logger: quiet };
  const second = await startRuntime(options, {});
  const completed = collect(second, "job.completed");
  await second.partitions.start("p", { default: 2 });
  while (completed.length < 2) await next(second, "job.completed");
  await second.stop();
  expect(completed.map((e) => [e.id, e.attempt]).sort()).toEqual([
    ["ran", 0],
    ["waited", 0],
  ]);
});
