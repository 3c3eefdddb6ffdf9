/**
 * `spillway gateway powerhose`: Powerhose's master, whose jobs are the lines of standard input.
 *
 * Owns a job runner until its input ends, or a signal comes. Results are written in the order of their jobs, with as many
 * jobs on their way as there are workers, so that input is read no faster than it is worked off.
 */
import { createInterface } from "node:readline";
import { JobRunner } from "../gateways/index.ts";
import { parseDuration } from "../jobs/duration.ts";
import type { CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { Signals } from "./signals.ts";
import { UPKEEP_OPTIONS, upkeepOptions } from "./upkeep.ts";

export const POWERHOSE_OPTIONS: readonly string[] = ["endpoint", "timeout", "retries", ...UPKEEP_OPTIONS];

/** Between two looks for a first worker. */
const LOOK_MS = 100;

interface Job {
  readonly id: string;
  readonly result: Promise<string>;
}

export async function powerhose(call: CommandCall): Promise<number> {
  const { terminal } = call;
  const timeoutMs = duration(call);
  const runner = new JobRunner(call.text("endpoint"), { ...upkeepOptions(call), ...retries(call) });
  const signals = new Signals(terminal, "jobs that run are given up");
  try {
    await runner.start();
    const { endpoint } = runner;
    terminal.record({
      type: "gateway.started",
      at: Date.now(),
      gateway: "powerhose",
      pid: process.pid,
      endpoint,
    });
    if (!terminal.json) terminal.note(`powerhose: workers register at ${endpoint}; Ctrl-C stops it`);
    const failures = await Promise.race([
      work(runner, timeoutMs, call, signals),
      signals.first.then(() => 0),
    ]);
    await runner.stop();
    terminal.record({ type: "gateway.stopped", at: Date.now(), gateway: "powerhose" });
    return failures === 0 ? 0 : 1;
  } finally {
    signals.close();
    process.stdin.destroy();
  }
}

/** Resolves with how many had no result, when the input has ended and all are told. */
async function work(
  runner: JobRunner,
  timeoutMs: number,
  call: CommandCall,
  signals: Signals,
): Promise<number> {
  const running: Job[] = [];
  let count = 0;
  let failures = 0;
  const tell = async (job: Job | undefined): Promise<void> => {
    if (job !== undefined && !(await told(job, call))) failures += 1;
  };
  for await (const data of createInterface({ input: process.stdin })) {
    while (runner.workers.length === 0 && !signals.seen)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if (signals.seen) return failures;
    count += 1;
    const id = String(count);
    const result = runner.execute(id, data, timeoutMs);
    // Its turn to be told may come later.
    result.catch(() => {});
    running.push({ id, result });
    while (running.length >= Math.max(1, runner.workers.length)) await tell(running.shift());
  }
  for (const job of running) await tell(job);
  return failures;
}

async function told({ id, result }: Job, { terminal }: CommandCall): Promise<boolean> {
  try {
    const text = await result;
    terminal.line(text);
    terminal.record({ type: "job.completed", at: Date.now(), id, result: text });
    return true;
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: string };
    if (!terminal.json) terminal.note(`${code}: ${message}`);
    terminal.record({ type: "job.failed", at: Date.now(), id, error: { code, message } });
    return false;
  }
}

function duration(call: CommandCall): number {
  const text = call.text("timeout") ?? "1 second";
  const parsed = parseDuration(/^\d+$/.test(text) ? Number(text) : text);
  if (parsed.ok) return parsed.ms;
  throw new UsageError(`--timeout: ${parsed.problem}.`, call.command);
}

function retries(call: CommandCall): { readonly retries?: number } {
  const text = call.text("retries");
  if (text === undefined) return {};
  if (/^\d{1,3}$/.test(text)) return { retries: Number(text) };
  throw new UsageError(`--retries: expected a whole number, got "${text}".`, call.command);
}
