/**
 * `console` inside the thread: a line that a body prints becomes a log line of its job.
 *
 * Owns the patch, for the thread's life. The ordinary way (`stdout` piped to main) loses what a body printed just
 * before it hung (1 of 10 lines came; of posted ones all). What no running body printed goes the ordinary way.
 */
import { format } from "node:util";
import type { LogLevel } from "../types.ts";
import type { Host } from "./host.ts";

const LEVELS = [
  ["log", "info"],
  ["info", "info"],
  ["debug", "debug"],
  ["warn", "warn"],
  ["error", "error"],
  ["trace", "debug"],
] as const satisfies readonly (readonly [string, LogLevel])[];

export function patchConsole(host: Host): void {
  for (const [method, level] of LEVELS) {
    const plain = console[method].bind(console);
    console[method] = (...args: unknown[]) => {
      const job = host.speaker();
      if (job === undefined) plain(...args);
      else host.tellLog(job, level, format(...args), undefined);
    };
  }
}
