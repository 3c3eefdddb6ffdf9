import { expect, test } from "vitest";
import {
  type AdmissionEffect,
  type AdmissionMessage,
  type AdmissionState,
  admissionState,
  stepAdmission,
} from "../../src/actors/admission.ts";
import type { Entry } from "../../src/actors/entry.ts";
import type { NodeServices } from "../../src/actors/services.ts";
import {
  stepWorkerSupervisor,
  type WorkerSupervisorEffect,
  type WorkerSupervisorMessage,
  type WorkerSupervisorState,
} from "../../src/actors/worker-supervisor.ts";
import type { Delivery } from "../../src/broker/contract.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import { SHUTDOWN } from "../../src/kernel/exit.ts";
import { fakeFrom, fakeRef, Recorder } from "../../src/testing/recorder.ts";

/** A supervisor whose step is driven by hand; what it says to admission waits until it is carried there. */
class Bench {
  readonly out = new Recorder<WorkerSupervisorMessage, WorkerSupervisorEffect>();
  readonly admission = admissionState<Entry>({
    watermark: 1,
    threads: 1,
    maxWedged: 1,
    handAhead: 16,
    announceWaiting: () => false,
    pool: 0,
    shares: false,
  });
  readonly #toAdmission: AdmissionMessage<Entry>[] = [];
  readonly state: WorkerSupervisorState;

  constructor() {
    const services = {
      admission: fakeRef("admission"),
      callbacks: { has: () => false },
      broker: { cluster: { knows: (job: string) => job !== "mine-alone" } },
    } as unknown as NodeServices;
    const self = fakeRef("supervisor");
    this.state = {
      partition: "p",
      services,
      home: { services, coordinator: fakeRef("coordinator"), supervisor: self } as never,
      spawnOptions: {},
      entries: new Map(),
      byPid: new Map(),
      idle: [],
      places: 0,
      stopping: false,
    };
    this.carry({
      t: "open",
      lane: 0,
      partition: "p",
      queue: "q",
      concurrency: 10,
      owner: fakeRef("consumer"),
    });
  }

  /** What a message made the supervisor do, in a word each. */
  step(message: WorkerSupervisorMessage): string[] {
    stepWorkerSupervisor(this.state, message, 0, this.out);
    return this.out.take().flatMap((op) => {
      if (op.op === "effect") return [`effect: ${op.effect.t}`];
      if (op.op !== "cast") return [op.op];
      const said = op.message as { t: string };
      if (op.to === "admission") this.#toAdmission.push(said as AdmissionMessage<Entry>);
      return [`${op.to}: ${said.t}`];
    });
  }

  /** Admission handles one message; its answers. */
  carry(message: AdmissionMessage<Entry>): WorkerSupervisorMessage[] {
    const out = new Recorder<AdmissionMessage<Entry>, AdmissionEffect>();
    stepAdmission(this.admission as AdmissionState<Entry>, message, 0, out);
    return out.take().flatMap((op) => (op.op === "cast" ? [op.message as WorkerSupervisorMessage] : []));
  }

  /** Admission handles all it was sent; its answers. */
  carryAll(): WorkerSupervisorMessage[] {
    return this.#toAdmission.splice(0).flatMap((message) => this.carry(message));
  }

  run(
    id: string,
    suspect?: Delivery["suspect"],
    more: { job?: string; executionKey?: string } = {},
  ): string[] {
    const envelope = new Envelope({ id, job: "j", partition: "p", queue: "q", argsText: "null", ...more });
    const delivery = { envelope, redelivered: false, suspect } as unknown as Delivery;
    return this.step({ t: "run", delivery, known: { type: 1, levels: [] } as never, lane: 0 });
  }

  entry(id: string): Entry {
    const entry = this.state.entries.get(id);
    if (entry === undefined) throw new Error(`no job ${id}`);
    return entry;
  }

  /** Runs a job up to its worker. */
  started(id: string): Entry {
    this.run(id);
    for (const answer of this.carryAll()) this.step(answer);
    return this.entry(id);
  }
}

test("a supervisor that stops while a slot is under way to it leaks none", () => {
  const bench = new Bench();
  bench.run("1");
  expect(bench.step({ t: "shutdown" })).toEqual(["admission: withdraw", "effect: release", "stop"]);
  bench.carryAll(); // the grant goes to a supervisor that is gone
  expect(bench.admission.used).toBe(0);
});

test("a job that is taken back while its slot is under way returns it once, whoever looks first", () => {
  const bench = new Bench();
  bench.run("1");
  const grant = bench.carryAll();
  bench.step({ t: "withdraw", lane: "all" });
  for (const answer of grant) expect(bench.step(answer)).toEqual([]);
  bench.carryAll();
  expect(bench.admission.used).toBe(0);
});

test("a job that is cancelled while its slot is under way is settled without it", () => {
  const bench = new Bench();
  bench.run("1");
  const grant = bench.carryAll();
  const from = fakeFrom<"running" | "queued" | undefined>();
  expect(bench.step({ t: "cancel", id: "1", from })).toEqual([
    "reply",
    "admission: withdraw",
    "spawn",
    "worker:1: go",
  ]);
  for (const answer of grant) expect(bench.step(answer)).toEqual([]);
  bench.carryAll();
  expect(bench.admission.used).toBe(0);
  expect(bench.entry("1").slot).toBe(false);
});

test("a pause that meets a worker on its way out holds the job all the same", () => {
  const bench = new Bench();
  const entry = bench.started("1");
  expect(bench.step({ t: "withdraw", lane: 0 })).toEqual(["worker:1: withdraw"]);
  entry.slot = false; // given back by the worker before it heard of the pause
  expect(bench.step({ t: "again", entry, rescued: undefined })).toEqual(["effect: release"]);
});

test("where another node has room, what waits goes back; what has a key, is suspect or known here alone stays", () => {
  const bench = new Bench();
  const running = bench.started("1");
  running.task = { hasEnded: false } as never;
  bench.run("2");
  bench.run("keyed", undefined, { executionKey: "k" });
  bench.run("suspect", { crashes: 1, alone: false });
  bench.run("known here", undefined, { job: "mine-alone" });
  bench.run("3");
  expect(bench.step({ t: "give-way", lane: 0 })).toEqual([
    "worker:1: withdraw",
    "admission: withdraw",
    "effect: release",
    "admission: withdraw",
    "effect: release",
  ]);
  expect([...bench.state.entries.keys()]).toEqual(["1", "keyed", "suspect", "known here"]);
  expect(bench.step({ t: "give-way", lane: 1 })).toEqual([]);
});

test("a job that comes again while its supervisor stops is handed back, not started", () => {
  const bench = new Bench();
  const entry = bench.started("1");
  const [worker] = bench.out.spawned;
  bench.step({ t: "shutdown" });
  if (worker === undefined) throw new Error("no worker was spawned");
  bench.run("1"); // adopted: what its worker settles is the older delivery
  entry.slot = false;
  expect(bench.step({ t: "exited", pid: worker.pid, reason: SHUTDOWN })).toEqual(["effect: release", "stop"]);
});

test("a suspect that is adopted without suspicion still lets the others in when it ends", () => {
  const bench = new Bench();
  bench.run("1", { crashes: 1, alone: true });
  for (const answer of bench.carryAll()) bench.step(answer);
  bench.run("1");
  expect(bench.admission.aloneRuns).toBe(true);
  const [worker] = bench.out.spawned;
  if (worker === undefined) throw new Error("no worker was spawned");
  bench.step({ t: "exited", pid: worker.pid, reason: SHUTDOWN });
  bench.carryAll();
  expect(bench.admission).toMatchObject({ aloneRuns: false, suspectsRunning: 0 });
});
