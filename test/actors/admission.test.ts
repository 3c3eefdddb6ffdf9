import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AdmissionAnswer,
  type AdmissionMessage,
  type AdmissionState,
  type Ask,
  admissionState,
  stepAdmission,
} from "../../src/actors/admission.ts";
import { fakeFrom, fakeRef, Recorder } from "../../src/testing/recorder.ts";

const to = fakeRef<AdmissionAnswer<string>>("worker-supervisor");

interface AskOptions {
  type?: number;
  lane?: number;
  ahead?: boolean;
  alone?: boolean;
  again?: boolean;
}

let places = 0;

function ask(
  entry: string,
  { type = 0, lane = 0, ahead = false, alone = false, again = false }: AskOptions = {},
): Ask<string> {
  return { t: "ask", lane, to, entry, type, ahead, alone, place: ++places, again };
}

class Bench {
  readonly state: AdmissionState<string>;
  readonly out = new Recorder<AdmissionMessage<string>, never>();

  constructor(watermark: number, threads = watermark, handAhead = 16) {
    this.state = admissionState({
      watermark,
      threads,
      maxWedged: 1,
      handAhead,
      announceWaiting: () => false,
    });
    for (const lane of [0, 1, 2])
      this.step({ t: "open", lane, partition: `p${lane}`, queue: "q", concurrency: 10 });
  }

  /** What was started by this message. */
  step(message: AdmissionMessage<string>): string[] {
    stepAdmission(this.state, message, 0, this.out);
    return this.out.take().flatMap((op) => {
      const answer = op.op === "cast" ? (op.message as AdmissionAnswer<string>) : undefined;
      return answer?.t === "start" ? [answer.entry] : [];
    });
  }

  done({ type = 0, short = false, alone = false, durationMs = 50, ran = true } = {}): string[] {
    return this.step({ t: "done", type, short, alone, durationMs, ran });
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
  teachShort(type: number): void {
    for (let i = 0; i < 3; i++) {
      this.step(ask("taught", { type, ahead: true }));
      this.done({ type, durationMs: 0.1 });
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
  bench.done({ type: 7, short: true, durationMs: 5 });
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
    started = bench.done({ type: 7, short: true, durationMs: 0.1 });
  expect(ends).toBe(16);
});

test("a watermark below the threads hands nothing ahead: ROH's limit is exact", () => {
  const bench = new Bench(1, 2);
  bench.teachShort(7);
  expect(bench.step(ask("a", { type: 7, ahead: true }))).toEqual(["a"]);
  expect(bench.step(ask("b", { type: 7, ahead: true }))).toEqual([]);
});

test("a suspect starts when nothing runs, and nothing starts beside it", () => {
  const bench = new Bench(2);
  bench.step(ask("a"));
  expect(bench.step(ask("suspect", { alone: true }))).toEqual([]);
  expect(bench.step(ask("b"))).toEqual([]);
  expect(bench.done()).toEqual(["suspect"]);
  expect(bench.step(ask("c"))).toEqual([]);
  expect(bench.done({ alone: true })).toEqual(["b", "c"]);
});

test("a suspect that runs long lets the others in, and two suspects never run together", () => {
  const bench = new Bench(2);
  expect(bench.step(ask("one", { alone: true }))).toEqual(["one"]);
  expect(bench.step(ask("two", { alone: true }))).toEqual([]);
  bench.step(ask("a"));
  expect(bench.step({ t: "drained-enough" })).toEqual([]);
  expect(bench.step({ t: "let-others-in" })).toEqual(["a"]);
  expect(bench.done()).toEqual([]);
  expect(bench.done({ alone: true })).toEqual(["two"]);
});

test("a job that runs for ever keeps a suspect waiting, and the others only for ten seconds", () => {
  const bench = new Bench(2);
  bench.step(ask("for ever"));
  stepAdmission(bench.state, ask("suspect", { alone: true }), 0, bench.out);
  expect(bench.out.take()).toContainEqual({
    op: "timer",
    name: "drain",
    afterMs: 10_000,
    message: { t: "drained-enough" },
  });
  expect(bench.step(ask("b"))).toEqual([]);
  expect(bench.step({ t: "drained-enough" })).toEqual(["b"]);
});

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
  expect(bench.state).toMatchObject({ used: 1, usedShort: 0 });
});

test("a suspect that was granted the process and withdrawn lets the others in", () => {
  const bench = new Bench(1);
  const suspect = ask("suspect", { alone: true });
  expect(bench.step(suspect)).toEqual(["suspect"]);
  expect(bench.step(ask("a"))).toEqual([]);
  expect(bench.step({ t: "withdraw", ask: suspect })).toEqual(["a"]);
});

test("a wedged body holds up no other, up to maxWedged; one beyond keeps its slot until it ends", () => {
  const bench = new Bench(2);
  for (const entry of ["a", "b"]) bench.step(ask(entry));
  expect(bench.step(ask("c"))).toEqual([]);
  expect(bench.step({ t: "wedged" })).toEqual(["c"]);
  bench.step(ask("d"));
  expect(bench.step({ t: "wedged" })).toEqual([]);
  const back = { t: "done", type: 0, short: false, alone: false, durationMs: 5, ran: true } as const;
  expect(bench.step({ ...back, wedged: true })).toEqual(["d"]);
  expect(bench.state).toMatchObject({ used: 3, wedged: 1 });
});

test("a suspect and a steady stream of others take turns: it gets the process in its second turn", () => {
  const bench = new Bench(2);
  bench.step(ask("a"));
  bench.step(ask("suspect", { alone: true }));
  bench.step(ask("b"));
  expect(bench.step({ t: "drained-enough" })).toEqual(["b"]);
  expect(bench.done()).toEqual([]);
  expect(bench.step({ t: "drain-again" })).toEqual([]);
  expect(bench.step(ask("c"))).toEqual([]);
  expect(bench.done()).toEqual(["suspect"]);
  expect(bench.done({ alone: true })).toEqual(["c"]);
});

const command = fc.record({
  kind: fc.constantFrom("ask", "ask", "done", "withdraw"),
  lane: fc.nat(2),
  type: fc.nat(2),
  durationMs: fc.constantFrom(0.1, 0.1, 5),
});

test("whatever comes, bodies with a slot never exceed the watermark but for short ones handed ahead, and none is lost", () => {
  fc.assert(
    fc.property(
      fc.array(command, { maxLength: 300 }),
      fc.integer({ min: 1, max: 4 }),
      (commands, watermark) => {
        const bench = new Bench(watermark);
        const running: { entry: string; short: boolean; type: number }[] = [];
        const types = new Map<string, number>();
        const asks: Ask<string>[] = [];
        const withdrawn = new Set<string>();
        const look = () => {
          for (const op of bench.out.take()) {
            const answer = op.op === "cast" ? (op.message as AdmissionAnswer<string>) : undefined;
            if (answer?.t !== "start") continue;
            expect(withdrawn.has(answer.entry)).toBe(false);
            running.push({ entry: answer.entry, short: answer.short, type: types.get(answer.entry) ?? 0 });
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
            const { type, short } = ended;
            stepAdmission(
              bench.state,
              { t: "done", type, short, alone: false, durationMs, ran: true },
              0,
              bench.out,
            );
          }
          look();
          const long = running.filter((r) => !r.short).length;
          expect(long).toBeLessThanOrEqual(watermark);
          expect(running.length - long).toBeLessThanOrEqual(16 * watermark);
          expect(bench.state.lanes.size).toBe(asks.length);
          expect(asks.length > 0 ? running.length > 0 : true).toBe(true);
        }
      },
    ),
  );
});
