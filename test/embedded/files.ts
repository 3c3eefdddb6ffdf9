/**
 * What the tests of the embedded broker share: folders, child processes, a look at a closed file.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { EmbeddedBroker } from "../../src/embedded/broker.ts";
import type { Tuning } from "../../src/embedded/store/protocol.ts";
import { Heard } from "../conformance/harness.ts";

export const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const FIXTURES = fileURLToPath(new URL("./fixtures/", import.meta.url));

/** A folder that is gone when the test is. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "spillway-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Not opened. Closed when the test is over. */
export function brokerOn(
  path: string,
  tuning: Partial<Tuning> = {},
  more: { maxCrashes?: number; node?: string } = {},
) {
  const broker = new EmbeddedBroker({ path, ...more, tuning: { ballastBytes: 0, ...tuning } });
  onTestFinished(() => broker.close());
  return broker;
}

export async function opened(path: string, tuning: Partial<Tuning> = {}, more = {}) {
  const broker = brokerOn(path, tuning, more);
  const heard = new Heard();
  await broker.open(heard);
  return { broker, heard };
}

/** An id of the form that plain jobs have, and what makes them plain. */
export const plainId = (name: string): string => name.padEnd(27, "-");
export const FRESH = { fresh: true } as const;

/** A child that runs one of the fixtures; killed when the test is over. */
export function child(fixture: string, ...args: string[]): ChildProcess {
  const process_ = spawn(process.execPath, [join(FIXTURES, fixture), DIST, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void process_.kill("SIGKILL"));
  return process_;
}

/** Resolves when the child has written this line, rejects when it ends before. */
export function said(process_: ChildProcess, line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    process_.stdout?.on("data", (data: Buffer) => {
      text += data.toString();
      if (text.includes(`${line}\n`)) resolve();
    });
    process_.once("exit", (code, signal) =>
      reject(new Error(`the child ended (${code ?? signal}): ${text}`)),
    );
  });
}

export function exited(process_: ChildProcess): Promise<void> {
  if (process_.exitCode !== null || process_.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => process_.once("exit", () => resolve()));
}

export interface Inspection {
  readonly driver: string;
  readonly integrity: readonly string[];
  readonly wrong: readonly unknown[];
  readonly orphans: number;
  readonly bodiless: number;
  /** Rows of the journal; after a close in order all of it is indexed. */
  readonly left: number;
  readonly clean: number;
}

/** A closed store as SQLite alone sees it. */
export function inspect(path: string): Inspection {
  return JSON.parse(
    execFileSync(process.execPath, [join(FIXTURES, "inspect.mjs"), DIST, path], { encoding: "utf8" }),
  );
}
