/** `JobRunner`, the seed's master: who gets a job, and what becomes of it when workers are slow, wrong, gone or missing. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { expect, onTestFinished, test } from "vitest";
import { JobRunner, PowerhoseWorker } from "../../../src/gateways/index.ts";
import { free, Peer, RawWorker, ready, registered, runner, TRANSPORTS } from "./support.ts";

test.each(TRANSPORTS)("over %s a worker registers, gets jobs and leaves", async (transport) => {
  const master = await runner({}, free(transport));
  expect(master.workers).toEqual([]);
  const one = await registered(master.endpoint, { workpoint: free(transport) });
  await ready(master, 1);
  expect(master.workers).toEqual([one.workpoint]);
  const result = master.execute("1", "12");
  expect(await one.hear()).toBe("JOB:::1:::12");
  await one.say("JOBRES:::1:::144");
  expect(await result).toBe("144");
  expect(await one.remove()).toBe("REMOVED");
  expect(master.workers).toEqual([]);
});

test("a job that comes before its worker waits for it", async () => {
  const master = await runner();
  const result = master.execute("1", "5");
  const one = await registered(master.endpoint);
  await one.square();
  expect(await result).toBe("25");
});

test("workers take turns, the one that has been idle longest first", async () => {
  const master = await runner();
  const workers: RawWorker[] = [];
  for (let n = 0; n < 3; n += 1) {
    workers.push(await registered(master.endpoint));
    await ready(master, n + 1);
  }
  for (const worker of [...workers, ...workers]) {
    const result = master.execute("1", "3");
    await worker.square();
    expect(await result).toBe("9");
  }
});

test("jobs of several callers run at once, one a worker", async () => {
  const master = await runner();
  const workers = await Promise.all([1, 2, 3].map(() => registered(master.endpoint)));
  const results = ["2", "3", "4", "5", "6"].map((data, n) => master.execute(String(n), data, "30 seconds"));
  const texts = await Promise.all(workers.map((worker) => worker.hear()));
  for (const [n, worker] of workers.entries()) {
    const [, id, data] = (texts[n] ?? "").split(":::");
    await worker.say(`JOBRES:::${id}:::${Number(data) ** 2}`);
  }
  const served = workers.map((worker) => worker.squareAll());
  expect(new Set(await Promise.all(results))).toEqual(new Set(["4", "9", "16", "25", "36"]));
  for (const worker of workers) worker.end();
  await Promise.all(served);
});

test("a late worker's job goes to another; the late one is given no other before it has answered", async () => {
  const master = await runner();
  const slow = await registered(master.endpoint);
  await ready(master, 1);
  const result = master.execute("1", "7", 200);
  await slow.hear();
  await ready(master, 0);
  const quick = await registered(master.endpoint);
  await quick.square();
  expect(await result).toBe("49");
  expect(await slow.ping()).toBe("PONG");
  expect(master.workers).toEqual([quick.workpoint]);
  await slow.say("JOBRES:::1:::late");
  await ready(master, 2);
  const next = [master.execute("2", "2", "30 seconds"), master.execute("3", "3", "30 seconds")];
  await Promise.all([slow.square(), quick.square()]);
  expect(await Promise.all(next)).toEqual(["4", "9"]);
});

test("after three workers that went away it fails, and says why", async () => {
  const master = await runner();
  const result = master.execute("7", "1", "30 seconds");
  const failed = expect(result).rejects.toMatchObject({
    code: "ExecutionFailed",
    id: "7",
    tries: 3,
    why: expect.stringMatching(/ipc:.*its connection has ended/),
  });
  for (let n = 0; n < 3; n += 1) {
    const one = await registered(master.endpoint);
    await one.hear();
    one.end();
  }
  await failed;
});

test("a worker that answers another job, or what is none, is dropped, and may come back", async () => {
  const master = await runner({ retries: 2 });
  const one = await registered(master.endpoint);
  for (const answer of ["JOBRES:::other:::1", "NO"]) {
    const result = master.execute("1", "2", "30 seconds");
    await one.hear();
    await one.say(answer);
    await ready(master, 0);
    expect(await one.ping()).toBe("PONG");
    await one.square();
    expect(await result).toBe("4");
  }
});

test("an exception's text is a result to the original's workers, and a failure to Spillway's own, at once", async () => {
  const master = await runner();
  const own = new PowerhoseWorker(master.endpoint, free(), () => {
    throw new RangeError("too:::large");
  });
  const ran = own.run();
  await expect(master.execute("1", "x", "30 seconds")).rejects.toMatchObject({
    code: "ExecutionFailed",
    tries: 1,
    why: "RangeError: too:::large",
  });
  await own.stop();
  await ran;
});

test("no worker in time is an error of its own, and so is one too many that waits", async () => {
  const master = await runner({ wait: 50, maxWaiting: 1 });
  const first = master.execute("1", "x");
  await expect(master.execute("2", "x")).rejects.toMatchObject({
    code: "ExecutionFailed",
    why: "1 jobs wait for a worker already",
  });
  await expect(first).rejects.toMatchObject({ code: "NoWorker", waitedMs: 50, endpoint: master.endpoint });
});

test("what a message cannot hold is refused, and the worker is free for the next", async () => {
  const master = await runner();
  const one = await registered(master.endpoint);
  for (const [id, data] of [
    ["1", "a:::b"],
    ["a:::b", "1"],
    ["1:", "x"],
  ] as const)
    await expect(master.execute(id, data)).rejects.toMatchObject({
      why: expect.stringContaining("Unsendable"),
    });
  const result = master.execute("1", ":4");
  expect(await one.hear()).toBe("JOB:::1::::4");
  await one.say("JOBRES:::1:::16");
  expect(await result).toBe("16");
});

test("the later separator's job is a serialized one, with its id in a header where that can be written", async () => {
  const master = await runner();
  const one = await registered(master.endpoint, { separator: "*****" });
  for (const [id, job] of [
    ["1", "id:1:::5"],
    ["a b", "NONE:::5"],
  ] as const) {
    const result = master.execute(id, "5");
    expect(await one.hear()).toBe(`JOB*****${job}`);
    await one.say(`JOBRES*****${job}*****25`);
    expect(await result).toBe("25");
  }
});

test("a stop fails what waits and what runs, leaves no file, and may be followed by a start", async () => {
  const endpoint = free();
  const master = await runner({}, endpoint);
  const one = await registered(endpoint);
  const running = master.execute("1", "x", "30 seconds");
  await one.hear();
  const waiting = master.execute("2", "x");
  const failed = [running, waiting].map((result) =>
    expect(result).rejects.toMatchObject({ why: expect.stringMatching(/stop/) }),
  );
  await master.stop();
  await Promise.all(failed);
  expect(existsSync(endpoint.slice("ipc://".length))).toBe(false);
  await expect(master.execute("3", "x")).rejects.toMatchObject({ why: "the runner is not started" });
  await master.start();
  const again = await registered(endpoint);
  const result = master.execute("1", "3");
  await again.square();
  expect(await result).toBe("9");
});

test("on a busy machine too, who has stopped leaves its port free for whoever listens there next", async () => {
  for (let core = 0; core <= availableParallelism(); core += 1) {
    const busy = new Worker("for (;;);", { eval: true });
    onTestFinished(async () => void (await busy.terminate()));
  }
  const first = await runner({}, free("tcp"));
  const { endpoint } = first;
  await first.stop();
  const same = new JobRunner(endpoint);
  for (let round = 1; round <= 20; round += 1) {
    await same.start();
    await same.stop();
    const next = new JobRunner(endpoint);
    await next.start();
    await next.stop();
  }
});

test("starts that meet are one, and a stop in the middle of one leaves nobody listening", async () => {
  const endpoint = free();
  const master = new JobRunner(endpoint);
  await Promise.all([master.start(), master.start()]);
  await master.stop();
  const starting = master.start();
  await master.stop();
  await starting;
  expect(existsSync(endpoint.slice("ipc://".length))).toBe(false);
  await runner({}, endpoint);
});

test("a worker that is too old is let go for good, after its job: its next ping is refused, once", async () => {
  const master = await runner({ maxAge: 500, wait: "30 seconds" });
  const result = master.execute("1", "3", "30 seconds");
  const one = await registered(master.endpoint);
  await one.square();
  expect(await result).toBe("9");
  await ready(master, 0);
  expect(await one.ping()).toBe("ERROR");
  expect(await one.ping()).toBe("PONG");
});

test("workers above maxWorkers, and workpoints that are none, are refused", async () => {
  const master = await runner({ maxWorkers: 1 });
  const one = await registered(master.endpoint);
  expect(await (await RawWorker.at(master.endpoint)).ping()).toBe("ERROR");
  expect(await one.remove()).toBe("REMOVED");
  const peer = new Peer(master.endpoint);
  for (const workpoint of [
    "",
    "x",
    "inproc://x",
    "tcp://*:1",
    "ipc://*",
    "tcp://127.0.0.1:99999",
    "pgm://x:1",
  ])
    expect(await peer.ask(`PING:::${workpoint}`)).toBe("ERROR");
  expect(await peer.ask(`PING:::ipc://${"x".repeat(200)}`)).toBe("ERROR");
  expect(await (await RawWorker.at(master.endpoint)).ping()).toBe("PONG");
});

test("an endpoint where somebody listens is not taken from them", async () => {
  const master = await runner();
  await expect(new JobRunner(master.endpoint).start()).rejects.toMatchObject({
    code: "EndpointUnavailable",
    endpoint: master.endpoint,
  });
  const one = await registered(master.endpoint);
  await one.remove();
});

test("options that are none are refused, all at once", () => {
  expect(() => new JobRunner("x", { retries: 0 })).toThrow(/retries/);
  expect(() => new JobRunner("x", { heartbeat: 5, maxAgeJitter: 5 })).toThrow(
    /expected "ipc:.*runner.heartbeat: must be at least 1 second.*runner.maxAgeJitter/s,
  );
});
