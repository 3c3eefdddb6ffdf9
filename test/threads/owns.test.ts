/**
 * What a body has of its own (worker threads, child processes, native addons), and what is left of it after a kill: nothing.
 *
 * And how its module may be written: CommonJS or ES module, as it is or compiled from TypeScript with a map beside it.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { isAlive } from "./alive.ts";
import { completed, failed, place, startPool } from "./support.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "spillway-owns-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const SOON = { timeout: 20_000 };

/** Process and thread numbers that the body has written down. */
async function numbersAt(path: string): Promise<readonly number[]> {
  await expect.poll(() => existsSync(path), SOON).toBe(true);
  return readFileSync(path, "utf8").split(" ").map(Number);
}

const graceMs = { timeout: 0, cancel: 0, shutdown: 0 };

test.each(["nestedSpins", "bothSpin", "nestedIdles"])(
  "a worker thread of a killed body's own (%s) is gone when the job is settled",
  async (way) => {
    const pool = await startPool({ graceMs });
    const path = join(folder(), "tid");
    const given = pool.give(pool.type("owns"), { way, path });
    const [tid = 0] = await numbersAt(path);
    expect(existsSync(`/proc/${tid}`)).toBe(true);
    pool.pool.abort(given.task, "cancel");
    expect(await given.outcome).toMatchObject({ kind: "aborted", report: { steps: expect.anything() } });
    expect(existsSync(`/proc/${tid}`)).toBe(false);
    expect(await pool.run(pool.type("noop"))).toEqual(completed(undefined));
  },
);

test.each(["children", "childrenOfShell"])(
  "child processes of a killed body (%s) end with it, detached ones and theirs too",
  async (way) => {
    const pool = await startPool({ graceMs });
    const path = join(folder(), "pids");
    const given = pool.give(pool.type("owns"), { way, path });
    const pids = await numbersAt(path);
    for (const pid of pids) expect(isAlive(pid)).toBe(true);
    pool.pool.abort(given.task, "cancel");
    const outcome = await given.outcome;
    const children = outcome.kind === "aborted" ? outcome.report?.children : undefined;
    expect(children).toEqual(expect.arrayContaining([...pids]));
    expect(children?.length).toBeGreaterThanOrEqual(2);
    for (const pid of children ?? []) await expect.poll(() => isAlive(pid), SOON).toBe(false);
  },
);

test("a native addon loads in every thread, and again in the one that follows a kill", async () => {
  const pool = await startPool({ threads: 2 });
  const type = pool.type("owns");
  const sql = "select sqlite_version() is not null";
  const all = await Promise.all([1, 2, 3, 4].map(() => pool.run(type, { way: "addon", sql })));
  expect(all).toEqual([1, 2, 3, 4].map(() => completed(1)));
  const path = join(folder(), "pids");
  const killed = pool.give(type, { way: "children", path }, { maxExecutionTimeMs: 200 });
  expect(await killed.outcome).toEqual(failed({ kind: "timeout" }));
  expect(await pool.run(type, { way: "addon", sql })).toEqual(completed(1));
});

/** An addon's call that takes some time whatever is done, or for ever. */
const COUNT = (to: string) =>
  `with recursive n(i) as (select 1 union all select i + 1 from n ${to}) select count(*) from n`;

test("a native addon that does not return: wedged in a thread until it does, ended in a process", async () => {
  const pool = await startPool();
  const inProcess = place() === "process";
  const sql = COUNT(inProcess ? "" : "limit 20000000");
  const given = pool.give(pool.type("owns"), { way: "addon", sql }, { maxExecutionTimeMs: 100 });
  if (!inProcess) expect(await given.wedged).toMatchObject({ state: { doing: "busy on the CPU" } });
  const outcome = await given.outcome;
  expect(outcome).toEqual(failed({ kind: "timeout" }));
});

const SOURCE = `enum Direction {
  Up = 1,
  Down = -1,
}

interface Args {
  readonly from: number;
}

function countDown({ from }: Args): never {
  let at: number = from;
  for (;;) {
    at += at > 0 ? Direction.Down : Direction.Up;
  }
}

const job = { name: "compiled", perform: (args: Args): never => countDown(args) };
export default job;
`;

const TSC = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));

test.each(["module", "commonjs"])(
  "a job compiled from TypeScript (%s), with its map beside it, is shown by the lines that were written",
  async (type) => {
    const path = folder();
    writeFileSync(join(path, "package.json"), JSON.stringify({ type }));
    writeFileSync(join(path, "compiled.ts"), SOURCE);
    const args = ["--module", "nodenext", "--target", "es2022", "--sourceMap", "--types", "", "--outDir"];
    await promisify(execFile)(process.execPath, [TSC, "compiled.ts", ...args, "dist"], { cwd: path });
    const pool = await startPool({ captureStack: true });
    const url = pathToFileURL(join(path, "dist/compiled.js")).href;
    const given = pool.give(pool.type("compiled", url), { from: 3 }, { maxExecutionTimeMs: 100 });
    const outcome = await given.outcome;
    const frames = outcome.kind === "failed" ? outcome.failure.report?.frames : undefined;
    expect(frames?.slice(0, 2)).toMatchObject([
      { function: "countDown", file: join(path, "compiled.ts") },
      { function: "perform", file: join(path, "compiled.ts"), line: 17 },
    ]);
    expect([12, 13]).toContain(frames?.[0]?.line);
  },
);
