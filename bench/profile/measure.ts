/**
 * The passes over one shape: warm up, plain, under the CPU profiler, plain, under the heap's, plain.
 *
 * Owns the inspector's session for the time of a pass. What a job costs is the median of the plain passes, since a profiler
 * makes all dearer; profiles tell shares of it. Main's thread alone is looked at.
 */
import { Session } from "node:inspector/promises";
import { type Bench, median } from "../runner/bench.ts";
import { mainThreadUs } from "../runner/machine.ts";
import type { Measured } from "./budget.ts";
import { type Frame, foldCpu, foldHeap } from "./frames.ts";
import type { Running, Shape } from "./shapes.ts";

const SAMPLE_US = 200;
const SAMPLE_BYTES = 16_384;

/** A profiler around what is looked at. */
type Around<T> = (work: () => Promise<void>) => Promise<T>;

export async function measure(shape: Shape, jobs: number, bench: Bench): Promise<Measured> {
  const running = await shape.start(bench);
  const pass = async <T>(what: string, around: Around<T>) => {
    bench.say(what);
    return onePass(running, jobs, around);
  };
  try {
    await pass("to warm up", plain);
    const first = await pass("plain", plain);
    const cpu = await pass("CPU", underCpu);
    const second = await pass("plain", plain);
    const heap = await pass("heap", underHeap);
    const third = await pass("plain", plain);
    return {
      jobs,
      us: median([first.us, second.us, third.us]),
      usUnderCpu: cpu.us,
      usUnderHeap: heap.us,
      cpu: cpu.found,
      heap: heap.found,
    };
  } finally {
    await running.stop();
  }
}

async function onePass<T>(
  running: Running,
  jobs: number,
  around: Around<T>,
): Promise<{ us: number; found: T }> {
  await running.before(jobs);
  let us = 0;
  const found = await around(async () => {
    const before = mainThreadUs();
    await running.work(jobs);
    us = (mainThreadUs() - before) / jobs;
  });
  await running.after(jobs);
  return { us, found };
}

const plain: Around<void> = (work) => work();

async function underCpu(work: () => Promise<void>): Promise<Frame> {
  return inSession(async (session) => {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: SAMPLE_US });
    await session.post("Profiler.start");
    await work();
    return foldCpu((await session.post("Profiler.stop")).profile);
  });
}

async function underHeap(work: () => Promise<void>): Promise<Frame> {
  return inSession(async (session) => {
    await session.post("HeapProfiler.startSampling", {
      samplingInterval: SAMPLE_BYTES,
      // what was let go again is most of it
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
    await work();
    return foldHeap((await session.post("HeapProfiler.stopSampling")).profile.head);
  });
}

async function inSession<T>(use: (session: Session) => Promise<T>): Promise<T> {
  const session = new Session();
  session.connect();
  try {
    return await use(session);
  } finally {
    session.disconnect();
  }
}
