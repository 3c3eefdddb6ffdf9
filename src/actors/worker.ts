/**
 * Worker: one running job, from its slot to its settlement.
 *
 * Owns one delivery and the body that runs for it: beforeRun → body in a thread → outcome → release the execution
 * key → settle → callbacks. Nothing is settled before the body is known to have ended. When the worker itself
 * crashes, its supervisor starts another one that waits for the body and books the crash as a failed attempt.
 */
import { poisonRecord } from "../broker/poison.ts";
import type { Failure } from "../jobs/failure.ts";
import { SHUTDOWN } from "../kernel/exit.ts";
import type { Behaviour, Out, Ref } from "../kernel/types.ts";
import type { Outcome } from "../threads/types.ts";
import type { AdmissionMessage } from "./admission.ts";
import type { BodyTask, TaskMessage } from "./body-task.ts";
import { type Entry, slotOf } from "./entry.ts";
import type { CoordinatorMessage } from "./global-coordinator.ts";
import type { NodeServices } from "./services.ts";
import { afterFailure, crashOf, decide, type Plan, type Wanted } from "./settlement.ts";
import { carryOut, type WorkerEffect } from "./worker-effects.ts";
import type { WorkerSupervisorMessage } from "./worker-supervisor.ts";

export type WorkerMessage =
  | TaskMessage
  | { readonly t: "go" }
  /** beforeRun has answered. */
  | { readonly t: "ready"; readonly states: readonly unknown[] }
  | { readonly t: "vetoed"; readonly error: Error }
  /** A suspect's start is durable. */
  | { readonly t: "marked" }
  /** Its process has died under it, so often by now, durably. */
  | { readonly t: "crash-counted"; readonly crashes: number; readonly failure: Failure }
  | { readonly t: "settled"; readonly plan: Plan }
  /** The broker did not take the plan; `final` when the delivery is void and the broker has the job again. */
  | { readonly t: "unsettled"; readonly plan: Plan; readonly error: Error; readonly final: boolean }
  | { readonly t: "settle-again"; readonly plan: Plan }
  | { readonly t: "abort"; readonly reason: "cancel" | "shutdown" }
  /** Give it back if it has not started. */
  | { readonly t: "withdraw" }
  /** Its job came again: there is a delivery that can be settled. */
  | { readonly t: "redelivered" }
  /** Whether it still was this node's when its body had ended. */
  | { readonly t: "ours"; readonly plan: Plan; readonly ours: boolean }
  /** It did not come again. */
  | { readonly t: "forgotten" }
  | { readonly t: "others-in" }
  | { readonly t: "shutdown" };

const NO_STATES: readonly unknown[] = [];
const NOBODY: Ref<WorkerMessage> = { name: "worker", pid: 0, cast: () => false };
/** What a worker takes over from one that crashed: its error, and the body to wait for, if there was one. */
export interface Aftermath {
  readonly error: Error;
  readonly task: BodyTask | undefined;
}

/** The supervisor's side of all its workers: made once a partition. */
export interface WorkerHome {
  readonly services: NodeServices;
  readonly coordinator: Ref<CoordinatorMessage>;
  readonly supervisor: Ref<WorkerSupervisorMessage>;
}

/** A class, and handed over as it is: one is made for each job. */
export class WorkerState {
  phase: "new" | "before" | "marking" | "running" | "settling" = "new";
  wanted: Wanted;
  /** The partition stops: a body that cannot be ended is not waited for. */
  leaving = false;
  /** What became of it, while its delivery is void: settled when the job comes again. */
  held: Plan | undefined = undefined;
  /** What beforeRun answered, one for each callback object. */
  states: readonly unknown[] = NO_STATES;
  /** Its own address; set when it starts. */
  self: Ref<WorkerMessage> = NOBODY;

  constructor(
    readonly entry: Entry,
    readonly home: WorkerHome,
    readonly aftermath: Aftermath | undefined,
  ) {
    this.wanted = entry.cancelled ? "cancel" : undefined;
  }

  get services(): NodeServices {
    return this.home.services;
  }
}

/** A settlement that the broker refuses (a full disk) is tried again this often. */
const SETTLE_AGAIN_MS = 1_000;
/** What became of a job whose connection was lost is kept this long: it comes again within a second, or never. */
const HELD_MS = 60_000;
/** A suspect that has run this long no longer keeps the others out. */
const OTHERS_IN_MS = 10_000;
const BEFORE_RUN: WorkerEffect = { t: "beforeRun" };
const MARK: WorkerEffect = { t: "mark" };
const GIVE: WorkerEffect = { t: "give" };
const REVOKE: WorkerEffect = { t: "revoke" };
const OTHERS_IN: WorkerEffect = { t: "others-in" };
const LEAVE: WorkerEffect = { t: "leave" };
const SUPERSEDED: WorkerEffect = { t: "superseded" };

/** What ends without a measured run says nothing for its type being short. */
const NOT_SHORT = Number.POSITIVE_INFINITY;

type WorkerOut = Out<WorkerMessage, WorkerEffect>;

export function stepWorker(s: WorkerState, m: WorkerMessage, now: number, out: WorkerOut): void {
  switch (m.t) {
    case "go":
      return go(s, now, out);
    case "ready":
      s.states = m.states;
      if (s.phase === "before") next(s, now, out);
      return;
    case "vetoed":
      if (s.phase === "before") vetoed(s, m.error, now, out);
      return;
    case "marked":
      return startBody(s, now, out);
    case "crash-counted":
      return crashCounted(s, m, now, out);
    case "outcome":
      return ended(s, m.outcome, now, out);
    case "wedged":
      return wedged(s, out);
    case "settled":
      return out.stop();
    case "unsettled":
      return unsettled(s, m, out);
    case "settle-again":
      return out.effect({ t: "settle", plan: m.plan });
    case "abort":
      return abort(s, m.reason, out);
    case "withdraw":
      s.wanted ??= "release";
      if (s.phase === "running") out.effect(REVOKE);
      return;
    case "redelivered":
      return redelivered(s, out);
    case "ours":
      return m.ours ? settleOurs(s, m.plan, out) : superseded(s, out);
    case "forgotten":
      return forget(s, out);
    case "others-in":
      return othersIn(s, out);
    case "shutdown":
      return shutdown(s, now, out);
  }
}

function go(s: WorkerState, now: number, out: WorkerOut): void {
  if (s.aftermath !== undefined) return takeOver(s, s.aftermath, now, out);
  if (s.wanted !== undefined) return next(s, now, out);
  if (s.services.callbacks.has("beforeRun")) {
    s.phase = "before";
    return out.effect(BEFORE_RUN);
  }
  next(s, now, out);
}

/** The crash of the worker before this one counts as a failed attempt, once the body it left behind has ended. */
function takeOver(s: WorkerState, aftermath: Aftermath, now: number, out: WorkerOut): void {
  if (aftermath.task === undefined || aftermath.task.hasEnded)
    return settle(s, afterCrash(s, aftermath.error, now), out);
  s.phase = "running";
  aftermath.task.owner = s.self;
  out.effect({ t: "abort", reason: "shutdown" });
}

function afterCrash(s: WorkerState, error: Error, now: number): Plan {
  return afterFailure(crashOf(error, "the worker crashed"), caseOf(s, now));
}

/** What has to be before the body, and takes time: a suspect's start is made durable. */
function next(s: WorkerState, now: number, out: WorkerOut): void {
  if (s.wanted === undefined && s.entry.isSuspect) {
    s.phase = "marking";
    return out.effect(MARK);
  }
  startBody(s, now, out);
}

/** The last moment before a body starts: who was cancelled or taken back meanwhile does not start. */
function startBody(s: WorkerState, now: number, out: WorkerOut): void {
  if (s.wanted === undefined) give(s, out);
  else settle(s, decide({ kind: "returned" }, caseOf(s, now)), out);
}

function give(s: WorkerState, out: WorkerOut): void {
  s.phase = "running";
  out.effect(GIVE);
  if (s.entry.suspect !== undefined) out.timer("others", OTHERS_IN_MS, { t: "others-in" });
}

function othersIn(s: WorkerState, out: WorkerOut): void {
  const { suspect } = s.entry;
  if (s.phase !== "running" || suspect === undefined) return; // its slot is back: others are in already
  s.entry.suspect = undefined;
  if (suspect === "alone") out.effect(OTHERS_IN);
  out.cast(s.services.admission, { t: "let-others-in", suspect } satisfies AdmissionMessage);
}

/** What ran in a process of its own has killed that for sure: it is tried again at once, or is poison. */
function crashCounted(
  s: WorkerState,
  { crashes, failure }: WorkerMessage & { t: "crash-counted" },
  now: number,
  out: WorkerOut,
): void {
  const { maxCrashes } = s.services;
  const { envelope } = caseOf(s, now);
  if (crashes >= maxCrashes && s.wanted === undefined)
    return settle(s, { do: "bury", envelope, record: poisonRecord(crashes, now) }, out);
  const rescued = `${failure.message} (crash ${crashes} of ${maxCrashes}, and no attempt was spent)`;
  settle(s, decide({ kind: "rescued", reason: rescued }, caseOf(s, now)), out);
}

function vetoed(s: WorkerState, error: Error, now: number, out: WorkerOut): void {
  settle(s, afterFailure(crashOf(error, "beforeRun"), caseOf(s, now)), out);
}

/** Its thread has been replaced: its slot counts no more, but its job stays where it is. */
function wedged(s: WorkerState, out: WorkerOut): void {
  if (s.entry.slot) {
    s.entry.wedged = true;
    out.cast(s.services.admission, { t: "wedged", pool: s.entry.pool } satisfies AdmissionMessage);
  }
  if (s.leaving) leave(s, out);
}

/** A beforeRun that hangs is not waited for: its body has not started. */
function shutdown(s: WorkerState, now: number, out: WorkerOut): void {
  s.leaving = true;
  if (s.entry.task?.isWedged === true) return leave(s, out);
  abort(s, "shutdown", out);
  if (s.phase === "before") next(s, now, out);
}

function abort(s: WorkerState, reason: "cancel" | "shutdown", out: WorkerOut): void {
  if (s.held !== undefined) return forget(s, out); // the broker has the job, and the mark if it is cancelled
  if (reason === "cancel") s.wanted = "cancel";
  else s.wanted ??= "release";
  if (s.phase === "running") out.effect({ t: "abort", reason });
}

/**
 * The node or the partition stops and the body hangs in a native call: its job stays unsettled until that returns, or
 * the process ends. The runtime names it and keeps the broker open.
 */
function leave(s: WorkerState, out: WorkerOut): void {
  s.entry.settled = s.entry.delivery;
  out.effect(LEAVE);
  out.stop(SHUTDOWN);
}

function ended(s: WorkerState, outcome: Outcome, now: number, out: WorkerOut): void {
  if (s.phase !== "running") return;
  returnSlot(s, "durationMs" in outcome ? outcome.durationMs : NOT_SHORT, out);
  if (outcome.kind === "failed" && outcome.processDied === true && s.entry.isSuspect) {
    s.phase = "settling";
    return out.effect({ t: "count-crash", failure: outcome.failure });
  }
  const crashed = s.aftermath !== undefined && outcome.kind === "aborted";
  const plan = crashed ? afterCrash(s, s.aftermath.error, now) : decide(outcome, caseOf(s, now));
  settle(s, plan, out);
}

function caseOf(s: WorkerState, now: number) {
  return { envelope: s.entry.delivery.envelope, levels: s.entry.known.levels, wanted: s.wanted, now };
}

function returnSlot(s: WorkerState, durationMs: number, out: WorkerOut): void {
  if (s.entry.slot) out.cast(s.services.admission, slotOf(s.entry, durationMs, true));
}

/** Keys first, then the broker: a crash between the two repeats a job and never leaks a key. */
function settle(s: WorkerState, plan: Plan, out: WorkerOut): void {
  s.phase = "settling";
  returnSlot(s, NOT_SHORT, out);
  if (plan.do === "again") {
    out.cast(s.home.supervisor, { t: "again", entry: s.entry, rescued: plan.rescued });
    return out.stop();
  }
  const { delivery } = s.entry;
  if (delivery.live === false && plan.do !== "release") return hold(s, plan, out);
  if (delivery.doubtful === true && plan.do !== "release") return out.effect({ t: "ask-ours", plan });
  settleOurs(s, plan, out);
}

function settleOurs(s: WorkerState, plan: Plan, out: WorkerOut): void {
  releaseKey(s, out);
  out.effect({ t: "settle", plan });
  if (plan.do === "complete" || plan.do === "release") out.stop();
}

/** This node was cut off, another has started or ended the job: its outcome counts, and is told there. */
function superseded(s: WorkerState, out: WorkerOut): void {
  s.entry.settled = s.entry.delivery;
  releaseKey(s, out);
  out.effect(SUPERSEDED);
  out.stop(SHUTDOWN);
}

/** The connection was lost under the body: the job comes again, and must find what became of it, not a new body. */
function hold(s: WorkerState, plan: Plan, out: WorkerOut): void {
  s.held = plan;
  out.timer("held", HELD_MS, { t: "forgotten" });
}

function redelivered(s: WorkerState, out: WorkerOut): void {
  const plan = s.held;
  if (plan === undefined) return;
  s.held = undefined;
  out.cancelTimer("held");
  settle(s, plan, out);
}

function forget(s: WorkerState, out: WorkerOut): void {
  s.entry.settled = s.entry.delivery;
  releaseKey(s, out);
  out.stop(SHUTDOWN);
}

function releaseKey(s: WorkerState, out: WorkerOut): void {
  const { executionKey, id } = s.entry.delivery.envelope;
  if (executionKey !== undefined) out.cast(s.home.coordinator, { t: "release", key: executionKey, id });
}

function unsettled(s: WorkerState, m: WorkerMessage & { t: "unsettled" }, out: WorkerOut): void {
  s.services.logger.warn(`job ${s.entry.delivery.envelope.id} could not be settled: ${m.error.message}`);
  if (m.final) return out.stop(SHUTDOWN);
  out.timer("settle", SETTLE_AGAIN_MS, { t: "settle-again", plan: m.plan });
}

export const worker: Behaviour<WorkerState, WorkerMessage, WorkerEffect, WorkerState> = {
  kind: "worker",
  init: (state, self) => {
    state.self = self.ref;
    return state;
  },
  step: stepWorker,
  interpret: (effect, state) => carryOut(effect, state),
  shutdown: () => ({ t: "shutdown" }),
  describe: (s) => ({ job: s.entry.delivery.envelope.job, id: s.entry.delivery.envelope.id, phase: s.phase }),
};
