/**
 * The bench as `npm run bench` runs it: a process of its own, on what is compiled, at a hundredth of the size.
 *
 * Owns the process until it has ended.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Row } from "../../bench/report/rows.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** With these settings of the environment besides. */
export function benchWith(
  more: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<Ended> {
  const env = { ...process.env, SPILLWAY_BENCH_SCALE: "0.01", ...more };
  const child = spawn(process.execPath, ["bench/main.mjs", ...args], { cwd: ROOT, env });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** One quick round, and its rows. */
export async function benchOnce(
  suites: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended & { readonly rows: readonly Row[] }> {
  const folder = mkdtempSync(join(tmpdir(), "bench-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const json = join(folder, "rows.json");
  const ended = await benchWith(env, ...suites, "--quick", "--rounds", "1", "--json", json);
  return { ...ended, rows: JSON.parse(readFileSync(json, "utf8")) as Row[] };
}
