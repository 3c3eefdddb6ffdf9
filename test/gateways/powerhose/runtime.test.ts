/** Powerhose's workers as workers of a runtime: its jobs, with their retries, limits, cancels and keys, on real sockets. */
import { expect, test } from "vitest";
import {
  type PowerhoseGateway,
  type PowerhoseOptions,
  type PowerhoseTarget,
  PowerhoseWorker,
  powerhose,
} from "../../../src/gateways/index.ts";
import { defineJob, NonRetryable, Snooze } from "../../../src/jobs/index.ts";
import type { RuntimeOptions } from "../../../src/runtime/options.ts";
import { brokers, collect, next, Place, quiet, start } from "../../runtime/support.ts";
import { outsideJobs } from "../outside-jobs.ts";
import { free, RawWorker, registered, TRANSPORTS, turn } from "./support.ts";

const jobs = outsideJobs("square");
const [memory] = brokers;
const at = { partition: "p" };

async function node(of: Partial<PowerhoseOptions> = {}, options: RuntimeOptions = {}) {
  const gateway = powerhose({ serves: "square", endpoint: free(), ...of });
  const runtime = await start(memory, new Place(), { jobs, gateways: [gateway], ...options });
  return { runtime, gateway };
}

const worker = (gateway: PowerhoseGateway, options = {}) => registered(gateway.endpoint ?? "", options);

/** One of Spillway's own, which has run when the test ends. */
function own(gateway: PowerhoseGateway, target: PowerhoseTarget) {
  const made = new PowerhoseWorker(gateway.endpoint ?? "", free(), target, { ping: 1_000 });
  const ended = made.run();
  return { made, ended };
}

test.each(TRANSPORTS)(
  "over %s a job goes to a worker of the seed's time, byte for byte as it was",
  async (transport) => {
    const { runtime, gateway } = await node({ endpoint: free(transport) });
    const joined = next(runtime, "worker.joined");
    const one = await worker(gateway, { workpoint: free(transport) });
    expect(await joined).toMatchObject({ serves: "square", worker: `powerhose ${one.workpoint}` });
    const handle = await runtime.enqueue("plain", 12, { ...at, id: "j1" });
    expect(await one.hear()).toBe("JOB:::j1:::12");
    await one.say("JOBRES:::j1:::144");
    expect(await handle.result()).toBe(144);
    const left = next(runtime, "worker.left");
    expect(await one.remove()).toBe("REMOVED");
    expect(await left).toMatchObject({ serves: "square", reason: "it has left" });
  },
);

test("the later separator's workers get a job with headers", async () => {
  const { runtime, gateway } = await node();
  const one = await worker(gateway, { separator: "*****" });
  const handle = await runtime.enqueue("plain", { text: "a*****b:::c" }, { ...at, id: "j1" });
  const [word, job = ""] = (await one.hear()).split("*****");
  expect(word).toBe("JOB");
  expect(job.slice(0, 9)).toBe("id:j1:::{");
  expect(JSON.parse(job.slice(8))).toEqual({ text: "a*****b:::c" });
  await one.say(`JOBRES*****${job}*****"ok"`);
  expect(await handle.result()).toBe("ok");
});

test("whatever args hold, they come as JSON; ids that a message cannot hold go out in another spelling", async () => {
  const { runtime, gateway } = await node();
  const one = await worker(gateway);
  const args = { text: 'a:::b::::"c\\:::', list: [":::", "é"] };
  const handle = await runtime.enqueue("plain", args, { ...at, id: "a:::b" });
  const [word, id, data = "", ...rest] = (await one.hear()).split(":::");
  expect([word, id, rest]).toEqual(["JOB", "a%3A%3A%3Ab", []]);
  expect(JSON.parse(data)).toEqual(args);
  await one.say(`JOBRES:::${id}:::${data}`);
  expect(await handle.result()).toEqual(args);
});

test("as text, what goes out is a text as it is, and what comes back is one", async () => {
  const { runtime, gateway } = await node({ format: "text" });
  const one = await worker(gateway);
  const handle = await runtime.enqueue("plain", "12", { ...at, id: "j1" });
  expect(await one.hear()).toBe("JOB:::j1:::12");
  await one.say("JOBRES:::j1:::144");
  expect(await handle.result()).toBe("144");
  const impossible = await runtime.enqueue("plain", "a:::b", at);
  await expect(impossible.result()).rejects.toMatchObject({ record: { error: { name: "Unsendable" } } });
  const after = await runtime.enqueue("plain", { n: 5 }, { ...at, id: "j2" });
  expect(await one.hear()).toBe('JOB:::j2:::{"n":5}');
  await one.say("JOBRES:::j2:::");
  expect(await after.result()).toBe("");
});

test("an answer that is no JSON, as an exception's text in the original, fails the attempt with it", async () => {
  const { runtime, gateway } = await node();
  const one = await worker(gateway);
  const handle = await runtime.enqueue("again", "x", { ...at, id: "j1" });
  for (let n = 0; n < 2; n += 1) {
    await one.hear();
    await one.say("JOBRES:::j1:::invalid literal for int()");
  }
  await expect(handle.result()).rejects.toMatchObject({
    code: "JobBuried",
    record: { error: { name: "NoJson", message: expect.stringContaining("invalid literal for int()") } },
  });
});

test("libhose, which does not repeat the id, is understood", async () => {
  const { runtime, gateway } = await node();
  const one = await worker(gateway);
  const handle = await runtime.enqueue("plain", 3, at);
  await one.hear();
  await one.say("JOBRES:::9");
  expect(await handle.result()).toBe(9);
});

test("a dead worker's job goes to another with no attempt spent; after four it is buried", async () => {
  const { runtime, gateway } = await node();
  const failed = collect(runtime, "job.failed");
  const handle = await runtime.enqueue("plain", 3, { ...at, id: "j4" });
  for (let n = 0; n < 4; n += 1) {
    const one = await worker(gateway);
    expect(await one.hear()).toBe("JOB:::j4:::3");
    expect(failed).toEqual([]);
    one.end();
  }
  await expect(handle.result()).rejects.toMatchObject({
    code: "JobBuried",
    record: { reason: "failed", error: { name: "WorkerLost" } },
  });
});

test.each([
  ["another job", "JOBRES:::other:::9", /answered another job/],
  ["a word that is none", "WHAT:::j:::9", /its answer is none: WHAT/],
  ["an error", "ERROR", /its answer is none: ERROR/],
  ["a failure, in a word that the original did not have", 'JOBERR:::j:::{"name":"E"}', /its answer is none/],
  ["more parts", "JOBRES:::j:::9:::9", /its answer is none/],
  ["no text", Buffer.from([0xff, 0xfe]), /not one frame of UTF-8/],
  ["two frames", ["JOBRES:::j:::9", "x"], /not one frame/],
])("a worker that answers %s loses its job to another", async (_what, said, reason) => {
  const { runtime, gateway } = await node();
  const wrong = await worker(gateway);
  const left = next(runtime, "worker.left");
  const handle = await runtime.enqueue("plain", 3, { ...at, id: "j" });
  await wrong.hear();
  await wrong.say(said);
  expect((await left).reason).toMatch(reason);
  const right = await worker(gateway);
  await right.square();
  expect(await handle.result()).toBe(9);
});

test("a result above the limit fails its attempt; above maxMessage it ends the worker's connection", async () => {
  const { runtime, gateway } = await node({ maxMessage: 1_000_000 }, { resultLimit: 1_000 });
  const one = await worker(gateway);
  const large = await runtime.enqueue("plain", null, { ...at, id: "j" });
  await one.hear();
  await one.say(`JOBRES:::j:::"${"x".repeat(2_000)}"`);
  await expect(large.result()).rejects.toMatchObject({ record: { error: { name: "ResultTooLarge" } } });
  const left = next(runtime, "worker.left");
  const handle = await runtime.enqueue("plain", 3, { ...at, id: "k" });
  await one.hear();
  await one.say(Buffer.alloc(300 * 1_048_576, 0x20));
  await left;
  const right = await worker(gateway);
  await right.square();
  expect(await handle.result()).toBe(9);
});

test("a worker that is late loses its job and its place, and has it back once it has answered", async () => {
  const { runtime, gateway } = await node();
  const one = await worker(gateway);
  const left = next(runtime, "worker.left");
  const handle = await runtime.enqueue("short", 3, { ...at, id: "late" });
  await one.hear();
  expect(await left).toMatchObject({ reason: "timeout of job late" });
  await expect(handle.result()).rejects.toMatchObject({ record: { error: { kind: "timeout" } } });
  // It pings as ever, and gets nothing to do before it has answered.
  expect(await one.ping()).toBe("PONG");
  const started = collect(runtime, "job.started");
  const waiting = await runtime.enqueue("plain", 4, { ...at, id: "after" });
  while ((await runtime.node.runningJobs("p")).length === 0) await turn();
  expect(started).toEqual([]);
  const joined = next(runtime, "worker.joined");
  await one.say("JOBRES:::late:::9");
  expect(await joined).toMatchObject({ worker: `powerhose ${one.workpoint}` });
  expect(await one.hear()).toBe("JOB:::after:::4");
  await one.say("JOBRES:::after:::16");
  expect(await waiting.result()).toBe(16);
});

test("a cancel of a running job takes it from its worker; what waits for one never starts", async () => {
  const { runtime, gateway } = await node();
  const one = await worker(gateway);
  const running = await runtime.enqueue("plain", 1, { ...at, id: "runs" });
  await one.hear();
  const waiting = await runtime.enqueue("plain", 1, { ...at, id: "waits" });
  await Promise.all([runtime.cancel("p", "waits"), runtime.cancel("p", "runs")]);
  await expect(running.result()).rejects.toMatchObject({ code: "JobCancelled" });
  await expect(waiting.result()).rejects.toMatchObject({ code: "JobCancelled" });
});

test("keys hold outside as inside: two jobs with one execution key never run at once", async () => {
  const { runtime, gateway } = await node();
  const workers = await Promise.all([worker(gateway), worker(gateway)]);
  const handles = await runtime.enqueueMany("serial", [2, 3], at);
  let running = 0;
  await Promise.all(
    workers.map(async (one) => {
      const [, id, data] = (await one.hear()).split(":::");
      running += 1;
      expect(running).toBe(1);
      expect(await one.ping()).toBe("PONG");
      running -= 1;
      await one.say(`JOBRES:::${id}:::${data}`);
    }),
  );
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([2, 3]);
});

test("Spillway's own worker says that a body failed, is told by its signal that a job is over, and goes on", async () => {
  const { runtime, gateway } = await node();
  let aborted = 0;
  let naps = 0;
  const { made, ended } = own(gateway, async ([, data], { signal }) => {
    if (data === '"fail"') throw new NonRetryable("a:::b");
    if (data === '"nap"' && naps++ === 0) throw new Snooze(50);
    if (data !== '"hang"') return JSON.stringify(`did ${data}`);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    aborted += 1;
    return "1";
  });
  const buried = await runtime.enqueue("again", "fail", at);
  await expect(buried.result()).rejects.toMatchObject({
    record: { reason: "non-retryable", error: { name: "NonRetryable", message: "a:::b" } },
  });
  const snoozed = next(runtime, "job.snoozed");
  const napping = await runtime.enqueue("plain", "nap", at);
  expect(await snoozed).toMatchObject({ id: napping.id, delayMs: 50 });
  expect(await napping.result()).toBe('did "nap"');
  const late = await runtime.enqueue("short", "hang", at);
  await expect(late.result()).rejects.toMatchObject({ record: { error: { kind: "timeout" } } });
  const after = await runtime.enqueue("plain", 1, at);
  expect(await after.result()).toBe("did 1");
  expect(aborted).toBe(1);
  const left = next(runtime, "worker.left");
  await made.stop();
  expect(await left).toMatchObject({ reason: "it has left" });
  await ended;
});

test("a worker that is too old and idle is let go for good: its next ping is refused, once", async () => {
  const { runtime, gateway } = await node({}, { workers: { maxAge: 1 } });
  const left = next(runtime, "worker.left");
  const one = await RawWorker.at(gateway.endpoint ?? "");
  expect(await one.ping()).toBe("PONG");
  expect(await left).toMatchObject({ reason: "it is too old" });
  expect(await one.ping()).toBe("ERROR");
  expect(await one.ping()).toBe("PONG");
});

test("a stop hands back what runs and closes the endpoint, with no attempt spent", async () => {
  const { runtime, gateway } = await node({}, { shutdownTimeout: 100, grace: 100 });
  const endpoint = gateway.endpoint ?? "";
  const one = await worker(gateway);
  await runtime.enqueue("plain", 1, at);
  await one.hear();
  const failed = collect(runtime, "job.failed");
  expect(await runtime.stop()).toEqual({ wedged: [] });
  expect(failed).toEqual([]);
  expect(gateway.endpoint).toBeUndefined();
  const { gateway: other } = await node({ endpoint });
  expect(other.endpoint).toBe(endpoint);
});

test.each(TRANSPORTS)(
  "an %s endpoint that is taken keeps the node from starting, and is named",
  async (transport) => {
    const { gateway } = await node({ endpoint: free(transport) });
    const taken = powerhose({ serves: "square", endpoint: gateway.endpoint ?? "" });
    await expect(
      start(memory, new Place(), { jobs, gateways: [taken], logger: quiet }),
    ).rejects.toMatchObject({ code: "EndpointUnavailable", endpoint: gateway.endpoint });
  },
);

test("two gateways serve two types of jobs, and info.tree() shows both", async () => {
  const other = defineJob({ name: "other", runsIn: { worker: "cube" } });
  const cubes = powerhose({ serves: "cube", endpoint: free() });
  const squares = powerhose({ serves: "square", endpoint: free() });
  const runtime = await start(memory, new Place(), { jobs: [...jobs, other], gateways: [cubes, squares] });
  const [square, cube] = [await worker(squares), await worker(cubes)];
  const handles = [await runtime.enqueue("plain", 1, at), await runtime.enqueue("other", 2, at)];
  expect(await square.hear()).toMatch(/:::1$/);
  const [, id] = (await cube.hear()).split(":::");
  await cube.say(`JOBRES:::${id}:::8`);
  expect(await handles[1]?.result()).toBe(8);
  const [tree] = await runtime.info.tree();
  const text = JSON.stringify(tree);
  expect(text).toContain('"powerhose cube":{"endpoint"');
  expect(text).toContain('"powerhose square":{"endpoint"');
});

test("options that are none are refused, all at once", () => {
  expect(() =>
    powerhose({ endpoint: "http://x", maxWorkers: 5, maxMessage: "1 GB", serve: "x" } as never),
  ).toThrow(/did you mean "powerhose.serves"/);
  expect(() => powerhose({ serves: "x", endpoint: "http://x", maxMessage: "1 GB" })).toThrow(
    /expected "ipc:\/\/PATH" or "tcp:\/\/HOST:PORT".*below 512 MB/s,
  );
});
