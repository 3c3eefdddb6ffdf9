/** Whatever peers send to a master, a line or a worker, in whatever number: an answer or a closed connection, nothing stuck. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import * as zmq from "zeromq";
import { type JobRunner, PowerhoseWorker } from "../../../src/gateways/index.ts";
import { readAnswer, readJob, readRequest, SEPARATORS } from "../../../src/gateways/powerhose/wire.ts";
import { free, Peer, RawWorker, ready, registered, runner, socket, turn } from "./support.ts";

const LONG = process.env.SPILLWAY_LONG === "1";

async function stillWorks(master: JobRunner): Promise<void> {
  const one = await registered(master.endpoint);
  while (!master.workers.includes(one.workpoint)) await turn();
  const served = one.squareAll();
  expect(await master.execute("probe", "7", "30 seconds")).toBe("49");
  expect(await one.remove()).toBe("REMOVED");
  one.end();
  await served;
}

test("a request that is too large ends its peer's connection, and nobody else's", async () => {
  const master = await runner();
  const large = socket(new zmq.Request({ linger: 0 }));
  large.connect(master.endpoint);
  const gone = new Promise((resolve) => large.events.on("disconnect", resolve));
  await large.send(Buffer.alloc(5_000, 0x20));
  await gone;
  await stillWorks(master);
});

test("what is no ZeroMQ is not understood, and holds up nobody", async () => {
  const master = await runner({}, "tcp://127.0.0.1:0");
  const plain = connect(Number(master.endpoint.split(":").at(-1)), "127.0.0.1");
  plain.on("error", () => {});
  await once(plain, "connect");
  plain.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10));
  await stillWorks(master);
  plain.destroy();
});

test("a peer that asks and never reads holds up nobody", async () => {
  const master = await runner();
  const flood = socket(new zmq.Dealer({ linger: 0, receiveHighWaterMark: 1 }));
  flood.connect(master.endpoint);
  for (let n = 0; n < 20_000; n += 1) await flood.send([Buffer.alloc(0), `PING:::ipc://nobody-${n % 7}`]);
  await stillWorks(master);
});

test("a worker that answers twice, or before it was asked, does not answer the next job with that", async () => {
  const master = await runner();
  const workpoint = free();
  const router = socket(new zmq.Router({ linger: 0 }));
  await router.bind(workpoint);
  expect(await new Peer(master.endpoint).ask(`PING:::${workpoint}`)).toBe("PONG");
  const first = master.execute("1", "x", "30 seconds");
  const [to, tag, , job] = await router.receive();
  expect(String(job)).toBe("JOB:::1:::x");
  const say = (text: string, about = tag) => router.send([to ?? "", about ?? "", "", `JOBRES:::1:::${text}`]);
  await say("one");
  await say("two");
  expect(await first).toBe("one");
  const second = master.execute("1", "y", "30 seconds");
  const [, next] = await router.receive();
  await say("three");
  await say("four", next);
  expect(await second).toBe("four");
  // Whether it is cut off for that, or late with the next job: that goes on.
  for (let n = 0; n < 1_000; n += 1) await say("flood", next);
  const honest = await registered(master.endpoint);
  const served = honest.squareAll();
  expect(await master.execute("1", "3")).toBe("9");
  honest.end();
  await served;
});

test("a worker with 300 MB to say is cut off, and its job goes on", async () => {
  const master = await runner({ maxMessage: "1 MB" });
  const large = await registered(master.endpoint);
  await ready(master, 1);
  const result = master.execute("1", "3", "30 seconds");
  await large.hear();
  await large.say(Buffer.alloc(300 * 1_048_576, 0x20));
  await ready(master, 0);
  const one = await registered(master.endpoint);
  await one.square();
  expect(await result).toBe("9");
});

const WORKERS = LONG ? 500 : 50;

test(`${WORKERS} workers at once, each with a job`, { timeout: 300_000 }, async () => {
  const master = await runner({ maxWorkers: WORKERS });
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => registered(master.endpoint)));
  await ready(master, WORKERS);
  const results = workers.map((_, n) => master.execute(String(n), String(n), "60 seconds"));
  await Promise.all(workers.map((worker) => worker.square()));
  expect(await Promise.all(results)).toEqual(workers.map((_, n) => String(n * n)));
});

// Frames of any kind. A failure prints its seed.

const FRAMES = LONG ? 100_000 : 2_000;
const BATCH = 200;

const part = fc.oneof(
  fc.constantFrom("PING", "REMOVE", "JOB", "JOBRES", "JOBERR", "PONG", "SPILLWAY", "ERROR", "", "1"),
  fc.constantFrom(
    "ipc://nobody-a",
    "ipc://nobody-b",
    "tcp://127.0.0.1:1",
    "tcp://256.1.1.1:5",
    "NONE:::x",
    "{}",
  ),
  fc.string({ maxLength: 20, unit: "binary" }),
);
const text = fc.tuple(fc.array(part, { maxLength: 5 }), fc.constantFrom(...SEPARATORS, "::", "****"));
const frame = fc.oneof(
  { weight: 4, arbitrary: text.map(([parts, separator]) => Buffer.from(parts.join(separator))) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
);
const message = fc.oneof(
  { weight: 5, arbitrary: frame.map((one) => [one]) },
  { weight: 1, arbitrary: fc.array(frame, { minLength: 1, maxLength: 4 }) },
);
const batch = fc.array(message, { minLength: BATCH, maxLength: BATCH });

test(`${FRAMES} frames to a master: each has an answer`, { timeout: 1_200_000 }, async () => {
  const master = await runner();
  const peers = Array.from({ length: 4 }, () => new Peer(master.endpoint));
  const throwAt = async (messages: readonly Buffer[][]): Promise<void> => {
    const told = peers.map(async (peer, n) => {
      for (const frames of messages.filter((_, at) => at % peers.length === n))
        expect(await peer.ask(...frames)).toMatch(/^(PONG(:::|\*\*\*\*\*)SPILLWAY|PONG|REMOVED|ERROR)$/);
    });
    await Promise.all(told);
    await stillWorks(master);
  };
  await fc.assert(fc.asyncProperty(batch, throwAt), { numRuns: FRAMES / BATCH });
});

test(`${FRAMES / 10} answers of any kind: each job has a result or a reason`, {
  timeout: 1_200_000,
}, async () => {
  const master = await runner({ retries: 1 });
  const one = await RawWorker.at(master.endpoint);
  const answer = async (frames: Buffer[]): Promise<void> => {
    // One that was cut off comes back with its next ping.
    expect(await one.ping()).toBe("PONG");
    await ready(master, 1);
    const ended = master.execute("1", "x", "30 seconds").then(
      () => true,
      ({ code }) => code === "ExecutionFailed",
    );
    expect(await one.hear()).toBe("JOB:::1:::x");
    await one.say(frames);
    expect(await ended).toBe(true);
  };
  await fc.assert(fc.asyncProperty(message, answer), { numRuns: FRAMES / 10 });
});

test(`${FRAMES} frames to a worker: each has an answer`, { timeout: 1_200_000 }, async () => {
  const master = await runner();
  const worker = new PowerhoseWorker(master.endpoint, free(), ([, data]) => data);
  const ended = worker.run();
  onTestFinished(() => worker.stop());
  await ready(master, 1);
  const peer = new Peer(worker.workpoint);
  const throwAt = async (messages: readonly Buffer[][]): Promise<void> => {
    for (const frames of messages) expect(await peer.ask(...frames)).toMatch(/^(ERROR$|JOBRES:::)/);
    expect(await master.execute("1", "probe", "30 seconds")).toBe("probe");
  };
  await fc.assert(fc.asyncProperty(batch, throwAt), { numRuns: FRAMES / BATCH });
  await worker.stop();
  await ended;
});

test("no bytes are more than the readers can take", { timeout: 1_200_000 }, () => {
  const callers = SEPARATORS.flatMap((separator) =>
    [true, false].map((extended) => ({ workpoint: "w", separator, extended, process: undefined })),
  );
  fc.assert(
    fc.property(message, (frames) => {
      readRequest(frames);
      for (const caller of callers) {
        const { t } = readAnswer(frames, caller, "1", "x");
        expect(["result", "failed", "broken"]).toContain(t);
        readJob(frames, caller.separator);
      }
    }),
    { numRuns: FRAMES },
  );
});

test("an import of the gateways loads no ZeroMQ; a runner that starts does", () => {
  const entry = fileURLToPath(new URL("../../../dist/gateways/index.js", import.meta.url));
  const script = `
    const loaded = () => process.report.getReport().sharedObjects.some((path) => /zeromq/.test(path));
    const { JobRunner } = await import(${JSON.stringify(entry)});
    const runner = new JobRunner(${JSON.stringify(free())});
    const before = loaded();
    await runner.start();
    console.log(before, loaded());
    await runner.stop();`;
  const told = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    encoding: "utf8",
  });
  expect(told).toBe("false true\n");
});

test("starts and stops leave no thread and no descriptor behind, nor anything that keeps the process from ending", () => {
  const entry = fileURLToPath(new URL("../../../dist/gateways/index.js", import.meta.url));
  const script = `
    import { readdirSync } from "node:fs";
    const { JobRunner, PowerhoseWorker } = await import(${JSON.stringify(entry)});
    const held = () => ["task", "fd"].map((what) => readdirSync("/proc/self/" + what).length);
    async function round() {
      const runner = new JobRunner("tcp://127.0.0.1:0");
      await runner.start();
      const worker = new PowerhoseWorker(runner.endpoint, "tcp://127.0.0.1:0", () => "did", { timeout: "50 ms" });
      worker.run().catch(() => {});
      await runner.execute("1", "x", "30 seconds");
      await runner.stop();
      globalThis.gc();
      await worker.stop();
    }
    await round();
    const before = held();
    for (let n = 0; n < 20; n += 1) await round();
    console.log(held().map((count, n) => count - before[n]).join(" "));`;
  const told = execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "--eval", script], {
    encoding: "utf8",
    timeout: 50_000,
  });
  const [threads = 0, descriptors = 0] = told.split(" ").map(Number);
  expect(threads).toBeLessThan(10);
  expect(descriptors).toBeLessThan(20);
});
