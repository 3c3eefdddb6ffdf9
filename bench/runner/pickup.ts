/**
 * How soon a body begins: lone jobs on an idle system, and jobs that come at half the rate that the system can take.
 *
 * Owns the cells of `baselines/marks.ts` during a run. Every job has a cell of its own and runs are counted: a cell that
 * stays empty is a lost job, a run too many is one that ran twice.
 */
import { setTimeout } from "node:timers/promises";
import { clearMark, MARKS, msUntil } from "../baselines/marks.ts";
import { runsReach } from "../baselines/raw.ts";
import { type Bench, callers } from "./bench.ts";

/** A system as it is seen here. */
export interface Taker {
  readonly name: string;
  /** Gives it the job `marked` with this cell. */
  send(cell: number): Promise<void>;
  /** Bodies of its side that have run so far. */
  runs(): number;
}

const PAUSE_MS = 3;

/** One job of each in turn, all asleep between; the latencies of each, in milliseconds. */
export async function lone(
  bench: Bench,
  takers: readonly Taker[],
  jobs: number,
): Promise<readonly number[][]> {
  const before = takers.map((taker) => taker.runs());
  const latencies = takers.map((): number[] => []);
  for (let job = 0; job < jobs; job++)
    for (const [at, taker] of takers.entries()) {
      clearMark(job);
      await setTimeout(PAUSE_MS);
      const called = process.hrtime.bigint();
      await taker.send(job);
      latencies[at]?.push(await begun(taker, job, called));
    }
  for (const [at, taker] of takers.entries())
    bench.check(`runs of lone jobs, ${taker.name}`, jobs, taker.runs() - (before[at] ?? Number.NaN));
  return latencies;
}

const STUCK_MS = 30_000;

/** Looks now and then; the time is the body's own, so a late look costs nothing. */
async function begun(taker: Taker, cell: number, called: bigint): Promise<number> {
  for (const since = performance.now(); performance.now() - since < STUCK_MS; ) {
    const latency = msUntil(cell, called);
    if (latency !== undefined) return latency;
    await setTimeout(PAUSE_MS);
  }
  throw new Error(`${taker.name}: a lone job has not begun for ${STUCK_MS / 1_000} s`);
}

const AWAITED = 256;

/** Jobs a second that it takes and runs when callers press on for so long. */
export async function capacity(bench: Bench, taker: Taker, forMs: number): Promise<number> {
  const before = taker.runs();
  const began = performance.now();
  let sent = 0;
  const open = () => performance.now() - began < forMs && sent < MARKS;
  await callers(AWAITED, Number.POSITIVE_INFINITY, async () => {
    while (open()) await taker.send(sent++);
  });
  await runsReach(before + sent, () => taker.runs());
  bench.check(`runs under full load, ${taker.name}`, sent, taker.runs() - before);
  return sent / ((performance.now() - began) / 1_000);
}

/**
 * Jobs that come at this rate, each millisecond those that are due then. A latency counts from when its job was due: a main
 * thread that is busy, and sends late, does not make the system look quick.
 */
export async function arriving(
  bench: Bench,
  taker: Taker,
  perSecond: number,
  forMs: number,
): Promise<number[]> {
  const jobs = Math.max(1, Math.min(MARKS, Math.floor((perSecond * forMs) / 1_000)));
  for (let cell = 0; cell < jobs; cell++) clearMark(cell);
  const before = taker.runs();
  const sends: Promise<void>[] = [];
  const start = process.hrtime.bigint();
  const dueAt = (cell: number) => start + BigInt(Math.floor((cell / perSecond) * 1e9));
  while (sends.length < jobs) {
    const now = process.hrtime.bigint();
    while (sends.length < jobs && dueAt(sends.length) <= now) sends.push(taker.send(sends.length));
    await setTimeout(1);
  }
  await Promise.all(sends);
  await runsReach(before + jobs, () => taker.runs());
  bench.check(`runs under half load, ${taker.name}`, jobs, taker.runs() - before);
  const latencies = sends.flatMap((_, cell) => msUntil(cell, dueAt(cell)) ?? []);
  bench.check(`jobs that began under half load, ${taker.name}`, jobs, latencies.length);
  return latencies;
}
