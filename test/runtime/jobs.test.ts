import { describe, expect, test } from "vitest";
import { createJob } from "../../src/jobs/create.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import type { JobBuried } from "../../src/jobs/errors.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { brokers, collect, next, Place, start } from "./support.ts";

describe.each(brokers)("on $kind", (kind) => {
  test("a job runs in a thread and its result comes back", async () => {
    const runtime = await start(kind, new Place());
    const handle = await runtime.enqueue("sum", { x: 2 }, { partition: "p" });
    expect(await handle.result()).toBe(3);
    expect(handle).toMatchObject({ partition: "p", queue: "default" });
  });

  test("execute waits for the result, and enqueueMany gives a handle for each", async () => {
    const runtime = await start(kind, new Place());
    expect(await runtime.execute("sum", { x: 1, y: 1 }, { partition: "p" })).toBe(2);
    const handles = await runtime.enqueueMany("sum", [{ x: 1 }, { x: 2 }, { x: 3 }], { partition: "p" });
    expect(await Promise.all(handles.map((h) => h.result()))).toEqual([2, 3, 4]);
  });

  test("a job without args takes its options in their place, also one that was made before", async () => {
    const runtime = await start(kind, new Place());
    const bare = defineJob({ name: "bare", perform: () => "" });
    expect(await (await runtime.enqueue("bare", { partition: "p" })).result()).toBe("bare");
    expect(await (await runtime.enqueue(bare, { partition: "p" })).result()).toBe("bare");
    expect(await (await runtime.enqueue(createJob(bare), { partition: "p" })).result()).toBe("bare");
    expect(await runtime.execute(bare, { partition: "p" })).toBe("bare");
    await expect(runtime.enqueue("bare", undefined as never)).rejects.toMatchObject({ code: "InvalidJob" });
  });

  test("a result can be asked for after the job has ended", async () => {
    const runtime = await start(kind, new Place());
    const completed = next(runtime, "job.completed");
    const handle = await runtime.enqueue("sum", { x: 5 }, { partition: "p" });
    await completed;
    expect(await handle.result()).toBe(6);
  });

  test("a result that does not come in time is ExecuteTimeout, and the job goes on", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const until = place.path();
    const completed = next(runtime, "job.completed");
    const late = runtime.execute("hold", { until }, { partition: "p", timeout: "20 ms" });
    await expect(late).rejects.toMatchObject({ code: "ExecuteTimeout" });
    place.open(until);
    expect((await completed).job).toBe("hold");
  });

  test("a body that never returns is killed at its limit, and the report names function and line", async () => {
    const runtime = await start(kind, new Place());
    const killed = next(runtime, "job.killed");
    const handle = await runtime.enqueue("spin", {}, { partition: "p" });
    const error = await handle.result().catch((thrown: JobBuried) => thrown);
    expect(error).toMatchObject({ code: "JobBuried" });
    expect((error as JobBuried).cause).toMatchObject({ code: "JobFailed", kind: "timeout" });
    const frame = (await killed).report.frames[0];
    expect(frame).toMatchObject({ function: "neverReturns", line: 4 });
    expect(frame?.file).toContain("spin.mjs");
  });

  test("a job that fails by its levels is tried again, then buried, with its history", async () => {
    const clock = new VirtualClock(Date.now());
    const runtime = await start(kind, new Place(), {}, { clock });
    const retried = collect(runtime, "job.retried");
    const buried = next(runtime, "job.buried");
    const first = next(runtime, "job.retried");
    const handle = await runtime.enqueue("flaky", {}, { partition: "p" });
    await first;
    const second = next(runtime, "job.retried");
    await clock.advance(1_000);
    await second;
    await clock.advance(2_000);
    await buried;
    expect(retried.map((e) => e.delayMs)).toEqual([1_000, 2_000]);
    await expect(handle.result()).rejects.toMatchObject({
      code: "JobBuried",
      cause: { message: expect.stringContaining("attempt 2 fails") },
    });
    const [job] = await runtime.buried.list("p", "default");
    expect(job).toMatchObject({ id: handle.id, job: "flaky", args: {}, attempt: 2, reason: "failed" });
    expect(job?.history.map((h) => h.message)).toEqual([
      "attempt 0 fails",
      "attempt 1 fails",
      "attempt 2 fails",
    ]);
  });

  test("a job that fails twice and then succeeds gives its result to who waits", async () => {
    const clock = new VirtualClock(Date.now());
    const runtime = await start(kind, new Place(), {}, { clock });
    const first = next(runtime, "job.retried");
    const handle = await runtime.enqueue("flaky", { succeedAt: 2 }, { partition: "p" });
    const result = handle.result();
    await first;
    const second = next(runtime, "job.retried");
    await clock.advance(1_000);
    await second;
    await clock.advance(2_000);
    expect(await result).toBe(2);
  });

  test("NonRetryable buries at once, whatever levels are left", async () => {
    const runtime = await start(kind, new Place());
    const handle = await runtime.enqueue("flaky", { final: true }, { partition: "p" });
    await expect(handle.result()).rejects.toMatchObject({
      code: "JobBuried",
      record: { reason: "non-retryable" },
    });
  });

  test("a snooze runs the job later and spends no attempt", async () => {
    const clock = new VirtualClock(Date.now());
    const place = new Place();
    const runtime = await start(kind, place, {}, { clock });
    const snoozed = next(runtime, "job.snoozed");
    const handle = await runtime.enqueue("naps", { slept: place.path() }, { partition: "p" });
    await snoozed;
    await clock.advance(1_000);
    expect(await handle.result()).toBe(0);
  });

  test("a delayed job does not run before its time", async () => {
    const clock = new VirtualClock(Date.now());
    const runtime = await start(kind, new Place(), {}, { clock });
    const handle = await runtime.enqueue("sum", { x: 1 }, { partition: "p", delay: "1 minute" });
    expect((await runtime.node.partitions()).p?.default).toMatchObject({ scheduled: 1, running: 0 });
    await clock.advance(60_000);
    expect(await handle.result()).toBe(2);
  });

  test("a second job with the queue key of one that lives is refused with its holder, and let in after its end", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const until = place.path();
    const first = await runtime.enqueue("hold", { until, queueKey: "k" }, { partition: "p" });
    const second = runtime.enqueue("hold", { queueKey: "k" }, { partition: "p" });
    await expect(second).rejects.toMatchObject({ code: "DuplicateJob", holder: first.id, by: "queueKey" });
    place.open(until);
    await first.result();
    await expect(
      (await runtime.enqueue("hold", { queueKey: "k" }, { partition: "p" })).result(),
    ).resolves.toBe("hold");
  });

  test("an id is unique while its job exists, and runs again after its end", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const until = place.path();
    const first = await runtime.enqueue("hold", { until }, { partition: "p", id: "mine" });
    await expect(runtime.enqueue("hold", {}, { partition: "p", id: "mine" })).rejects.toMatchObject({
      code: "DuplicateJob",
      by: "id",
    });
    place.open(until);
    await first.result();
    const again = await runtime.enqueue("sum", { x: 1 }, { partition: "p", id: "mine" });
    expect(await again.result()).toBe(2);
  });

  test("ten jobs with one execution key run one after another, in the order of their arrival", async () => {
    const place = new Place();
    const runtime = await start(kind, place, { threads: 4 });
    const log = place.path();
    const args = Array.from({ length: 10 }, (_, i) => ({ log, name: `${i}`, executionKey: "one" }));
    const handles = await runtime.enqueueMany("hold", args, { partition: "p" });
    await Promise.all(handles.map((h) => h.result()));
    expect(place.lines(log)).toEqual(args.flatMap(({ name }) => [`start ${name}`, `end ${name}`]));
  });

  test("jobs with different execution keys, and without one, are not held up by a key that is taken", async () => {
    const place = new Place();
    const runtime = await start(kind, place);
    const until = place.path();
    const held = await runtime.enqueueMany(
      "hold",
      [{ until, executionKey: "a" }, { executionKey: "a" }, { executionKey: "a" }],
      { partition: "p" },
    );
    expect(await runtime.execute("sum", { x: 1 }, { partition: "p" })).toBe(2);
    expect(await runtime.execute("hold", { executionKey: "b" }, { partition: "p" })).toBe("hold");
    place.open(until);
    await Promise.all(held.map((h) => h.result()));
  });

  test("a name that no module has is refused at enqueue by name, and buried when another enqueued it by definition", async () => {
    const stranger = defineJob({ name: "smu", perform: () => 1 });
    const runtime = await start(kind, new Place());
    await expect(runtime.enqueue("smu", {}, { partition: "p" })).rejects.toMatchObject({
      code: "UnknownJob",
      message: expect.stringContaining('did you mean "sum"?'),
    });
    const handle = await runtime.enqueue(stranger, undefined, { partition: "p" });
    await expect(handle.result()).rejects.toMatchObject({
      code: "JobBuried",
      record: { reason: "unknown-job" },
    });
  });
});

test("the result of a job whose end nobody remembers is ResultUnknown, not a wait for ever", async () => {
  const clock = new VirtualClock(Date.now());
  const runtime = await start(brokers[0], new Place(), {}, { clock });
  const forgotten = await runtime.enqueue("sum", { x: 1 }, { partition: "p" });
  await forgotten.result();
  const ended = runtime.enqueueMany(
    "sum",
    Array.from({ length: 10_001 }, () => ({ x: 1 })),
    { partition: "p" },
  );
  await Promise.all((await ended).map((handle) => handle.result()));
  const result = forgotten.result();
  const told = expect(result).rejects.toMatchObject({ code: "ResultUnknown" });
  await clock.advance(5_000);
  await told;
});
