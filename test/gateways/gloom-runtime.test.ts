/** Gloom's slaves as workers of a runtime: its jobs, with their retries, limits, cancels and keys, on raw sockets. */
import { expect, test } from "vitest";
import { type GloomGateway, gloom } from "../../src/gateways/index.ts";
import type { RuntimeOptions } from "../../src/runtime/options.ts";
import { brokers, collect, next, Place, quiet, start } from "../runtime/support.ts";
import { type Raw, raw } from "./gloom-support.ts";
import { outsideJobs } from "./outside-jobs.ts";

const jobs = outsideJobs("py");
const [memory] = brokers;
const at = { partition: "p" };

async function node(options: RuntimeOptions = {}) {
  const gateway = gloom({ masterPort: 0, slavePort: 0 });
  const runtime = await start(memory, new Place(), { jobs, gateways: [gateway], ...options });
  return { runtime, gateway };
}

async function slave({ address }: GloomGateway, more: object = {}): Promise<Raw> {
  const worker = await raw(address?.slavePort ?? 0);
  expect(await worker.ask({ action: "join", type: "py", ...more })).toMatchObject({ ok: true });
  return worker;
}

test("a job goes to a slave of its type, and its answer is the job's result", async () => {
  const { runtime, gateway } = await node();
  const left = next(runtime, "worker.left");
  const joined = next(runtime, "worker.joined");
  const worker = await slave(gateway);
  expect(await joined).toMatchObject({
    serves: "py",
    worker: expect.stringMatching(/^gloom 127\.0\.0\.1:\d+$/),
  });
  const started = next(runtime, "job.started");
  const handle = await runtime.enqueue("plain", { x: [1, "é"] }, { ...at, id: "j1" });
  expect(await worker.hear()).toEqual({ action: "job", id: "j1", type: "py", body: { x: [1, "é"] } });
  expect(await started).toMatchObject({ id: "j1", job: "plain", threadId: 1 });
  expect(await runtime.node.runningJobs("p")).toMatchObject([{ id: "j1", attempt: 0 }]);
  await worker.ask({ action: "respond", body: { y: 2 } });
  expect(await handle.result()).toEqual({ y: 2 });
  worker.end();
  expect(await left).toMatchObject({ serves: "py", reason: "its connection has ended" });
});

test("more of them run at once than there are threads, and threads are free beside them", async () => {
  const { runtime, gateway } = await node({ threads: 1, spares: 0 });
  const workers = await Promise.all([slave(gateway), slave(gateway), slave(gateway)]);
  const handles = await runtime.enqueueMany("plain", [1, 2, 3], at);
  await Promise.all(workers.map((worker) => worker.hear()));
  expect(await runtime.node.counts()).toMatchObject({ running: 0, waiting: 0 });
  for (const worker of workers) await worker.ask({ action: "respond", body: 0 });
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([0, 0, 0]);
});

test("a slave that knows more fails jobs, tells progress and logs; retries are those of any job", async () => {
  const { runtime, gateway } = await node();
  const worker = await slave(gateway, { spillway: 1 });
  const [progress, failed, logged] = (["job.progress", "job.failed", "job.log"] as const).map((type) =>
    next(runtime, type),
  );
  const handle = await runtime.enqueue("again", null, { ...at, id: "j2" });
  const about = { job: "again", partition: "p", queue: "default", limit: 0 };
  expect(await worker.hear()).toMatchObject({ body: null, spillway: { ...about, attempt: 0 } });
  worker.say({ action: "progress", value: 0.5 }).say({ action: "log", level: "warn", text: "hm" });
  await worker.ask({ action: "fail", error: { name: "ValueError", message: "no", stack: "line 1" } });
  expect(await progress).toMatchObject({ id: "j2", value: 0.5 });
  expect(await logged).toMatchObject({ level: "warn", text: "hm" });
  expect(await failed).toMatchObject({
    willRetry: true,
    error: { failure: { name: "ValueError", stack: "line 1" } },
  });
  expect(await worker.hear()).toMatchObject({ id: "j2", spillway: { attempt: 1 } });
  await worker.ask({ action: "fail" });
  await expect(handle.result()).rejects.toMatchObject({ code: "JobBuried" });
});

test("a slave's snooze runs the job again later; one that is no delay is told, and it keeps its job", async () => {
  const { runtime, gateway } = await node();
  const worker = await slave(gateway, { spillway: 1 });
  const snoozed = next(runtime, "job.snoozed");
  const handle = await runtime.enqueue("plain", null, at);
  await worker.hear();
  for (const delay of [undefined, -1, 1.5, "1", null])
    expect(await worker.ask({ action: "snooze", delay })).toEqual({ error: "invalid_type", reason: "delay" });
  expect(await worker.ask({ action: "snooze", delay: 50 })).toEqual({ ok: true });
  expect(await snoozed).toMatchObject({ id: handle.id, delayMs: 50 });
  expect(await worker.hear()).toMatchObject({ id: handle.id, spillway: { attempt: 0 } });
  await worker.ask({ action: "respond", body: 1 });
  expect(await handle.result()).toBe(1);
  expect(await worker.ask({ action: "snooze", delay: 50 })).toMatchObject({ reason: "not_processing" });
  const plain = await slave(gateway);
  expect(await plain.ask({ action: "snooze", delay: 50 })).toEqual({
    error: "unknown_type",
    reason: "snooze",
  });
});

test("a slave that is too old ends a master's job first, and gets no other", async () => {
  const { runtime, gateway } = await node({ workers: { maxAge: 1 } });
  const left = next(runtime, "worker.left");
  const boss = await raw(gateway.address?.masterPort ?? 0);
  for (const id of ["m", "n"]) await boss.ask({ action: "submit", id, type: "py", body: id });
  const worker = await slave(gateway);
  expect(await worker.hear()).toMatchObject({ id: "m" });
  expect(await left).toMatchObject({ reason: "it is too old" });
  expect(await worker.ask({ action: "respond", body: 1 })).toEqual({ ok: true });
  expect(await boss.hear()).toEqual({ id: "m", body: 1 });
  expect(await worker.rest()).toEqual([]);
  expect(await (await slave(gateway)).hear()).toMatchObject({ id: "n" });
});

test("a time limit ends the slave's connection, and the job fails with a report", async () => {
  const { runtime, gateway } = await node();
  const worker = await slave(gateway);
  const killed = next(runtime, "job.killed");
  const handle = await runtime.enqueue("short", null, at);
  await worker.hear();
  await worker.closed;
  expect(await killed).toMatchObject({ reason: "timeout", report: { state: { worker: /^gloom/ } } });
  await expect(handle.result()).rejects.toMatchObject({
    code: "JobBuried",
    record: { error: { kind: "timeout" } },
  });
});

test("a cancel is told to a slave that hears it, which stays if it ends its job", async () => {
  const { runtime, gateway } = await node();
  const worker = await slave(gateway, { spillway: 1 });
  const handle = await runtime.enqueue("plain", null, { ...at, id: "j3" });
  await worker.hear();
  expect(await runtime.cancel("p", "j3")).toMatchObject({ was: "running" });
  expect(await worker.hear()).toEqual({ action: "cancel", id: "j3", reason: "cancel" });
  await worker.ask({ action: "fail", error: { name: "Cancelled" } });
  await expect(handle.result()).rejects.toMatchObject({ code: "JobCancelled" });
  const after = await runtime.enqueue("plain", null, at);
  await worker.hear();
  await worker.ask({ action: "respond", body: "still here" });
  expect(await after.result()).toBe("still here");
});

test("a cancel ends the connection of one that does not; and what waits for a worker never starts", async () => {
  const { runtime, gateway } = await node();
  const worker = await slave(gateway);
  const running = await runtime.enqueue("plain", null, { ...at, id: "runs" });
  await worker.hear();
  const waiting = await runtime.enqueue("plain", null, { ...at, id: "waits" });
  await Promise.all([runtime.cancel("p", "waits"), runtime.cancel("p", "runs")]);
  await worker.closed;
  await expect(running.result()).rejects.toMatchObject({ code: "JobCancelled" });
  await expect(waiting.result()).rejects.toMatchObject({ code: "JobCancelled" });
});

test("a dead slave's job goes to another with no attempt spent; after four it is buried", async () => {
  const { runtime, gateway } = await node();
  const failed = collect(runtime, "job.failed");
  const handle = await runtime.enqueue("plain", null, { ...at, id: "j4" });
  for (let n = 0; n < 4; n += 1) {
    const worker = await slave(gateway, { spillway: 1 });
    expect(await worker.hear()).toMatchObject({ id: "j4", spillway: { attempt: 0 } });
    expect(failed).toEqual([]);
    worker.end();
  }
  await expect(handle.result()).rejects.toMatchObject({
    code: "JobBuried",
    record: { reason: "failed", error: { name: "WorkerLost" } },
  });
});

test("keys hold outside as inside: two jobs with one execution key never run at once", async () => {
  const { runtime, gateway } = await node();
  const workers = await Promise.all([slave(gateway), slave(gateway)]);
  const handles = await runtime.enqueueMany("serial", [1, 2], at);
  let running = 0;
  await Promise.all(
    workers.map(async (worker) => {
      const { body } = (await worker.hear()) as { body: number };
      running += 1;
      expect(running).toBe(1);
      // A word that is answered: whatever else was sent to the other by now, it has come.
      await worker.ask({ action: "nonsense" });
      running -= 1;
      await worker.ask({ action: "respond", body });
    }),
  );
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([1, 2]);
});

test("masters and the runtime share slaves: masters first, nobody twice", async () => {
  const { runtime, gateway } = await node();
  const boss = await raw(gateway.address?.masterPort ?? 0);
  await boss.ask({ action: "submit", id: "m", type: "py", body: "of a master" });
  const worker = await slave(gateway);
  const handle = await runtime.enqueue("plain", "of the runtime", at);
  expect(await worker.hear()).toMatchObject({ body: "of a master" });
  worker.say({ action: "respond", body: 1 });
  expect([await worker.hear(), await worker.hear()]).toMatchObject([
    { ok: true },
    { body: "of the runtime" },
  ]);
  expect(await boss.hear()).toEqual({ id: "m", body: 1 });
  await boss.ask({ action: "submit", id: "n", type: "py", body: "after it" });
  worker.say({ action: "respond", body: 2 });
  expect([await worker.hear(), await worker.hear()]).toMatchObject([{ ok: true }, { body: "after it" }]);
  expect(await handle.result()).toBe(2);
  expect(await worker.ask({ action: "respond", body: 3 })).toEqual({ ok: true });
});

test("a slave that answers twice, or joins another type while it is busy, confuses nobody", async () => {
  const { runtime, gateway } = await node();
  const worker = await slave(gateway);
  const handle = await runtime.enqueue("plain", null, at);
  await worker.hear();
  expect(await worker.ask({ action: "join", type: "rb" })).toEqual({ ok: true });
  expect(await worker.ask({ action: "respond", body: 1 })).toEqual({ ok: true });
  expect(await handle.result()).toBe(1);
  expect(await worker.ask({ action: "respond", body: 2 })).toMatchObject({ reason: "not_processing" });
  const waiting = await runtime.enqueue("plain", null, at);
  const right = await slave(gateway);
  await right.hear();
  await right.ask({ action: "respond", body: "by the right one" });
  expect(await waiting.result()).toBe("by the right one");
});

test("a stop gives bodies their time, hands the rest back, and closes the ports", async () => {
  const { runtime, gateway } = await node({ shutdownTimeout: 100, grace: 100 });
  const worker = await slave(gateway, { spillway: 1 });
  await runtime.enqueue("plain", null, { ...at, id: "j5" });
  await worker.hear();
  const failed = collect(runtime, "job.failed");
  const stopped = runtime.stop();
  expect(await worker.hear()).toEqual({ action: "cancel", id: "j5", reason: "shutdown" });
  await worker.closed;
  expect(await stopped).toEqual({ wedged: [] });
  expect(failed).toEqual([]);
  expect(gateway.address).toBeUndefined();
});

test("a job for workers is refused at start where none can come; a taken port keeps the node from starting", async () => {
  const place = new Place();
  await expect(start(memory, place, { jobs })).rejects.toThrow(
    /"plain" runs in a worker.*gateways: \[gloom\(\)\]/,
  );
  const { gateway } = await node();
  const taken = gloom({ masterPort: 0, slavePort: gateway.address?.slavePort ?? 0 });
  await expect(start(memory, place, { jobs, gateways: [taken], logger: quiet })).rejects.toMatchObject({
    code: "GatewayUnavailable",
  });
  await expect(start(memory, place, { gateways: [{} as never] })).rejects.toThrow(/gateways: expected gloom/);
});
