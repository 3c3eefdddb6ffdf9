/**
 * What every system that ours is compared with can do, and how a run of it is measured and checked.
 *
 * Owns nothing: whoever opens a system closes it.
 */
import { setTimeout } from "node:timers/promises";
import { runsReach } from "../baselines/raw.ts";
import { type Bench, callers, type Sample, timed } from "../runner/bench.ts";
import type { Body } from "./packages.ts";

export interface PeerSystem {
  /** With how it is set up, where that is not its default. */
  readonly name: string;
  /** Where its bodies run. */
  readonly where: "in-process" | "threads" | "processes";
  /** What becomes of a job that was accepted when the process ends. */
  readonly kept: string;
  /** Resolves when the system says that it has the job; a pool that keeps nothing: when it has run. */
  enqueue(body: Body, args?: unknown): Promise<void>;
  /** As many in one call, where there is such a call. */
  enqueueMany(body: Body, count: number): Promise<void>;
  /** Bodies that have run so far. */
  runs(): number;
  /** Jobs that are anywhere and have not ended well. */
  left(): Promise<number>;
  close(): Promise<void>;
}

/** As it stands in a row: like is to be compared with like, so the row says what it is like. */
export const described = ({ name, where, kept }: PeerSystem): string => `${name} (${where}, ${kept})`;

export const NOT_KEPT = "not kept";

export interface Load {
  readonly body: Body;
  readonly jobs: number;
  /** Calls that are awaited at any time. */
  readonly atOnce: number;
  /** Jobs a call. */
  readonly group?: number;
}

/** Ends when the last body has run; what the system has to note down after that is not on the clock. */
export async function through(bench: Bench, peer: PeerSystem, load: Load): Promise<Sample> {
  const { body, jobs, atOnce, group } = load;
  const before = peer.runs();
  const measured = await timed(jobs, async () => {
    await callers(atOnce, jobs / (group ?? 1), async (take) => {
      while (take()) await (group === undefined ? peer.enqueue(body) : peer.enqueueMany(body, group));
    });
    await runsReach(before + jobs, () => peer.runs());
  });
  bench.check(`jobs left by ${peer.name}`, 0, await settled(peer));
  bench.check(`runs of ${peer.name}`, jobs, peer.runs() - before);
  return { ...measured, checked: jobs };
}

const SETTLE_MS = 10_000;

/** What is left once the system had its time to note down what has run. */
export async function settled(peer: PeerSystem): Promise<number> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const left = await peer.left();
    if (left === 0 || performance.now() > deadline) return left;
    await setTimeout(5);
  }
}

/** For a system with no call for many. */
export const noGroups = (name: string) => (): Promise<void> =>
  Promise.reject(new Error(`${name} takes one job a call`));
