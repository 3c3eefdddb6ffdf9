/** A service that is killed by SIGKILL leaves no process behind, whatever its bodies are doing just then. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { ThreadInfo } from "../../src/threads/types.ts";
import { isAlive } from "./alive.ts";

const script = fileURLToPath(new URL("../fixtures/orphans.mjs", import.meta.url));

class Service {
  readonly process: ChildProcess;
  readonly #folder = mkdtempSync(join(tmpdir(), "spillway-orphans-"));
  readonly path = join(this.#folder, "path");
  readonly #lines: AsyncIterator<string>;

  constructor(way: string) {
    if (way === "fifo") execFileSync("mkfifo", [this.path]);
    this.process = spawn(process.execPath, [script, way, this.path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const { stdout } = this.process;
    if (stdout === null) throw new Error("it has no output");
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    onTestFinished(() => {
      this.process.kill("SIGKILL");
      rmSync(this.#folder, { recursive: true });
    });
  }

  /** Its processes, once they are so. */
  async children(enough: (children: readonly ThreadInfo[]) => boolean): Promise<readonly number[]> {
    for (;;) {
      const { value } = await this.#lines.next();
      const children = (JSON.parse(value as string) as ThreadInfo[]).filter(({ pid }) => pid !== undefined);
      if (enough(children)) return children.map(({ pid }) => pid ?? 0);
    }
  }
}

const works = (children: readonly ThreadInfo[]) =>
  children.length === 2 && children.every(({ state }) => state === "busy" || state === "idle");

async function gone(pids: readonly number[]): Promise<void> {
  for (const pid of pids) await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
}

test.each(["pbkdf2", "fifo", "spins"])(
  "a body that hangs (%s), and the hot process beside it",
  async (way) => {
    const service = new Service(way);
    const pids = await service.children(works);
    service.process.kill("SIGKILL");
    await gone(pids);
  },
);

test("what a body has started, also what left its group", async () => {
  const service = new Service("family");
  const pids = await service.children(works);
  await expect.poll(() => existsSync(service.path), { timeout: 10_000 }).toBe(true);
  service.process.kill("SIGKILL");
  await gone([...pids, ...readFileSync(service.path, "utf8").trim().split("\n").map(Number)]);
});

test("processes that are starting", async () => {
  const service = new Service("spins");
  const pids = await service.children((children) => children.length > 0);
  service.process.kill("SIGKILL");
  await gone(pids);
});

test("a service that is stopped by Ctrl-C or its manager: its processes leave the end to it", async () => {
  const service = new Service("spins");
  const pids = await service.children(works);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    for (const pid of pids) process.kill(pid, signal);
  }
  service.process.kill("SIGTERM");
  await gone(pids);
});
