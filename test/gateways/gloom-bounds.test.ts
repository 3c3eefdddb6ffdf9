/** Who may talk to a Gloom gateway, and how much: strangers, floods, peers that do not read, many at once. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { type GloomDaemon, startGloom } from "../../src/gateways/index.ts";
import { Place } from "../cli/support.ts";
import { counted, daemon, frame, frameOfText, master, Raw, raw, slave } from "./gloom-support.ts";

const LONG = process.env.SPILLWAY_LONG === "1";
const job = (id: unknown, more: object = {}) => ({ action: "submit", id, type: "echo", body: id, ...more });

test("with a secret nothing else is listened to before it was said", async () => {
  const gloom = await daemon({ secret: "søsame" });
  const known = await master(gloom);
  expect(await known.ask({ action: "auth", secret: "søsame" })).toEqual({ ok: true });
  expect(await known.ask(job("a"))).toEqual({ ok: true, id: "a" });
  for (const said of [job("b"), { action: "auth", secret: "sosame" }, { action: "auth" }, [], "x"]) {
    const stranger = await master(gloom);
    expect(await stranger.say(said).rest()).toEqual([{ error: "unauthorized", reason: "auth" }]);
  }
  const large = await slave(gloom);
  large.write(Buffer.from([0, 0, 0x10, 1]));
  expect(await large.rest()).toEqual([{ error: "unauthorized", reason: "auth" }]);
  expect(gloom.counts).toEqual({ masters: 1, slaves: 0, jobs: 1 });
});

test("without one, auth is a word like any that is not known", async () => {
  const boss = await master(await daemon());
  expect(await boss.ask({ action: "auth", secret: "x" })).toEqual({
    error: "unknown_action",
    reason: "auth",
  });
});

test("over TLS it is the same, and who speaks plainly is not heard", async () => {
  const { key, cert } = certificate();
  const gloom = await daemon({ tls: { key, cert } });
  const socket = connectTls({
    port: gloom.address.masterPort,
    host: "127.0.0.1",
    ca: cert,
    servername: "localhost",
  });
  const boss = new Raw(socket);
  expect(await boss.ask(job("a"))).toEqual({ ok: true, id: "a" });
  const plain = await master(gloom);
  plain.say(job("b"));
  await plain.closed;
  expect(gloom.counts.jobs).toBe(1);
});

function certificate(): { readonly key: string; readonly cert: string } {
  const folder = mkdtempSync(join(tmpdir(), "spillway-gloom-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const request = ["req", "-x509", ...kind, "-nodes", "-days", "2", "-keyout", key, "-out", cert];
  execFileSync("openssl", [...request, ...subject], { stdio: "ignore" });
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
}

test("a port that is taken is named, and nothing stays open", async () => {
  const gloom = await daemon();
  const { masterPort: taken } = gloom.address;
  await expect(startGloom({ masterPort: 0, slavePort: taken })).rejects.toMatchObject({
    code: "GatewayUnavailable",
    gateway: "gloom",
    host: "127.0.0.1",
    port: taken,
  });
});

test("options that are none are refused, all at once", async () => {
  await expect(
    startGloom({ masterPort: 5, slavePort: 5, maxFrame: "1 GB", slaveport: 1 } as never),
  ).rejects.toThrow(/slaveport"; did you mean "gloom.slavePort".*below 512 MB.*cannot share port 5/s);
});

test("a peer that asks and does not read is not read from either; what it is owed stays bounded", async () => {
  const gloom = await daemon();
  const flood = await master(gloom);
  flood.socket.pause();
  const chunk = Buffer.concat(Array.from({ length: 5_000 }, () => frame({ action: "frob" })));
  let written = 0;
  while (written < 64 * 1_048_576 && flood.socket.writableLength < 16 * 1_048_576) {
    flood.write(chunk);
    written += chunk.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Not all of it was taken: the daemon stopped reading.
  expect(flood.socket.writableLength).toBeGreaterThan(1_048_576);
  const boss = await master(gloom);
  expect(await boss.ask(job("a"))).toEqual({ ok: true, id: "a" });
});

test("a master that does not read its answers is dropped, and its jobs with it", async () => {
  const gloom = await daemon({ maxUnsent: 1_000_000 });
  const boss = await master(gloom);
  const worker = await slave(gloom, "echo");
  boss.socket.pause();
  const body = "x".repeat(1_000_000);
  for (let n = 0; gloom.counts.masters === 1; n += 1) {
    boss.say(job(n));
    await Promise.race([worker.hear(), counted(gloom, { masters: 0 })]);
    if (gloom.counts.masters === 1) await worker.ask({ action: "respond", body });
  }
  await counted(gloom, { masters: 0 });
});

test("frames that are not whole are bounded too, over all peers", async () => {
  const gloom = await daemon({ maxBytes: 100_000 });
  const [one, two, boss] = [await slave(gloom), await slave(gloom), await master(gloom)];
  for (const peer of [one, two])
    peer.write(Buffer.from([0, 1, 0x86, 0xa0])).write(Buffer.alloc(60_000, 0x20));
  await Promise.race([one.closed, two.closed]);
  await counted(gloom, { slaves: 1 });
  expect(await boss.ask(job("a"))).toMatchObject({ ok: true });
});

test("the daemon ends a slave that could answer and does not, and leaves the others alone", async () => {
  const gloom = await daemon({ heartbeat: "1 second" });
  const joining = { action: "join", type: "echo", spillway: 1 };
  const [silent, lively] = [await slave(gloom), await slave(gloom)];
  await slave(gloom, "echo");
  for (const peer of [silent, lively]) expect(await peer.ask(joining)).toEqual({ ok: true, spillway: 1 });
  let asked = 0;
  const answering = (async () => {
    for (;;) {
      expect(await lively.hear()).toEqual({ action: "ping" });
      lively.say({ action: "pong" });
      asked += 1;
    }
  })().catch(({ message }: Error) => message);
  expect(await silent.rest()).toContainEqual({ action: "ping" });
  expect(await counted(gloom, { slaves: 2 })).toMatchObject({ slaves: 2 });
  expect(asked).toBeGreaterThan(0);
  lively.end();
  expect(await answering).toBe("the connection ended before a frame came");
});

test("the daemon lets slaves go that are too old: at once when idle, after their job when busy", async () => {
  const gloom = await daemon({ maxAge: 1, maxAgeJitter: 1 });
  const boss = await master(gloom);
  for (const id of ["a", "b"]) await boss.ask(job(id));
  const busy = await slave(gloom, "echo");
  await busy.hear();
  const idle = await slave(gloom, "other");
  // It came later: when it is told to go, so is the busy one.
  await idle.closed;
  expect(await busy.ask({ action: "respond", body: 1 })).toEqual({ ok: true });
  expect(await boss.hear()).toEqual({ id: "a", body: 1 });
  expect(await busy.rest()).toEqual([]);
  expect(await counted(gloom, { slaves: 0 })).toMatchObject({ jobs: 1 });
});

test("a stop ends every connection", async () => {
  const gloom = await startGloom({ masterPort: 0, slavePort: 0 });
  const [boss, worker] = [await master(gloom), await slave(gloom, "echo")];
  connect(gloom.address.masterPort, "127.0.0.1").on("error", () => {});
  await Promise.all([gloom.stop(), boss.closed, worker.closed]);
  await gloom.stop();
});

// In a process of its own: both ends of 10,000 connections are more files than one process may have.
const SLAVES = LONG ? 10_000 : 500;

test(`${SLAVES} slaves at once, each with a job`, { timeout: 300_000 }, async () => {
  const command = new Place().start("gateway", "gloom", "--master-port", "0", "--slave-port", "0", "--json");
  const { masterPort, slavePort } = JSON.parse(await command.line("gateway.started"));
  const boss = await raw(masterPort);
  const workers: Raw[] = [];
  while (workers.length < SLAVES) {
    const more = await Promise.all(Array.from({ length: 100 }, () => raw(slavePort)));
    await Promise.all(more.map((worker) => worker.ask({ action: "join", type: "echo" })));
    workers.push(...more);
  }
  for (let n = 0; n < SLAVES; n += 1) boss.say(job(n));
  const done = workers.map(async (worker) => {
    const { id } = (await worker.hear()) as { id: number };
    expect(await worker.ask({ action: "respond", body: id })).toEqual({ ok: true });
  });
  const answered = new Set<unknown>();
  for (let heard = 0; heard < 2 * SLAVES; heard += 1) {
    const told = (await boss.hear()) as { body?: number };
    if (told.body !== undefined) answered.add(told.body);
  }
  await Promise.all(done);
  expect(answered.size).toBe(SLAVES);
});

// Whatever peers send, in whatever pieces: no crash, no job that is stuck, nothing left over.

const FRAMES = LONG ? 100_000 : 2_000;
const BATCH = 200;

const word = fc.constantFrom(
  "submit",
  "join",
  "respond",
  "fail",
  "pong",
  "progress",
  "auth",
  "job",
  "",
  5,
  null,
);
const few = fc.constantFrom("a", "b", "c", 1, null);
const message = fc.record(
  {
    action: word,
    id: few,
    type: few,
    priority: fc.oneof(fc.integer(), few),
    body: fc.jsonValue({ maxDepth: 2 }),
    spillway: fc.constantFrom(1, 2),
    error: fc.jsonValue({ maxDepth: 1 }),
  },
  { requiredKeys: [] },
);
const bytes = fc.oneof(
  { weight: 8, arbitrary: message.map((value) => frame(value)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((raw) => frameOfText(Buffer.from(raw))) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map((raw) => Buffer.from(raw)) },
  { weight: 1, arbitrary: fc.jsonValue().map((value) => frame(value)) },
);

test(`${FRAMES} frames of any kind, from peers that come and go`, { timeout: 1_200_000 }, async () => {
  const gloom = await daemon({ maxJobs: 1_000, maxFrame: 100_000 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(bytes, { minLength: BATCH, maxLength: BATCH }),
      fc.integer(),
      async (frames, seed) => {
        await throwAt(gloom, frames, seed);
        const left = await counted(gloom, { masters: 0, slaves: 0 });
        expect(left.jobs).toBe(0);
        await stillWorks(gloom);
      },
    ),
    { numRuns: FRAMES / BATCH },
  );
});

/** Four peers of each role, each with its share, cut into pieces of another size. */
async function throwAt(gloom: GloomDaemon, frames: readonly Buffer[], seed: number): Promise<void> {
  const peers = await Promise.all(
    Array.from({ length: 8 }, (_, n) => (n % 2 === 0 ? master(gloom) : slave(gloom))),
  );
  for (const [n, peer] of peers.entries()) {
    const own = Buffer.concat(frames.filter((_, at) => at % peers.length === n));
    const size = 1 + (Math.abs(seed + n) % 97);
    for (let at = 0; at < own.length; at += size) peer.write(own.subarray(at, at + size));
    if ((seed + n) % 3 === 0) peer.end();
    else peer.socket.end();
  }
  await Promise.all(peers.map((peer) => peer.closed));
}

async function stillWorks(gloom: GloomDaemon): Promise<void> {
  const [boss, worker] = [await master(gloom), await slave(gloom, "echo")];
  await boss.ask(job("probe"));
  await worker.hear();
  await worker.ask({ action: "respond", body: 7 });
  expect(await boss.hear()).toEqual({ id: "probe", body: 7 });
  boss.end();
  worker.end();
  await counted(gloom, { masters: 0, slaves: 0 });
}
