/**
 * The machine under the figures: what it is, how long the main thread computed, what the heap holds, which disk.
 *
 * Owns nothing but the folders it makes, which the suite that asked for one deletes.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** By its size alone: no host's name, no path, no model. */
export function describeMachine(): string {
  const gib = Math.round(totalmem() / 2 ** 30);
  return `${availableParallelism()} cores, ${gib} GiB, ${process.platform} ${process.arch}`;
}

/** How much else the machine did when the run began: above 1 a core, ratios say little. */
export function loadPerCore(): number {
  return (loadavg()[0] ?? 0) / availableParallelism();
}

const SCHEDSTAT = `/proc/self/task/${process.pid}/schedstat`;
const hasSchedstat = existsSync(SCHEDSTAT);

/**
 * Microseconds this thread has computed since it started. On Linux the scheduler's own count, to the nanosecond;
 * elsewhere the event loop's active time, which counts waiting for a core as well.
 */
export function mainThreadUs(): number {
  if (!hasSchedstat) return performance.eventLoopUtilization().active * 1_000;
  return Number(readFileSync(SCHEDSTAT, "utf8").split(" ")[0]) / 1_000;
}

let collect: (() => void) | undefined;

/** Heap and what hangs on it outside (buffers), in MiB, after everything that is garbage has gone. */
export async function heapMiB(): Promise<number> {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  // Twice, with a turn between: finalizers and what they let go of.
  for (let pass = 0; pass < 3; pass++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

const TMPFS = 0x01021994;

/** A new folder on a real disk: a flush to memory costs nothing and says nothing. */
export function makeFolder(under: string | undefined): { path: string; onDisk: boolean } {
  const base = under ?? tmpdir();
  const path = mkdtempSync(join(base, "spillway-bench-"));
  return { path, onDisk: statfsSync(path).type !== TMPFS };
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** Bytes of all files in a folder, in MiB. */
export function folderMiB(path: string): number {
  const bytes = readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
  return bytes / 2 ** 20;
}
