/**
 * Starts one child process, with nothing of ours but three pipes.
 *
 * Owns no state. It leads a group of its own (see `family.ts`). What it prints that is no body's line goes to our own
 * output, as a thread's does; the end of its standard error is kept: V8 and a crashing addon say there why they died.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex, Readable, Writable } from "node:stream";
import { processEntry } from "../compiled.ts";
import type { PoolOptions } from "../types.ts";
import { CHANNEL, type ChildStart } from "./wire.ts";

const LAST_WORDS = 4_096;

export interface Spawned {
  readonly process: ChildProcess;
  readonly channel: Duplex;
  /** What it wrote last to its standard error. */
  lastWords(): string;
}

export function spawnChild(options: PoolOptions): Spawned {
  const { graceMs, captureStack, resourceLimits, resultLimitBytes, memoryLimitBytes, recycle } = options;
  const start: ChildStart = {
    graceMs,
    captureStack,
    loadLimitMs: options.loadLimitMs,
    resourceLimits,
    resultLimitBytes,
    services: Object.keys(options.services ?? {}),
    memoryLimitBytes,
    recycle,
    processLimitBytes: options.processes?.memoryLimitBytes,
  };
  const args = [...inherited(process.execArgv), processEntry(), JSON.stringify(start)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe", "pipe"], detached: true });
  const { stdout, stderr } = child;
  pass(stdout as Readable, process.stdout);
  pass(stderr as Readable, process.stderr);
  let words = "";
  stderr?.on("data", (chunk: Buffer) => {
    words = (words + chunk.toString("utf8")).slice(-LAST_WORDS);
  });
  return { process: child, channel: child.stdio[CHANNEL] as Duplex, lastWords: () => words.trim() };
}

/** Not waited for: `pipe` would, but adds listeners to our output for each child. */
function pass(from: Readable, to: Writable): void {
  from.on("data", (chunk: Buffer) => {
    if (to.write(chunk)) return;
    from.pause();
    to.once("drain", () => from.resume());
  });
}

/** What our own Node was given and a child may have too: loaders and limits, but no script and no debugger's port. */
export function inherited(execArgv: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let i = 0; i < execArgv.length; i++) {
    const word = execArgv[i] ?? "";
    if (/^(-e|-p|-pe|--eval|--print)$/.test(word)) i++;
    else if (
      !/^(--eval=|--print=|--input-type|--inspect|--debug-port|--watch|--test|-i$|--interactive)/.test(word)
    )
      kept.push(word);
  }
  return kept;
}
