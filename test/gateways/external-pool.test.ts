/** External workers without a wire: who gets which job, and what becomes of it when workers go, hang, age or are missing. */
import { expect, test } from "vitest";
import {
  type ExternalEvent,
  ExternalPool,
  type ExternalPoolOptions,
} from "../../src/actors/external/pool.ts";
import type { ExternalJob, ExternalWorker, WorkerSeat } from "../../src/actors/external/port.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import type { Outcome, Task } from "../../src/threads/types.ts";

class Worker implements ExternalWorker {
  readonly seat: WorkerSeat;
  readonly jobs: string[] = [];
  readonly said: string[] = [];
  readonly name: string;
  readonly type: string;
  readonly hears: boolean;
  readonly beatMs: number;

  constructor(
    pool: ExternalPool,
    name: string,
    { type = "py", hears = true, beatMs = Number.POSITIVE_INFINITY } = {},
  ) {
    this.beatMs = beatMs;
    this.name = name;
    this.type = type;
    this.hears = hears;
    this.seat = pool.seat(this);
    this.seat.free();
  }

  run(job: ExternalJob): void {
    this.jobs.push(job.id);
  }

  signal(id: string, reason: string): void {
    this.said.push(`${reason} ${id}`);
  }

  ping(): void {
    this.said.push("ping");
  }

  end(why: string): void {
    this.said.push(`end: ${why}`);
    this.seat.gone(why);
  }

  done(text = "null"): void {
    this.seat.completed(text);
    this.seat.free();
  }
}

function bench(options: Partial<ExternalPoolOptions> = {}) {
  const clock = new VirtualClock();
  const events: ExternalEvent[] = [];
  const pool = new ExternalPool({
    clock,
    graceMs: { timeout: 0, cancel: 1_000, shutdown: 1_000 },
    resultLimitBytes: 100,
    heartbeatMs: 10_000,
    maxAgeMs: 0,
    maxAgeJitterMs: 0,
    noWorkerMs: 60_000,
    ...options,
  });
  pool.tell = (event) => events.push(event);
  pool.know("py");
  const outcomes = new Map<string, Outcome>();
  const tasks = new Map<string, Task>();
  const give = (id: string, maxExecutionTimeMs = 0): Task => {
    const of = { id, partition: "p", queue: "q", attempt: 0, argsText: "[1]", type: 0 };
    const task = { ...of, maxExecutionTimeMs, ended: (outcome: Outcome) => void outcomes.set(id, outcome) };
    tasks.set(id, task);
    pool.give(task, "job", "py");
    return task;
  };
  /** Outcomes come a microtask later. */
  const outcome = async (id: string): Promise<Outcome | undefined> => {
    await clock.advance(0);
    return outcomes.get(id);
  };
  const worker = (name: string, more = {}) => new Worker(pool, name, more);
  return { clock, pool, events, give, outcome, worker };
}

test("a worker has one job at a time, the oldest first, and the longest idle goes first", async () => {
  const { give, outcome, worker } = bench();
  for (const id of ["a", "b", "c"]) give(id);
  const [one, two] = [worker("one"), worker("two")];
  expect([one.jobs, two.jobs]).toEqual([["a"], ["b"]]);
  two.done('{"x":1}');
  expect(two.jobs).toEqual(["b", "c"]);
  expect(await outcome("b")).toMatchObject({ kind: "completed", value: { x: 1 } });
  one.done();
  two.done();
  give("d");
  expect(one.jobs).toEqual(["a", "d"]);
});

test("a type is served by its own workers only", () => {
  const { give, worker } = bench();
  const other = worker("other", { type: "rb" });
  give("a");
  expect(other.jobs).toEqual([]);
  expect(worker("right").jobs).toEqual(["a"]);
});

test("a dead worker's job goes to another before those that wait; the fourth that dies is the last", async () => {
  const { give, outcome, worker, events } = bench();
  give("a");
  give("b");
  for (const name of ["one", "two", "three"]) {
    const dying = worker(name);
    expect(dying.jobs).toEqual(["a"]);
    dying.end("it crashed");
  }
  expect(await outcome("a")).toBeUndefined();
  worker("four").end("it crashed");
  expect(await outcome("a")).toMatchObject({
    kind: "failed",
    failure: { kind: "crash", name: "WorkerLost", message: expect.stringContaining("four: it crashed") },
  });
  expect(worker("five").jobs).toEqual(["b"]);
  expect(events.filter(({ type }) => type === "worker.left")).toHaveLength(4);
});

test("a time limit ends the connection, with a report; an answer after it is nobody's", async () => {
  const { clock, give, outcome, worker } = bench();
  const one = worker("one");
  give("a", 5_000);
  await clock.advance(4_999);
  expect(await outcome("a")).toBeUndefined();
  await clock.advance(1);
  expect(one.said).toEqual(["timeout a", "end: timeout of job a"]);
  one.seat.completed("1");
  one.seat.gone("again");
  expect(await outcome("a")).toMatchObject({
    kind: "failed",
    failure: { kind: "timeout", name: "Timeout", report: { state: { worker: "one" } } },
  });
});

test("a cancel is heard, and a worker that ends its job within the grace stays", async () => {
  const { clock, pool, give, outcome, worker } = bench();
  const one = worker("one");
  const task = give("a");
  pool.abort(task, "cancel");
  expect(one.said).toEqual(["cancel a"]);
  await clock.advance(500);
  one.seat.failed({ name: "Cancelled", message: "", stack: undefined, final: false });
  one.seat.free();
  expect(await outcome("a")).toEqual({ kind: "aborted", reason: "cancel", report: undefined });
  await clock.advance(5_000);
  give("b");
  expect(one.jobs).toEqual(["a", "b"]);
});

test("one that does not end it is ended after the grace; one that cannot hear, at once", async () => {
  const { clock, pool, give, outcome, worker } = bench();
  const one = worker("one");
  pool.abort(give("a"), "cancel");
  await clock.advance(1_000);
  expect(one.said).toEqual(["cancel a", "end: cancel of job a"]);
  expect(await outcome("a")).toMatchObject({ kind: "aborted", reason: "cancel", report: { state: {} } });
  const deaf = worker("deaf", { hears: false });
  pool.abort(give("b"), "shutdown");
  expect(deaf.said).toEqual(["end: shutdown of job b"]);
  expect(await outcome("b")).toMatchObject({ kind: "aborted", reason: "shutdown" });
});

test("what waits is taken back, or cancelled, and no worker hears of it", async () => {
  const { pool, give, outcome, worker } = bench();
  const [a, b] = [give("a"), give("b")];
  expect(pool.revoke(a)).toBe(true);
  pool.abort(b, "cancel");
  expect(await outcome("a")).toEqual({ kind: "returned" });
  expect(await outcome("b")).toEqual({ kind: "aborted", reason: "cancel", report: undefined });
  expect(worker("one").jobs).toEqual([]);
  const running = give("c");
  expect(pool.revoke(running)).toBe(false);
});

test("a result above the limit fails the attempt, an error of the body too; the worker stays", async () => {
  const { give, outcome, worker } = bench();
  const one = worker("one");
  give("a");
  one.done(JSON.stringify("x".repeat(100)));
  expect(await outcome("a")).toMatchObject({ failure: { kind: "result", name: "ResultTooLarge" } });
  give("b");
  one.seat.failed({ name: "ValueError", message: "no", stack: "there", final: true });
  expect(await outcome("b")).toMatchObject({
    failure: { kind: "error", name: "ValueError", message: "no", final: true },
  });
  one.seat.free();
  give("c");
  expect(one.jobs).toEqual(["a", "b", "c"]);
});

test("a job that nobody serves waits two seconds, then goes away for five, and fails when that lasts too long", async () => {
  const { clock, give, outcome, worker, events } = bench();
  give("a");
  await clock.advance(1_999);
  expect(await outcome("a")).toBeUndefined();
  await clock.advance(1);
  expect(await outcome("a")).toEqual({ kind: "snoozed", delayMs: 5_000 });
  give("b");
  await clock.advance(2_000);
  expect(events).toEqual([{ type: "worker.missing", serves: "py", waiting: 1 }]);
  worker("one").end("it left");
  await clock.advance(59_000);
  give("c");
  await clock.advance(2_000);
  expect(await outcome("c")).toMatchObject({ failure: { kind: "crash", name: "NoWorker", final: false } });
});

test("busy workers are waited for, however long", async () => {
  const { clock, give, outcome, worker } = bench();
  const one = worker("one", { hears: false });
  give("a");
  give("b");
  await clock.advance(600_000);
  expect(await outcome("b")).toBeUndefined();
  one.done();
  expect(one.jobs).toEqual(["a", "b"]);
});

test("a worker that is silent for three heartbeats is ended, and its job goes to another", async () => {
  const { clock, give, worker } = bench();
  const [quiet, lively, deaf] = [worker("quiet"), worker("lively"), worker("deaf", { hears: false })];
  give("a");
  for (let beat = 0; beat < 4; beat += 1) {
    await clock.advance(9_000);
    lively.seat.heard();
  }
  expect(quiet.said.filter((said) => said === "ping").length).toBeGreaterThan(1);
  expect(quiet.said.at(-1)).toBe("end: it is silent");
  expect(lively.jobs).toEqual(["a"]);
  expect(deaf.said).toEqual([]);
});

test("a worker that gives signs of life unasked is ended when three of them are missing, and never asked", async () => {
  const { clock, give, outcome, worker } = bench({ heartbeatMs: 1_000 });
  const one = worker("one", { hears: false, beatMs: 10_000 });
  give("a");
  for (let beat = 0; beat < 3; beat += 1) {
    await clock.advance(20_000);
    one.seat.heard();
  }
  expect(one.said).toEqual([]);
  await clock.advance(31_000);
  expect(one.said).toEqual(["end: it is silent"]);
  worker("two").done("1");
  expect(await outcome("a")).toMatchObject({ kind: "completed" });
});

test("an answer that is no JSON fails the attempt, and says what it was", async () => {
  const { give, outcome, worker } = bench({ resultLimitBytes: 5_000 });
  const one = worker("one");
  for (const [id, text] of [
    ["a", "it is broken"],
    ["b", ""],
    ["c", "x".repeat(4_000)],
  ] as const) {
    give(id);
    one.done(text);
    const failure = {
      kind: "result",
      name: "NoJson",
      message: `the worker's answer is no JSON: ${text.slice(0, 1_000)}`,
    };
    expect(await outcome(id)).toMatchObject({ kind: "failed", failure });
  }
});

test("a worker that is too old is ended when it has no job", async () => {
  const { clock, give, outcome, worker } = bench({ maxAgeMs: 60_000, maxAgeJitterMs: 1_000 });
  const [idle, busy] = [worker("idle", { hears: false }), worker("busy", { hears: false })];
  give("a");
  give("b");
  idle.done();
  await clock.advance(62_000);
  expect(idle.said).toEqual(["end: it is too old"]);
  expect(busy.said).toEqual([]);
  busy.done("1");
  expect(busy.said).toEqual(["end: it is too old"]);
  expect(await outcome("b")).toMatchObject({ kind: "completed", value: 1 });
});

test("a stop hands back what waits, and what ran may run again", async () => {
  const { pool, give, outcome, worker } = bench();
  const one = worker("one");
  give("a");
  give("b");
  pool.stop();
  expect(one.said).toEqual(["end: the runtime stops"]);
  expect(await outcome("a")).toMatchObject({ kind: "rescued" });
  expect(await outcome("b")).toEqual({ kind: "returned" });
  give("c");
  expect(await outcome("c")).toEqual({ kind: "returned" });
});

test("what is given to a worker in the moment in which its connection breaks goes to the next", () => {
  const { pool, give, worker } = bench();
  const broken = worker("broken");
  broken.run = () => broken.end("it broke");
  const sound = worker("sound");
  give("a");
  expect(sound.jobs).toEqual(["a"]);
  expect(pool.threads).toMatchObject([{ worker: "sound", state: "busy", running: "a" }]);
});
