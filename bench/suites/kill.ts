/**
 * How soon a thread is gone whose body does not end, and how soon the next body begins, with a spare there.
 *
 * Owns one pool at a time, asked directly: one thread, one spare, and in the last rows a thread beside them whose body keeps
 * libuv's pool full. Every body that was given must have had one end. Beside `for (;;)` with the capture off stands what a bare
 * thread takes, in turn: where cores are short, most of it is the wait for one.
 */
import type { PoolOptions } from "../../src/threads/types.ts";
import { BareThreads } from "../baselines/bare-thread.ts";
import { Bodies, fromGrace, quantiles, startOf } from "../nodes/bodies.ts";
import type { Bench } from "../runner/bench.ts";

const OPTIONS: PoolOptions = {
  threads: 1,
  spares: 1,
  graceMs: { timeout: 0, cancel: 60_000, shutdown: 60_000 },
  captureStack: false,
  maxWedged: 1,
  resultLimitBytes: 1_000,
};

/** What is wanted of the time from the end of the grace until the thread is gone, in ms. */
const GONE = { off: { p50: 15, p99: 40 }, on: { p50: 80, p99: 250 } };
const NEXT = { p50: 1, p99: 10 };
const MICROTASKS_P99 = 80;

const WAYS = [
  { way: "spins", of: "for (;;)" },
  { way: "microtasks", of: "a flood of microtasks" },
  { way: "waits", of: "Atomics.wait" },
  { way: "silent", of: "a promise that never settles" },
];

/** Of each kind; a tenth of what is counted as a job elsewhere, since each costs a thread. */
const KILLS = 600;

export async function killSuite(bench: Bench): Promise<void> {
  for (const capture of ["off", "on"] as const) {
    const options = { ...OPTIONS, captureStack: capture === "on" };
    await withBodies(bench, options, async (bodies) => {
      for (const { way, of } of WAYS)
        await kills(bench, bodies, { way, capture, name: `${of}, capture ${capture}` });
    });
  }
  for (const capture of ["off", "on"] as const) {
    const options = { ...OPTIONS, threads: 2, captureStack: capture === "on" };
    await withBodies(bench, options, async (bodies) => {
      const filling = bodies.give("thread", "fills");
      const name = `for (;;), libuv's pool full, capture ${capture}`;
      await kills(bench, bodies, { way: "spins", capture, name });
      bodies.pool.abort(filling.task, "cancel");
      await filling.outcome;
    });
  }
}

async function withBodies(
  bench: Bench,
  options: PoolOptions,
  work: (bodies: Bodies) => Promise<void>,
): Promise<void> {
  const bodies = await Bodies.of(options);
  try {
    await bodies.pool.start();
    await work(bodies);
    bench.check("ends of bodies", bodies.given, bodies.ends);
  } finally {
    await bodies.pool.stop();
  }
}

interface Case {
  readonly way: string;
  readonly capture: "off" | "on";
  readonly name: string;
}

async function kills(bench: Bench, bodies: Bodies, { way, capture, name }: Case): Promise<void> {
  bench.say(name);
  const bare = way === "spins" && capture === "off" && !bench.settings.ours ? new BareThreads() : undefined;
  const gone: number[] = [];
  const next: number[] = [];
  const goneBare: number[] = [];
  const nextBare: number[] = [];
  const count = Math.max(3, Math.round(bench.settings.count(KILLS) / 10));
  for (let i = 0; i < count; i++) {
    await spareIsHot(bodies);
    const killed = bodies.run("thread", way, { maxExecutionTimeMs: 20 });
    const following = bodies.run("thread", "began");
    gone.push(fromGrace(await killed));
    const settledAt = process.hrtime.bigint();
    next.push(Number(startOf(await following) - settledAt) / 1e6);
    if (bare === undefined) continue;
    goneBare.push(await bare.killMs());
    nextBare.push(await bare.beginMs());
  }
  await bare?.close();
  const beside = (values: readonly number[]) =>
    bare === undefined ? undefined : { name: "a bare Worker", values };
  const p99 = way === "microtasks" && capture === "off" ? { p99: MICROTASKS_P99 } : {};
  quantiles(
    bench,
    name,
    "end of the grace → thread gone",
    gone,
    { ...GONE[capture], ...p99 },
    beside(goneBare),
  );
  quantiles(bench, name, "its outcome → the next body begins", next, NEXT, beside(nextBare));
}

/** Until a spare is there, and a thread that runs nothing: one for the body, one for what comes after its kill. */
async function spareIsHot(bodies: Bodies): Promise<void> {
  const there = (state: string) => bodies.pool.threads.some((thread) => thread.state === state);
  while (!there("spare") || !there("idle")) await new Promise((resolve) => setTimeout(resolve, 5));
}
