/**
 * The promises of the whole runtime, held against a ledger: killed at random moments, started again on the same folder.
 *
 * 5 kills, 25 in the long run. Each comes after a drawn number of confirmed jobs, so that a slow machine is killed at
 * the same points. Prints its seed and totals; SPILLWAY_SEED repeats the choices (not the timing).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const LONG = process.env.SPILLWAY_LONG !== undefined;
const KILLS = LONG ? 25 : 5;
const MOST_JOBS = LONG ? 2_000 : 500;
const WRITERS = [1, 20, 100];
const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 1_000_000);
const CHILD = fileURLToPath(new URL("./fixtures/promises.mjs", import.meta.url));

function begin(path: string, seed: number, writers: number | "drain"): ChildProcess {
  const child = spawn(process.execPath, [CHILD, join(path, "store"), String(seed), String(writers)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, SPILLWAY_LEDGER: join(path, "ledger") },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

/** All that it wrote, once it has ended. */
async function output(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect(code).toBe(0);
  return text;
}

/** Kills it when so many jobs are confirmed; an early end of its own is an error. */
async function killAfter(child: ChildProcess, confirmed: number): Promise<void> {
  let seen = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    seen += chunk.length;
    if (seen >= confirmed) child.kill("SIGKILL");
  });
  const signal = await new Promise((resolve) => child.once("close", (_code, by) => resolve(by)));
  expect(signal).toBe("SIGKILL");
}

interface Line {
  readonly word: string;
  readonly id: string;
  readonly rest: string;
}

/** In the order of writing; a kill never cuts a line, since each is one write. */
function readLedger(path: string): readonly Line[] {
  const lines = readFileSync(join(path, "ledger"), "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [word = "", id = "", rest = ""] = line.split(" ");
    return { word, id, rest };
  });
}

const ids = (lines: readonly Line[], word: string, rest?: string) =>
  new Set(lines.filter((l) => l.word === word && (rest === undefined || l.rest === rest)).map((l) => l.id));

/** Attempts above 0 that no failure of the body accounts for. */
function charged(lines: readonly Line[]): string[] {
  const failed = new Set<string>();
  return lines.flatMap(({ word, id, rest }) => {
    if (word === "F") failed.add(`${id} ${rest}`);
    if (word !== "S" || rest === "0" || failed.has(`${id} ${Number(rest) - 1}`)) return [];
    return [`${id} started as attempt ${rest}`];
  });
}

/** Cancelled, and started after that was told; one that ran may note its start late, but not in another process. */
function startedAfterCancel(lines: readonly Line[]): string[] {
  const cancelled = new Map<string, number>();
  let processes = 0;
  return lines.flatMap(({ word, id, rest }) => {
    if (word === "N") processes += 1;
    if (word === "X") cancelled.set(id, rest === "running" ? processes : 0);
    return word === "S" && (cancelled.get(id) ?? processes) < processes ? [id] : [];
  });
}

/** A first cancel that finds nothing: the job was gone before anybody had asked for it. */
function vanished(lines: readonly Line[]): string[] {
  const asked = new Map<string, number>();
  return lines.flatMap(({ word, id, rest }) => {
    if (word === "A") asked.set(id, (asked.get(id) ?? 0) + 1);
    return word === "X" && rest === "marked" && asked.get(id) === 1 ? [id] : [];
  });
}

test(`killed ${KILLS} times, every confirmed job ends, and no kill is charged to anybody`, {
  timeout: LONG ? 900_000 : 180_000,
}, async () => {
  const path = mkdtempSync(join(tmpdir(), "spillway-promises-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  let state = SEED;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
  for (let kill = 0; kill < KILLS; kill++) {
    const writers = WRITERS[kill % WRITERS.length] ?? 1;
    await killAfter(begin(path, SEED + kill, writers), 1 + Math.floor(random() * MOST_JOBS));
  }
  const text = await output(begin(path, SEED, "drain"));
  const buried = JSON.parse(text) as readonly { id: string; reason: string; attempt: number }[];

  const lines = readLedger(path);
  const [confirmed, returned, cancelled] = [ids(lines, "C"), ids(lines, "E"), ids(lines, "X")];
  const graves = new Set(buried.map(({ id }) => id));
  const ended = new Set([...returned, ...cancelled, ...graves]);
  const starts = lines.filter(({ word }) => word === "S");
  const totals = {
    kills: KILLS,
    confirmed: confirmed.size,
    returned: returned.size,
    cancelled: cancelled.size,
    buried: graves.size,
    failed: lines.filter(({ word }) => word === "F").length,
    startedTwice: starts.length - new Set(starts.map(({ id, rest }) => `${id} ${rest}`)).size,
  };
  process.stdout.write(`promises: seed ${SEED}, ${JSON.stringify(totals)}\n`);

  const story = (id: string) =>
    lines.filter((line) => line.id === id).map(({ word, rest }) => `${word} ${rest}`);
  const lost = [...confirmed].filter((id) => !ended.has(id)).map((id) => [id, ...story(id)]);
  expect(lost, "confirmed, and never ended").toEqual([]);
  expect(charged(lines), "an attempt that no failure accounts for").toEqual([]);
  const zombies = startedAfterCancel(lines).map((id) => [id, ...story(id)]);
  expect(zombies, "cancelled, and started after that").toEqual([]);
  expect(vanished(lines), "gone before it was cancelled").toEqual([]);
  expect(buried.filter(({ reason, attempt }) => reason !== "failed" || attempt !== 2)).toEqual([]);
  expect(
    [...ids(lines, "B")].filter((id) => !graves.has(id)),
    "buried, and not there",
  ).toEqual([]);
  expect(
    [...graves].filter((id) => returned.has(id)),
    "buried, and returned",
  ).toEqual([]);
  const steady = ids(lines, "C", "steady");
  expect(
    [...steady].filter((id) => !returned.has(id)),
    "never fails, and did not return",
  ).toEqual([]);
  // A run in which nothing happened would prove nothing.
  for (const kind of ["steady", "rough", "later", "endless"])
    expect(ids(lines, "C", kind).size).toBeGreaterThan(0);
  expect(graves.size).toBeGreaterThan(0);
  expect(totals.failed).toBeGreaterThan(0);
});
