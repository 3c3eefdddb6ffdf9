/**
 * The examples, run for real: each in a folder of its own, stopped the way a service is stopped.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { ROOT, type Started, startIn } from "./process.ts";

// Whole processes, several a test: on a machine that others load they take their time.
vi.setConfig({ testTimeout: 180_000 });

const FIRST = join(ROOT, "examples/first-job/service.mjs");
const SERVICE = join(ROOT, "examples/service/server.mjs");

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "spillway-examples-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A binary PPM whose pixels all have this colour. */
function picture(width: number, height: number, colour: readonly number[]): Buffer<ArrayBuffer> {
  const pixels = Buffer.alloc(width * height * 3, Buffer.from(colour));
  return Buffer.concat([Buffer.from(`P6 ${width} ${height} 255\n`), pixels]);
}

async function service(cwd = folder()): Promise<{ server: Started; url: string; cwd: string }> {
  const server = startIn(cwd, SERVICE);
  const [, port] = await server.saw(/listening on port (\d+)/);
  return { server, url: `http://localhost:${port}`, cwd };
}

process.env.PORT = "0";

async function post(url: string, body: Buffer<ArrayBuffer>, width: number | string): Promise<Response> {
  return fetch(`${url}/resize?width=${width}`, { method: "POST", body });
}

async function idOf(response: Response): Promise<string> {
  expect(response.status).toBe(202);
  const { id } = (await response.json()) as { id: string };
  return id;
}

test("the first job prints its result, stays as a service, and stops on SIGTERM", async () => {
  const cwd = folder();
  const run = startIn(cwd, FIRST, FIRST);
  const [, id] = await run.saw(/^(\S+) is on the disk now/m);
  const digest = createHash("sha256").update(readFileSync(FIRST)).digest("hex");
  await run.saw(new RegExp(`^${digest}$`, "m"));
  run.kill("SIGTERM");
  expect(await run.ended).toMatchObject({ code: 0, signal: null, stderr: "" });
  expect(id).toMatch(/^[-\w]{27}$/);
  expect(readdirSync(cwd)).toEqual(["data"]);
});

test("the service resizes a picture that was posted, and sends it", async () => {
  const { server, url } = await service();
  const id = await idOf(await post(url, picture(8, 4, [10, 200, 30]), 4));
  const ended = await fetch(`${url}/jobs/${id}`);
  expect({ status: ended.status, body: await ended.json() }).toEqual({
    status: 200,
    body: { width: 4, height: 2 },
  });
  const small = await fetch(`${url}/pictures/${id}`);
  expect(Buffer.from(await small.arrayBuffer())).toEqual(picture(4, 2, [10, 200, 30]));
  server.kill("SIGTERM");
  expect(await server.ended).toMatchObject({
    code: 0,
    stderr: "",
    stdout: expect.stringContaining("stopped"),
  });
});

test("the service answers mistakes with what they are", async () => {
  const { url } = await service();
  expect((await post(url, picture(1, 1, [0, 0, 0]), "wide")).status).toBe(400);
  expect((await fetch(`${url}/jobs/nobody`)).status).toBe(404);
  expect((await fetch(`${url}/pictures/nobody`)).status).toBe(404);
  expect((await fetch(`${url}/elsewhere`)).status).toBe(404);
  const id = await idOf(await post(url, Buffer.from("not a picture"), 4));
  const ended = await fetch(`${url}/jobs/${id}`);
  expect(ended.status).toBe(422);
  expect(await ended.json()).toMatchObject({
    error: "JobBuried",
    message: expect.stringContaining("not a binary PPM"),
  });
});

test("SIGTERM with work under way stops in order, and a job that was accepted is there after a restart", async () => {
  const { server, url, cwd } = await service();
  const ids = await Promise.all(
    Array.from({ length: 20 }, async () => idOf(await post(url, picture(400, 300, [1, 2, 3]), 200))),
  );
  server.kill("SIGTERM");
  expect(await server.ended).toMatchObject({ code: 0, signal: null });
  const again = await service(cwd);
  const small = picture(200, 150, [1, 2, 3]);
  for (const id of ids) {
    // What the first process had not done the second one does; a picture appears whole or not at all.
    await expect.poll(async () => (await fetch(`${again.url}/pictures/${id}`)).status, POLL).toBe(200);
    expect(readFileSync(join(cwd, "data/pictures", id)).equals(small)).toBe(true);
  }
});

/** HTTP has no event for this. */
const POLL = { timeout: 30_000, interval: 50 };
