import { expect, test } from "vitest";
import type { CallbackName } from "../../src/actors/callbacks.ts";
import { Entry } from "../../src/actors/entry.ts";
import type { NodeServices } from "../../src/actors/services.ts";
import { stepWorker, type WorkerMessage, WorkerState } from "../../src/actors/worker.ts";
import type { WorkerEffect } from "../../src/actors/worker-effects.ts";
import type { Delivery } from "../../src/broker/contract.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import { fakeRef, Recorder } from "../../src/testing/recorder.ts";
import type { Outcome } from "../../src/threads/types.ts";

interface Given {
  readonly callbacks?: readonly CallbackName[];
  readonly suspect?: Delivery["suspect"];
  readonly executionKey?: string;
  readonly cancelled?: boolean;
}

/** One worker with a slot, its step driven by hand; nothing behind it. */
class Bench {
  readonly out = new Recorder<WorkerMessage, WorkerEffect>();
  readonly state: WorkerState;
  readonly entry: Entry;

  constructor({ callbacks = [], suspect, executionKey, cancelled = false }: Given = {}) {
    const envelope = new Envelope({
      id: "1",
      job: "j",
      partition: "p",
      queue: "q",
      argsText: "null",
      executionKey,
    });
    const delivery = {
      envelope,
      redelivered: false,
      suspect,
      subscription: undefined,
    } as unknown as Delivery;
    const known = { name: "j", type: 3, levels: [1] } as never;
    this.entry = Object.assign(new Entry(delivery, known, 0, 1), { slot: true, aheadUs: 100, cancelled });
    const services = {
      callbacks: { has: (name: CallbackName) => callbacks.includes(name) },
      admission: fakeRef("admission"),
      logger: { warn() {} },
      maxCrashes: 3,
    } as unknown as NodeServices;
    const home = {
      services,
      coordinator: fakeRef("coordinator"),
      supervisor: fakeRef("supervisor"),
    } as never;
    this.state = new WorkerState(this.entry, home, undefined);
  }

  /** What a message made the worker do, in a word each. */
  step(message: WorkerMessage): string[] {
    stepWorker(this.state, message, 1_000, this.out);
    return this.out.take().map((op) => {
      if (op.op === "cast") return `${op.to}: ${(op.message as { t: string }).t}`;
      if (op.op === "effect") return op.effect.t === "settle" ? `settle: ${op.effect.plan.do}` : op.effect.t;
      if (op.op === "timer") return `timer: ${op.name}`;
      return op.op;
    });
  }

  /** Puts another delivery of the same job in the place of this one. */
  replace(live: boolean): void {
    this.entry.delivery = { ...this.entry.delivery, live };
  }

  end(outcome: Outcome): string[] {
    return this.step({ t: "outcome", outcome });
  }
}

const completed: Outcome = { kind: "completed", value: 1, durationMs: 0.2 };
const failed: Outcome = {
  kind: "failed",
  failure: { kind: "error", name: "Error", message: "no", stack: undefined, final: false },
  durationMs: 2,
};

test("a job runs, gives its slot back, settles and is gone", () => {
  const bench = new Bench();
  expect(bench.step({ t: "go" })).toEqual(["give"]);
  expect(bench.end(completed)).toEqual(["admission: done", "settle: complete", "stop"]);
});

test("the execution key is released before the delivery is settled", () => {
  const bench = new Bench({ executionKey: "k" });
  bench.step({ t: "go" });
  expect(bench.end(completed)).toEqual([
    "admission: done",
    "coordinator: release",
    "settle: complete",
    "stop",
  ]);
});

test("a retry is durable before the worker ends", () => {
  const bench = new Bench();
  bench.step({ t: "go" });
  expect(bench.end(failed)).toEqual(["admission: done", "settle: retry"]);
  expect(bench.step({ t: "settled", plan: { do: "release", report: undefined } })).toEqual(["stop"]);
});

test("a settlement that the store refuses for want of room is tried again, and the slot is not held for it", () => {
  const bench = new Bench();
  bench.step({ t: "go" });
  bench.end(failed);
  const plan = { do: "release", report: undefined } as const;
  expect(bench.step({ t: "unsettled", plan, error: new Error("full"), final: false })).toEqual([
    "timer: settle",
  ]);
  expect(bench.step({ t: "settle-again", plan })).toEqual(["settle: release"]);
});

test("a delivery that is void ends the worker: the broker has the job again", () => {
  const bench = new Bench();
  bench.step({ t: "go" });
  bench.end(failed);
  const plan = { do: "release", report: undefined } as const;
  expect(bench.step({ t: "unsettled", plan, error: new Error("lost"), final: true })).toEqual(["stop"]);
});

test("beforeRun comes first, and its veto is a failed attempt whose body never starts", () => {
  const bench = new Bench({ callbacks: ["beforeRun"] });
  expect(bench.step({ t: "go" })).toEqual(["beforeRun"]);
  expect(bench.step({ t: "vetoed", error: new Error("no") })).toEqual(["admission: done", "settle: retry"]);
});

test("a cancel while beforeRun runs keeps the body from starting", () => {
  const bench = new Bench({ callbacks: ["beforeRun"] });
  bench.step({ t: "go" });
  expect(bench.step({ t: "abort", reason: "cancel" })).toEqual([]);
  expect(bench.step({ t: "ready", states: [] })).toEqual(["admission: done", "settle: cancel"]);
});

test("a beforeRun that hangs holds up no stop: its job goes back, and what it answers later counts for nothing", () => {
  const bench = new Bench({ callbacks: ["beforeRun"] });
  bench.step({ t: "go" });
  expect(bench.step({ t: "shutdown" })).toEqual(["admission: done", "settle: release", "stop"]);
  expect(bench.step({ t: "ready", states: [] })).toEqual([]);
  expect(bench.step({ t: "vetoed", error: new Error("no") })).toEqual([]);
});

test("a suspect's start is durable before its body is given away; others come in after a while", () => {
  const bench = new Bench({ suspect: { crashes: 1, alone: true } });
  bench.entry.suspect = "alone";
  expect(bench.step({ t: "go" })).toEqual(["mark"]);
  expect(bench.step({ t: "marked" })).toEqual(["give", "timer: others"]);
  expect(bench.step({ t: "others-in" })).toEqual(["others-in", "admission: let-others-in"]);
  expect(bench.step({ t: "others-in" })).toEqual([]);
});

const died = {
  kind: "failed",
  failure: { kind: "crash", name: "Crash", message: "SIGSEGV", stack: undefined, final: false },
  durationMs: 5,
  processDied: true,
} as const;

test("a suspect whose process dies under it is counted first, then runs again with no attempt spent", () => {
  const bench = new Bench({ suspect: { crashes: 0, alone: false } });
  for (const message of [{ t: "go" }, { t: "marked" }] as const) bench.step(message);
  expect(bench.step({ t: "outcome", outcome: died })).toEqual(["admission: done", "count-crash"]);
  const counted = { t: "crash-counted", crashes: 1, failure: died.failure } as const;
  expect(bench.step(counted)).toEqual(["supervisor: again", "stop"]);
});

test("a suspect whose process has died maxCrashes times is buried as poison, unless it was cancelled meanwhile", () => {
  const counted = { t: "crash-counted", crashes: 3, failure: died.failure } as const;
  for (const [wanted, plan] of [
    [undefined, "settle: bury"],
    ["cancel", "settle: cancel"],
  ] as const) {
    const bench = new Bench({ suspect: { crashes: 2, alone: true } });
    for (const message of [{ t: "go" }, { t: "marked" }] as const) bench.step(message);
    bench.step({ t: "outcome", outcome: died });
    if (wanted !== undefined) bench.step({ t: "abort", reason: wanted });
    expect(bench.step(counted)).toEqual([plan]);
  }
});

test("a process that dies under a job that is no suspect is a failed attempt", () => {
  const bench = new Bench({});
  bench.step({ t: "go" });
  expect(bench.step({ t: "outcome", outcome: died })).toEqual(["admission: done", "settle: retry"]);
});

test("a suspect that is cancelled or taken back while its start is made durable does not start", () => {
  for (const [message, plan] of [
    [{ t: "abort", reason: "cancel" }, "cancel"],
    [{ t: "withdraw" }, "release"],
    [{ t: "shutdown" }, "release"],
  ] as const) {
    const bench = new Bench({ suspect: { crashes: 1, alone: true } });
    bench.step({ t: "go" });
    expect(bench.step(message)).toEqual([]);
    const ops = bench.step({ t: "marked" });
    expect(ops.slice(0, 2)).toEqual(["admission: done", `settle: ${plan}`]);
  }
});

test("a suspect that has ended no longer lets others in: the one that runs alone now is another", () => {
  const bench = new Bench({ suspect: { crashes: 1, alone: true } });
  bench.step({ t: "go" });
  bench.step({ t: "marked" });
  bench.end(failed);
  expect(bench.step({ t: "others-in" })).toEqual([]);
});

test("a running body that is cancelled goes down the ladder, and is settled when it has ended", () => {
  const bench = new Bench();
  bench.step({ t: "go" });
  expect(bench.step({ t: "abort", reason: "cancel" })).toEqual(["abort"]);
  expect(bench.end({ kind: "aborted", reason: "cancel", report: undefined })).toEqual([
    "admission: done",
    "settle: cancel",
  ]);
});

test("a body that is to be handed back is revoked if it has not started, and finishes if it has", () => {
  const notStarted = new Bench();
  notStarted.step({ t: "go" });
  expect(notStarted.step({ t: "withdraw" })).toEqual(["revoke"]);
  expect(notStarted.end({ kind: "returned" })).toEqual(["admission: done", "settle: release", "stop"]);
  const started = new Bench();
  started.step({ t: "go" });
  started.step({ t: "withdraw" });
  expect(started.end(completed)).toEqual(["admission: done", "settle: complete", "stop"]);
});

test("a rescued neighbour keeps its key and asks for a slot again", () => {
  const bench = new Bench({ executionKey: "k" });
  bench.step({ t: "go" });
  expect(bench.end({ kind: "rescued", reason: "killed" })).toEqual([
    "admission: done",
    "supervisor: again",
    "stop",
  ]);
});

test("a job that was cancelled while it waited for a slot is settled without one", () => {
  const bench = new Bench({ cancelled: true });
  bench.entry.slot = false;
  expect(bench.step({ t: "go" })).toEqual(["settle: cancel"]);
});

test("a second outcome changes nothing", () => {
  const bench = new Bench();
  bench.step({ t: "go" });
  bench.end(completed);
  expect(bench.end(failed)).toEqual([]);
});

test("a body that ends while its delivery is void keeps its outcome and its key until the job comes again", () => {
  const bench = new Bench({ executionKey: "k" });
  bench.step({ t: "go" });
  bench.replace(false);
  expect(bench.end(completed)).toEqual(["admission: done", "timer: held"]);
  bench.replace(true);
  expect(bench.step({ t: "redelivered" })).toEqual([
    "cancelTimer",
    "coordinator: release",
    "settle: complete",
    "stop",
  ]);
});

test("an outcome whose job does not come again is forgotten, at once when it is cancelled or the partition stops", () => {
  const messages = [{ t: "forgotten" }, { t: "shutdown" }, { t: "abort", reason: "cancel" }] as const;
  for (const message of messages) {
    const bench = new Bench({ executionKey: "k" });
    bench.step({ t: "go" });
    bench.replace(false);
    bench.end(failed);
    expect(bench.step(message)).toEqual(["coordinator: release", "stop"]);
    expect(bench.entry.settled).toBe(bench.entry.delivery);
  }
});

test("a job that comes again while its body runs changes nothing yet", () => {
  const bench = new Bench();
  bench.step({ t: "go" });
  bench.replace(true);
  expect(bench.step({ t: "redelivered" })).toEqual([]);
});
