/**
 * All external workers of a node, whatever gateway they came through, and the jobs that are theirs.
 *
 * Owns the seats and the errands. A worker has one job at a time. A worker that goes away in the middle of one has its
 * job given to another, four times at most; one that is silent for three heartbeats, or too old and idle, is ended. A
 * job that no worker serves goes back to its queue for some seconds, with no attempt spent, and fails with `NoWorker`
 * when that has been so for `noWorkerMs`.
 */
import type { FailureKind } from "../../jobs/envelope.ts";
import { endLater } from "../../threads/callbacks.ts";
import type { Outcome, Task, ThreadInfo } from "../../threads/types.ts";
import { Errand } from "./errand.ts";
import { ExternalLane } from "./lane.ts";
import type { ExternalFailure, ExternalWorker, ExternalWorkers, WorkerSeat } from "./port.ts";
import { Seat, type SeatOwner } from "./seat.ts";
import { Upkeep, type UpkeepOptions } from "./upkeep.ts";

export interface ExternalPoolOptions extends UpkeepOptions {
  readonly graceMs: { readonly timeout: number; readonly cancel: number; readonly shutdown: number };
  readonly resultLimitBytes: number;
  /** How long a type may be without a worker before its jobs fail. */
  readonly noWorkerMs: number;
}

/** What people may want to know; `docs/events.md` has the rows. */
export type ExternalEvent =
  | { readonly type: "worker.joined"; readonly worker: string; readonly serves: string }
  | {
      readonly type: "worker.left";
      readonly worker: string;
      readonly serves: string;
      readonly reason: string;
    }
  | { readonly type: "worker.missing"; readonly serves: string; readonly waiting: number };

/** The first delivery and three more. */
const MOST_DELIVERIES = 4;
/** So long a job waits for a worker that may be about to connect. */
const WAIT_MS = 2_000;
/** Characters of an answer that is none. */
const MOST_TOLD = 1_000;
/** So long it is out of our hands then. */
const AWAY_MS = 5_000;

export class ExternalPool implements ExternalWorkers, SeatOwner {
  /** Told of workers that come and go; set by the node. */
  tell: (event: ExternalEvent) => void = () => {};
  readonly #options: ExternalPoolOptions;
  readonly #lanes = new Map<string, ExternalLane>();
  readonly #seats = new Set<Seat>();
  readonly #errands = new Map<Task, Errand>();
  readonly #upkeep: Upkeep;
  #lastSeat = 0;
  #stopping = false;

  constructor(options: ExternalPoolOptions) {
    this.#options = options;
    this.#upkeep = new Upkeep(options);
  }

  #now(): number {
    return this.#options.clock.now();
  }

  get threads(): readonly ThreadInfo[] {
    return [...this.#seats].map(({ number, worker, errand }) => ({
      threadId: number,
      worker: worker.name,
      state: errand === undefined ? "idle" : errand.reason === undefined ? "busy" : "killing",
      running: errand?.task.id,
      queued: 0,
    }));
  }

  seat(worker: ExternalWorker): WorkerSeat {
    this.#lastSeat += 1;
    const seat = new Seat(this.#lastSeat, worker, this);
    this.#seats.add(seat);
    this.#upkeep.admit(seat);
    const lane = this.#lanes.get(worker.type);
    if (lane !== undefined) {
      lane.seats += 1;
      lane.told = false;
    }
    this.tell({ type: "worker.joined", worker: worker.name, serves: worker.type });
    return seat;
  }

  give(task: Task, job: string, worker: string): void {
    if (this.#stopping) return endLater(task, { kind: "returned" });
    const errand = new Errand(task, job, worker, this.#options.clock);
    this.#errands.set(task, errand);
    const lane = this.know(worker);
    lane.waiting.push(errand);
    this.#pump(lane);
  }

  /** Whether this task is here. */
  has(task: Task): boolean {
    return this.#errands.has(task);
  }

  revoke(task: Task): boolean {
    const errand = this.#errands.get(task);
    if (errand === undefined || !this.know(errand.worker).take(errand)) return false;
    this.#end(errand, errand.deliveries === 0 ? { kind: "returned" } : RESCUED);
    return true;
  }

  abort(task: Task, reason: "cancel" | "shutdown"): void {
    const errand = this.#errands.get(task);
    if (errand === undefined) return;
    if (this.know(errand.worker).take(errand))
      return this.#end(errand, { kind: "aborted", reason, report: undefined });
    errand.end(reason, this.#options.graceMs[reason]);
  }

  /** What waits goes back, who works is ended. The gateways have ended most of it before. */
  stop(): void {
    this.#stopping = true;
    for (const lane of this.#lanes.values())
      for (const errand of lane.waiting.splice(0))
        this.#end(errand, errand.deliveries === 0 ? { kind: "returned" } : RESCUED);
    for (const seat of [...this.#seats]) seat.worker.end("the runtime stops", seat.busy);
  }

  onHeard(seat: Seat): void {
    this.#upkeep.heard(seat);
  }

  onFree(seat: Seat): void {
    if (this.#upkeep.retire(seat)) return;
    const lane = this.#lanes.get(seat.worker.type);
    lane?.free.add(seat);
    if (lane !== undefined) this.#pump(lane);
  }

  onTaken(seat: Seat): void {
    this.#lanes.get(seat.worker.type)?.free.delete(seat);
  }

  onCompleted(_seat: Seat, errand: Errand, text: string): void {
    const bytes = Buffer.byteLength(text);
    const limit = this.#options.resultLimitBytes;
    errand.left();
    if (errand.reason !== undefined) return this.#end(errand, errand.endedAs(errand.reason, false, ""));
    if (bytes > limit)
      return this.#fail(
        errand,
        "result",
        "ResultTooLarge",
        `the result is ${bytes} bytes, the limit is ${limit}`,
      );
    const value = parsed(text);
    if (value === undefined)
      return this.#fail(
        errand,
        "result",
        "NoJson",
        `the worker's answer is no JSON: ${text.slice(0, MOST_TOLD)}`,
      );
    this.#end(errand, { kind: "completed", value, durationMs: errand.ranMs });
  }

  onFailed(_seat: Seat, errand: Errand, failure: ExternalFailure): void {
    errand.left();
    if (errand.reason !== undefined) return this.#end(errand, errand.endedAs(errand.reason, false, ""));
    this.#end(errand, { kind: "failed", failure: { kind: "error", ...failure }, durationMs: errand.ranMs });
  }

  onSnoozed(_seat: Seat, errand: Errand, delayMs: number): void {
    errand.left();
    if (errand.reason !== undefined) return this.#end(errand, errand.endedAs(errand.reason, false, ""));
    this.#end(errand, { kind: "snoozed", delayMs });
  }

  onGone(seat: Seat, why: string): void {
    const { worker, errand } = seat;
    const lane = this.#lanes.get(worker.type);
    this.#seats.delete(seat);
    this.#upkeep.forget(seat);
    seat.errand = undefined;
    if (lane !== undefined) {
      lane.free.delete(seat);
      lane.seats -= 1;
      if (lane.seats === 0) lane.unservedSince = this.#now();
    }
    this.tell({ type: "worker.left", worker: worker.name, serves: worker.type, reason: why });
    if (errand !== undefined) this.#lost(errand, worker, why);
  }

  /** Its worker is gone in the middle of it: because it was to end, or by itself. */
  #lost(errand: Errand, worker: ExternalWorker, why: string): void {
    errand.left();
    if (errand.reason !== undefined)
      return this.#end(errand, errand.endedAs(errand.reason, true, worker.name));
    if (this.#stopping) return this.#end(errand, RESCUED);
    if (errand.deliveries >= MOST_DELIVERIES) {
      const message = `${MOST_DELIVERIES} workers went away with it, the last was ${worker.name}: ${why}`;
      return this.#fail(errand, "crash", "WorkerLost", message);
    }
    const lane = this.know(errand.worker);
    lane.waiting.unshift(errand);
    this.#pump(lane);
  }

  /** The oldest to who has been idle longest, as long as there are both. */
  #pump(lane: ExternalLane): void {
    for (const seat of lane.free) {
      const errand = lane.waiting.shift();
      if (errand === undefined) return;
      lane.free.delete(seat);
      seat.errand = errand;
      errand.start(seat.worker, seat.number, this.#options.graceMs.timeout);
    }
    if (lane.waiting.length > 0 && lane.seats === 0) this.#lookLater(lane);
  }

  #lookLater(lane: ExternalLane): void {
    if (lane.looking || this.#stopping) return;
    lane.looking = true;
    this.#options.clock.timer(WAIT_MS, () => this.#look(lane));
  }

  /** Nobody has come for what waits. */
  #look(lane: ExternalLane): void {
    lane.looking = false;
    if (lane.seats > 0 || lane.waiting.length === 0 || this.#stopping) return;
    const waiting = lane.waiting.splice(0);
    if (!lane.told) this.tell({ type: "worker.missing", serves: lane.type, waiting: waiting.length });
    lane.told = true;
    const unservedMs = this.#now() - lane.unservedSince;
    for (const errand of waiting) {
      if (unservedMs < this.#options.noWorkerMs) this.#end(errand, { kind: "snoozed", delayMs: AWAY_MS });
      else
        this.#fail(
          errand,
          "crash",
          "NoWorker",
          `no worker of type "${lane.type}" has been connected here for ${Math.round(unservedMs / 1_000)} s`,
        );
    }
  }

  #fail(errand: Errand, kind: FailureKind, name: string, message: string): void {
    const failure = { kind, name, message, stack: undefined, final: false };
    this.#end(errand, { kind: "failed", failure, durationMs: errand.ranMs });
  }

  #end(errand: Errand, outcome: Outcome): void {
    this.#errands.delete(errand.task);
    endLater(errand.task, outcome);
  }

  /** A type that jobs ask for: workers of others are counted, and never given anything. */
  know(type: string): ExternalLane {
    let lane = this.#lanes.get(type);
    if (lane === undefined) {
      lane = new ExternalLane(type, this.#now());
      this.#lanes.set(type, lane);
    }
    return lane;
  }
}

/** No JSON reads as undefined. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const RESCUED: Outcome = { kind: "rescued", reason: "its worker's connection has ended" };
