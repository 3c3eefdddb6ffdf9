/** One admission a pool of threads: nothing of one waits for another. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { AdmissionAnswer, AdmissionEffect, AdmissionMessage, Ask } from "../../src/actors/admission.ts";
import type { GivesWay } from "../../src/actors/others.ts";
import {
  type PoolAdmissionState,
  type PoolCounts,
  poolAdmissionState,
  stepPoolAdmission,
} from "../../src/actors/pool-admission.ts";
import { fakeFrom, fakeRef, Recorder } from "../../src/testing/recorder.ts";

const to = fakeRef<AdmissionAnswer<string>>("worker-supervisor");
const owner = fakeRef<GivesWay>("consumer");

class Bench {
  readonly state: PoolAdmissionState<string>;
  readonly out = new Recorder<AdmissionMessage<string>, AdmissionEffect>();
  #places = 0;

  constructor(own: number, named: Readonly<Record<string, number>>) {
    const of = (threads: number, pool: number) => ({
      pool,
      shares: true,
      watermark: threads,
      threads,
      maxWedged: 1,
      handAhead: 16,
      announceWaiting: () => false,
    });
    this.state = poolAdmissionState({
      own: of(own, 0),
      named: Object.entries(named).map(([name, threads], at) => ({ ...of(threads, at + 1), name })),
      others: undefined,
    });
    this.step({ t: "open", lane: 0, partition: "p", queue: "q", concurrency: 10, owner });
  }

  /** What was started by this message. */
  step(message: AdmissionMessage<string>): string[] {
    stepPoolAdmission(this.state, message, 0, this.out);
    return this.out.take().flatMap((op) => {
      const answer = op.op === "cast" ? (op.message as AdmissionAnswer<string>) : undefined;
      return answer?.t === "start" ? [answer.entry] : [];
    });
  }

  ask(entry: string, pool: number): string[] {
    return this.step(this.asking(entry, pool));
  }

  asking(entry: string, pool: number): Ask<string> {
    const place = ++this.#places;
    return { t: "ask", lane: 0, pool, to, entry, type: pool, ahead: false, ...rest, place, again: false };
  }

  done(pool: number): string[] {
    return this.step({ t: "done", pool, type: pool, aheadUs: 0, ...rest, durationMs: 50, ran: true });
  }

  get counts(): PoolCounts {
    const from = fakeFrom<PoolCounts>();
    stepPoolAdmission(this.state, { t: "counts", from }, 0, this.out);
    const reply = this.out.take().find((op) => op.op === "reply");
    return (reply as { value: PoolCounts }).value;
  }
}

/** Of no suspect. */
const rest = { suspect: undefined } as const;

test("a job of one pool starts although the queue's first waits for another pool", () => {
  const bench = new Bench(1, { image: 1 });
  expect(bench.ask("heavy 1", 1)).toEqual(["heavy 1"]);
  expect(bench.ask("heavy 2", 1)).toEqual([]);
  expect(bench.ask("light 1", 0)).toEqual(["light 1"]);
  expect(bench.ask("light 2", 0)).toEqual([]);
  expect(bench.done(0)).toEqual(["light 2"]);
  expect(bench.done(1)).toEqual(["heavy 2"]);
});

test("a wedged body and a withdrawn job are given back to their own pool", () => {
  const bench = new Bench(1, { image: 1 });
  bench.ask("heavy 1", 1);
  bench.ask("light 1", 0);
  bench.ask("light 2", 0);
  const second = bench.asking("heavy 2", 1);
  expect(bench.step(second)).toEqual([]);
  expect(bench.ask("heavy 3", 1)).toEqual([]);
  expect(bench.step({ t: "withdraw", ask: second })).toEqual([]);
  expect(bench.step({ t: "wedged", pool: 1 })).toEqual(["heavy 3"]);
});

test("a pool whose bodies end calls back no queue that gave way for another", () => {
  const bench = new Bench(1, { image: 1 });
  bench.ask("runs", 0);
  bench.ask("drawn", 1);
  bench.step({ t: "gave-way", lane: 0, pool: 0 });
  const called = (pool: number) => {
    stepPoolAdmission(
      bench.state,
      { t: "done", pool, type: pool, aheadUs: 0, suspect: undefined, durationMs: 50, ran: true },
      0,
      bench.out,
    );
    return bench.out.take().flatMap((op) => (op.op === "cast" && op.to === owner.name ? [op.message] : []));
  };
  expect(called(1)).toEqual([]);
  expect(called(0)).toEqual([{ t: "room", queue: "q" }]);
});

test("counts are sums, and each named pool by itself; without one there are sums only", () => {
  const bench = new Bench(2, { image: 1, mail: 3 });
  for (const pool of [0, 1, 1, 2]) bench.ask(`of ${pool}`, pool);
  expect(bench.counts).toEqual({
    watermark: 6,
    running: 3,
    waiting: 1,
    accepted: 4,
    pools: {
      image: { watermark: 1, running: 1, waiting: 1 },
      mail: { watermark: 3, running: 1, waiting: 0 },
    },
  });
  expect(new Bench(2, {}).counts).toEqual({ watermark: 2, running: 0, waiting: 0, accepted: 0 });
});

test("whatever comes, no pool runs more than its slots, and none is idle while one of its jobs waits", () => {
  const step = fc.record({ pool: fc.nat(2), ends: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const slots = [2, 1, 3];
      const bench = new Bench(2, { a: 1, b: 3 });
      const running = [0, 0, 0];
      const waiting = [0, 0, 0];
      for (const { pool, ends } of steps) {
        const was = running[pool] ?? 0;
        if (ends && was === 0) continue;
        const started = ends ? bench.done(pool).length : bench.ask("x", pool).length;
        running[pool] = was + started - (ends ? 1 : 0);
        waiting[pool] = (waiting[pool] ?? 0) + (ends ? 0 : 1) - started;
        expect(running[pool]).toBeLessThanOrEqual(slots[pool] ?? 0);
        if ((waiting[pool] ?? 0) > 0) expect(running[pool]).toBe(slots[pool]);
      }
    }),
    { numRuns: 300 },
  );
});
