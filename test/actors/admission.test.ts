import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AdmissionAnswer,
  type AdmissionEffect,
  type AdmissionMessage,
  type AdmissionState,
  type Ask,
  admissionState,
  type Done,
  stepAdmission,
} from "../../src/actors/admission.ts";
import type { GivesWay } from "../../src/actors/others.ts";
import { fakeFrom, fakeRef, Recorder } from "../../src/testing/recorder.ts";

const to = fakeRef<AdmissionAnswer<string>>("worker-supervisor");
const owner = fakeRef<GivesWay>("consumer");

interface AskOptions {
  type?: number;
  lane?: number;
  ahead?: boolean;
  suspect?: "beside" | "alone";
  again?: boolean;
}

let places = 0;

function ask(
  entry: string,
  { type = 0, lane = 0, ahead = false, suspect, again = false }: AskOptions = {},
): Ask<string> {
  return { t: "ask", lane, to, entry, type, ahead, suspect, place: ++places, again };
}

class Bench {
  readonly state: AdmissionState<string>;
  readonly out = new Recorder<AdmissionMessage<string>, AdmissionEffect>();
  /** What the last one that was started takes of the work ahead. */
  granted = 0;

  constructor(watermark: number, threads = watermark, handAhead = 16) {
    this.state = admissionState({
      watermark,
      threads,
      maxWedged: 1,
      handAhead,
      announceWaiting: () => false,
      pool: 0,
      shares: true,
    });
    for (const lane of [0, 1, 2])
      this.step({ t: "open", lane, partition: `p${lane}`, queue: "q", concurrency: 10, owner });
  }

  /** What was started by this message. */
  step(message: AdmissionMessage<string>): string[] {
    stepAdmission(this.state, message, 0, this.out);
    return this.out.take().flatMap((op) => {
      const answer = op.op === "cast" ? (op.message as AdmissionAnswer<string>) : undefined;
      if (answer?.t !== "start") return [];
      this.granted = answer.aheadUs;
      return [answer.entry];
    });
  }

  done({ type = 0, aheadUs = 0, suspect, durationMs = 50, ran = true }: Partial<Done> = {}): string[] {
    return this.step({ t: "done", type, aheadUs, suspect, durationMs, ran });
  }

  get counts() {
    const from = fakeFrom<{ running: number; waiting: number; accepted: number }>();
    stepAdmission(this.state, { t: "counts", from }, 0, this.out);
    const reply = this.out.take().find((op) => op.op === "reply");
    return reply?.op === "reply"
      ? (reply.value as { running: number; waiting: number; accepted: number })
      : undefined;
  }

  /** Makes a type known as short. */
  teachShort(type: number, durationMs = 0.1): void {
    for (let i = 0; i < 3; i++) {
      this.step(ask("taught", { type, ahead: true }));
      this.done({ type, durationMs });
    }
  }
}

test("below the watermark a job starts at once, above it it waits, and each end admits the next", () => {
  const bench = new Bench(2);
  expect(bench.step(ask("a"))).toEqual(["a"]);
  expect(bench.step(ask("b"))).toEqual(["b"]);
  expect(bench.step(ask("c"))).toEqual([]);
  expect(bench.counts).toMatchObject({ running: 2, waiting: 1, accepted: 3 });
  expect(bench.done()).toEqual(["c"]);
  expect(bench.done()).toEqual([]);
});

test("a short type is handed ahead, up to 16 a thread, and still counts as waiting", () => {
  const bench = new Bench(2);
  bench.teachShort(7);
  const started = Array.from({ length: 40 }, (_, i) =>
    bench.step(ask(`${i}`, { type: 7, ahead: true })),
  ).flat();
  expect(started).toHaveLength(32);
  expect(bench.counts).toMatchObject({ running: 2, waiting: 38 });
});

test.each([
  [0.001, 64],
  [0.25, 20],
  [0.9, 6],
])("a thread is handed 5 ms of work ahead: of bodies of %s ms that is %s, at most 64", (durationMs, most) => {
  const bench = new Bench(1, 1, 64);
  bench.teachShort(7, durationMs);
  const started = Array.from({ length: 100 }, (_, i) =>
    bench.step(ask(`${i}`, { type: 7, ahead: true })),
  ).flat();
  expect(started).toHaveLength(most);
});

test("a type whose bodies grow is handed ahead less, before it is no longer short", () => {
  const bench = new Bench(1, 1, 64);
  bench.teachShort(7, 0.01);
  for (let i = 0; i < 20; i++) {
    bench.step(ask("one", { type: 7, ahead: true }));
    bench.done({ type: 7, aheadUs: bench.granted, durationMs: 0.5 });
  }
  const started = Array.from({ length: 100 }, (_, i) =>
    bench.step(ask(`${i}`, { type: 7, ahead: true })),
  ).flat();
  expect(started.length).toBeLessThanOrEqual(12);
  expect(started.length).toBeGreaterThanOrEqual(10);
});

test("a type that must not be handed ahead waits for a slot, however short it is", () => {
  const bench = new Bench(2);
  bench.teachShort(7);
  const started = Array.from({ length: 10 }, (_, i) =>
    bench.step(ask(`${i}`, { type: 7, ahead: false })),
  ).flat();
  expect(started).toHaveLength(2);
});

test("one long run, and a type is no longer short", () => {
  const bench = new Bench(1);
  bench.teachShort(7);
  bench.step(ask("a", { type: 7, ahead: true }));
  bench.done({ type: 7, aheadUs: 100, durationMs: 5 });
  bench.step(ask("b", { type: 7, ahead: true }));
  expect(bench.step(ask("c", { type: 7, ahead: true }))).toEqual([]);
});

test("nothing is handed ahead behind a long body: its thread does not count", () => {
  const bench = new Bench(2);
  bench.teachShort(7);
  bench.step(ask("long", { type: 1 }));
  const started = Array.from({ length: 40 }, (_, i) =>
    bench.step(ask(`${i}`, { type: 7, ahead: true })),
  ).flat();
  expect(started).toHaveLength(16);
});

test("a long job whose turn it is is not overtaken by short ones for ever", () => {
  const bench = new Bench(1);
  bench.teachShort(7);
  for (let i = 0; i < 16; i++) bench.step(ask(`s${i}`, { type: 7, ahead: true }));
  bench.step(ask("long", { type: 1, lane: 1 }));
  for (let i = 16; i < 30; i++) expect(bench.step(ask(`s${i}`, { type: 7, ahead: true }))).toEqual([]);
  let ends = 0;
  for (let started: string[] = []; !started.includes("long"); ends++)
    started = bench.done({ type: 7, aheadUs: 100, durationMs: 0.1 });
  expect(ends).toBe(16);
});

test("a watermark below the threads hands nothing ahead: ROH's limit is exact", () => {
  const bench = new Bench(1, 2);
  bench.teachShort(7);
  expect(bench.step(ask("a", { type: 7, ahead: true }))).toEqual(["a"]);
  expect(bench.step(ask("b", { type: 7, ahead: true }))).toEqual([]);
});

test("a suspect waits for no other job, and no other job for it: it has a process of its own", () => {
  const bench = new Bench(3);
  bench.step(ask("a"));
  expect(bench.step(ask("suspect", { suspect: "alone" }))).toEqual(["suspect"]);
  expect(bench.step(ask("b"))).toEqual(["b"]);
});

test("suspects take slots as any job does, and go first", () => {
  const bench = new Bench(1);
  bench.step(ask("a"));
  bench.step(ask("b"));
  expect(bench.step(ask("suspect", { suspect: "beside" }))).toEqual([]);
  expect(bench.done()).toEqual(["suspect"]);
  expect(bench.done({ suspect: "beside" })).toEqual(["b"]);
});

test("suspects run beside each other until one of them must run alone", () => {
  const bench = new Bench(4);
  expect(bench.step(ask("one", { suspect: "beside" }))).toEqual(["one"]);
  expect(bench.step(ask("two", { suspect: "beside" }))).toEqual(["two"]);
  expect(bench.step(ask("alone", { suspect: "alone" }))).toEqual([]);
  expect(bench.step(ask("three", { suspect: "beside" }))).toEqual([]);
  expect(bench.step(ask("innocent"))).toEqual(["innocent"]);
  expect(bench.done({ suspect: "beside" })).toEqual([]);
  expect(bench.done({ suspect: "beside" })).toEqual(["alone"]);
  expect(bench.done({ suspect: "alone" })).toEqual(["three"]);
});

test.each(["beside", "alone"] as const)(
  "a suspect that runs long (%s) lets one in that must run alone",
  (suspect) => {
    const bench = new Bench(2);
    bench.step(ask("long", { suspect }));
    expect(bench.step(ask("next", { suspect: "alone" }))).toEqual([]);
    expect(bench.step({ t: "let-others-in", suspect })).toEqual(["next"]);
    expect(bench.step(ask("last", { suspect: "beside" }))).toEqual([]);
    expect(bench.done()).toEqual([]);
    expect(bench.done({ suspect: "alone" })).toEqual(["last"]);
  },
);

test("a job that was taken back is gone from the queue, and the next one starts in its place", () => {
  const bench = new Bench(1);
  bench.step(ask("a"));
  const waiting = ask("b");
  bench.step(waiting);
  bench.step(ask("c"));
  expect(bench.step({ t: "withdraw", ask: waiting })).toEqual([]);
  expect(bench.step({ t: "withdraw", ask: waiting })).toEqual([]);
  expect(bench.counts).toMatchObject({ running: 1, waiting: 1 });
  expect(bench.done()).toEqual(["c"]);
});

test("a job that gave its slot up goes back to its place, and is counted once", () => {
  const bench = new Bench(1);
  const [first, second, third] = ["first", "second", "third"].map((entry) => ask(entry));
  bench.step(ask("running"));
  for (const asked of [third, second, first]) if (asked) bench.step({ ...asked, again: true });
  bench.step(ask("fourth"));
  expect([1, 2, 3, 4].flatMap(() => bench.done())).toEqual(["first", "second", "third", "fourth"]);
  expect(bench.counts?.accepted).toBe(2);
});

test("a slot that comes back unused admits the next, and teaches nothing of its type", () => {
  const bench = new Bench(1);
  bench.teachShort(7);
  bench.step(ask("a", { type: 7 }));
  bench.step(ask("b"));
  expect(bench.done({ type: 7, durationMs: 0, ran: false })).toEqual(["b"]);
  expect(bench.state.shortRuns[7]).toBe(3);
});

test("a slot that crosses with its withdrawal is free again, though nobody is left to return it", () => {
  const bench = new Bench(1);
  bench.teachShort(7);
  const [long, short] = [ask("long"), ask("short", { type: 7, ahead: true })];
  expect(bench.step(long)).toEqual(["long"]);
  expect(bench.step({ t: "withdraw", ask: long })).toEqual([]);
  expect(bench.step(short)).toEqual(["short"]);
  expect(bench.step(ask("next"))).toEqual([]);
  expect(bench.step({ t: "withdraw", ask: short })).toEqual(["next"]);
  expect(bench.state).toMatchObject({ used: 1, usedShort: 0, aheadUs: 0 });
});

test("a suspect that was granted a slot and withdrawn lets the others in", () => {
  const bench = new Bench(2);
  const suspect = ask("suspect", { suspect: "alone" });
  expect(bench.step(suspect)).toEqual(["suspect"]);
  expect(bench.step(ask("next", { suspect: "alone" }))).toEqual([]);
  expect(bench.step({ t: "withdraw", ask: suspect })).toEqual(["next"]);
});

test("a wedged body holds up no other, up to maxWedged; one beyond keeps its slot until it ends", () => {
  const bench = new Bench(2);
  for (const entry of ["a", "b"]) bench.step(ask(entry));
  expect(bench.step(ask("c"))).toEqual([]);
  expect(bench.step({ t: "wedged" })).toEqual(["c"]);
  bench.step(ask("d"));
  expect(bench.step({ t: "wedged" })).toEqual([]);
  const back = { t: "done", type: 0, aheadUs: 0, suspect: undefined, durationMs: 5, ran: true } as const;
  expect(bench.step({ ...back, wedged: true })).toEqual(["d"]);
  expect(bench.state).toMatchObject({ used: 3, wedged: 1 });
});

const command = fc.record({
  kind: fc.constantFrom("ask", "ask", "done", "withdraw"),
  lane: fc.nat(2),
  type: fc.nat(2),
  durationMs: fc.constantFrom(0.1, 0.1, 5),
});

/** What admission says to others: queues that it offers, those that it calls back, and whether it looks again. */
function said(bench: Bench, message: AdmissionMessage<string>): string[] {
  stepAdmission(bench.state, message, 0, bench.out);
  return bench.out.take().flatMap((op) => {
    if (op.op === "timer") return [op.name];
    if (op.op === "effect") return op.effect.queues.map(({ partition }) => `offer ${partition}`);
    return op.op === "cast" && op.to === owner.name ? [(op.message as GivesWay).t] : [];
  });
}

const LOOK = { t: "look", pool: 0 } as const;
const DONE = { t: "done", type: 0, aheadUs: 0, suspect: undefined, durationMs: 50, ran: true } as const;

test("a queue is offered to other nodes when something has waited in it from one look to the next", () => {
  const bench = new Bench(1);
  expect(said(bench, ask("runs"))).toEqual([]);
  expect(said(bench, ask("a"))).toEqual(["look 0"]);
  expect(said(bench, ask("other", { lane: 1 }))).toEqual([]);
  expect(said(bench, LOOK)).toEqual(["look 0", "offer p0"]);
  expect(said(bench, DONE)).toEqual([]);
  said(bench, ask("b"));
  expect(said(bench, LOOK)).toEqual(["look 0", "offer p1"]);
  expect(bench.done()).toEqual(["other"]);
  expect(bench.done()).toEqual(["b"]);
  expect(said(bench, LOOK)).toEqual([]);
});

test("a queue that gave way is offered no more before it is called back: when a body has ended, not when a slot comes back unused", () => {
  const bench = new Bench(1);
  bench.step(ask("runs"));
  bench.step(ask("a"));
  bench.step(ask("other", { lane: 1 }));
  expect(said(bench, { t: "gave-way", lane: 0, pool: 0 })).toEqual([]);
  expect(said(bench, LOOK)).toEqual(["look 0"]);
  expect(said(bench, { ...DONE, durationMs: Number.POSITIVE_INFINITY })).toEqual([]);
  expect(said(bench, DONE)).toEqual(["room"]);
  expect(said(bench, DONE)).toEqual([]);
});

test.each([{ t: "wedged" }, { t: "resize", watermark: 2, threads: 2 }] as const)(
  "a queue that gave way is called back when a slot comes otherwise: $t",
  (message) => {
    const bench = new Bench(1);
    bench.step(ask("runs"));
    bench.step({ t: "gave-way", lane: 0, pool: 0 });
    expect(said(bench, message)).toEqual(["room"]);
  },
);

test("whatever comes, bodies with a slot never exceed the watermark but for short ones handed ahead, and none is lost", () => {
  fc.assert(
    fc.property(
      fc.array(command, { maxLength: 300 }),
      fc.integer({ min: 1, max: 4 }),
      (commands, watermark) => {
        const bench = new Bench(watermark);
        const running: { entry: string; aheadUs: number; type: number }[] = [];
        const types = new Map<string, number>();
        const asks: Ask<string>[] = [];
        const withdrawn = new Set<string>();
        const look = () => {
          for (const op of bench.out.take()) {
            const answer = op.op === "cast" ? (op.message as AdmissionAnswer<string>) : undefined;
            if (answer?.t !== "start") continue;
            expect(withdrawn.has(answer.entry)).toBe(false);
            running.push({
              entry: answer.entry,
              aheadUs: answer.aheadUs,
              type: types.get(answer.entry) ?? 0,
            });
            asks.splice(
              asks.findIndex((a) => a.entry === answer.entry),
              1,
            );
          }
        };
        for (const { kind, lane, type, durationMs } of commands) {
          if (kind === "ask") {
            const asked = ask(`${types.size + 1}`, { lane, type, ahead: true });
            types.set(asked.entry, type);
            asks.push(asked);
            stepAdmission(bench.state, asked, 0, bench.out);
          } else if (kind === "withdraw") {
            const [taken] = asks.splice(lane, 1);
            if (taken === undefined) continue;
            withdrawn.add(taken.entry);
            stepAdmission(bench.state, { t: "withdraw", ask: taken }, 0, bench.out);
          } else {
            const ended = running.shift();
            if (ended === undefined) continue;
            const { type, aheadUs } = ended;
            stepAdmission(
              bench.state,
              { t: "done", type, aheadUs, suspect: undefined, durationMs, ran: true },
              0,
              bench.out,
            );
          }
          look();
          const long = running.filter((r) => r.aheadUs === 0).length;
          expect(long).toBeLessThanOrEqual(watermark);
          expect(running.length - long).toBeLessThanOrEqual(16 * watermark);
          expect(bench.state.aheadUs).toBe(running.reduce((sum, { aheadUs }) => sum + aheadUs, 0));
          expect(bench.state.lanes.size).toBe(asks.length);
          expect(asks.length > 0 ? running.length > 0 : true).toBe(true);
        }
      },
    ),
  );
});
