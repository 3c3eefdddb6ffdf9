/**
 * WorkerSupervisor of one partition: everything that was delivered here and has not ended.
 *
 * Owns an entry a job, from the delivery to the worker's exit. It asks admission for a slot and starts a Worker
 * when it gets one. A worker that crashes is followed by one that waits for its body and books the crash; when the
 * supervisor itself ends, bodies go down the kill ladder and their jobs back to the broker, no attempt spent.
 */
import type { Delivery } from "../broker/contract.ts";
import { SHUTDOWN } from "../kernel/exit.ts";
import type { Behaviour, ExitReason, From, Out, Ref, SpawnOptions } from "../kernel/types.ts";
import type { AdmissionAnswer, AdmissionMessage, Ask } from "./admission.ts";
import type { BodyTask } from "./body-task.ts";
import type { KnownJob } from "./catalogue.ts";
import { Entry, slotOf } from "./entry.ts";
import type { CoordinatorMessage } from "./global-coordinator.ts";
import { type RunningWorker, refOf } from "./job-ref.ts";
import type { NodeServices } from "./services.ts";
import { type Aftermath, type WorkerHome, type WorkerMessage, WorkerState, worker } from "./worker.ts";
import { abandon, carryOutSupervisor } from "./worker-supervisor-effects.ts";

export type WorkerSupervisorMessage =
  | AdmissionAnswer<Entry>
  | { readonly t: "run"; readonly delivery: Delivery; readonly known: KnownJob; readonly lane: number }
  | { readonly t: "again"; readonly entry: Entry; readonly rescued: string | undefined }
  | { readonly t: "exited"; readonly pid: number; readonly reason: ExitReason }
  /** Hands back what has not started: of one queue, or of all. */
  | { readonly t: "withdraw"; readonly lane: number | "all" }
  /** Another node has room: what has not started goes back, but for what holds an execution key. */
  | { readonly t: "give-way"; readonly lane: number }
  /** This node may soon hold no execution key any more: what runs or waits under one goes back. */
  | { readonly t: "keys-end" }
  | { readonly t: "cancel"; readonly id: string; readonly from: From<"running" | "queued" | undefined> }
  | { readonly t: "buried"; readonly entry: Entry }
  | { readonly t: "when-idle"; readonly from: From<void> }
  | { readonly t: "running"; readonly from: From<readonly RunningWorker[]> }
  | { readonly t: "shutdown" };

export interface WorkerSupervisorState {
  readonly partition: string;
  readonly home: WorkerHome;
  readonly services: NodeServices;
  readonly spawnOptions: SpawnOptions;
  readonly entries: Map<string, Entry>;
  readonly byPid: Map<number, Entry>;
  readonly idle: From<void>[];
  places: number;
  stopping: boolean;
}

export type WorkerSupervisorEffect =
  /** Its worker crashed, and so did the one that was to book that: the job itself is put aside, not tried for ever. */
  | { readonly t: "bury"; readonly entry: Entry; readonly error: Error }
  | { readonly t: "orphan"; readonly entry: Entry; readonly task: BodyTask }
  | { readonly t: "release"; readonly delivery: Delivery }
  | { readonly t: "waiting"; readonly delivery: Delivery; readonly size: number }
  | { readonly t: "rescued"; readonly delivery: Delivery; readonly reason: string };

type SupervisorOut = Out<WorkerSupervisorMessage, WorkerSupervisorEffect>;
const GO: WorkerMessage = { t: "go" };
const LEAVE: WorkerMessage = { t: "shutdown" };
const REDELIVERED: WorkerMessage = { t: "redelivered" };
const WITHDRAW: WorkerMessage = { t: "withdraw" };
const END: WorkerMessage = { t: "abort", reason: "shutdown" };

export function stepWorkerSupervisor(
  s: WorkerSupervisorState,
  m: WorkerSupervisorMessage,
  _now: number,
  out: SupervisorOut,
): void {
  switch (m.t) {
    case "run":
      return run(s, m, out);
    case "start":
      return granted(s, m.entry, m.aheadUs, out);
    case "exited":
      return exited(s, m.pid, m.reason, out);
    case "again":
      return again(s, m.entry, m.rescued, out);
    case "waiting":
      return out.effect({ t: "waiting", delivery: m.entry.delivery, size: m.size });
    case "withdraw":
      return withdraw(s, m.lane, out);
    case "give-way":
      return giveWay(s, m.lane, out);
    case "keys-end":
      return keysEnd(s, out);
    case "cancel":
      return cancel(s, m.id, m.from, out);
    case "buried":
      return ended(s, m.entry, out);
    case "when-idle":
      if (s.entries.size === 0) return out.reply(m.from, undefined);
      s.idle.push(m.from);
      return;
    case "running":
      return out.reply(m.from, [...s.entries.values()].flatMap(running));
    case "shutdown":
      return shutdown(s, out);
  }
}

function run(s: WorkerSupervisorState, m: WorkerSupervisorMessage & { t: "run" }, out: SupervisorOut): void {
  const { envelope } = m.delivery;
  const there = s.entries.get(envelope.id);
  if (there !== undefined) {
    there.delivery = m.delivery; // adopted: the body that runs settles the newer delivery, the older is void
    if (there.worker !== undefined) out.cast(there.worker, REDELIVERED);
    return;
  }
  const entry = new Entry(m.delivery, m.known, m.lane, ++s.places);
  s.entries.set(envelope.id, entry);
  ask(s, entry, false, out);
}

function ask(s: WorkerSupervisorState, entry: Entry, again: boolean, out: SupervisorOut): void {
  const suspect = suspicionOf(entry);
  const { lane, known } = entry;
  // No thread of ours runs it, and it cannot take our process down: how many run is its queue's and the workers' matter.
  if (known.outside) return start(s, entry, undefined, out);
  const ahead = !known.inProcess && suspect === undefined && !s.services.callbacks.has("beforeRun");
  entry.suspect = suspect;
  entry.pool = suspect === undefined ? known.pool : 0;
  const asked: Ask<Entry> = {
    t: "ask",
    lane,
    pool: entry.pool,
    to: s.home.supervisor as Ref<AdmissionAnswer<Entry>>,
    entry,
    type: known.type,
    ahead,
    suspect,
    place: entry.place,
    again,
    slot: undefined,
  };
  entry.ask = asked;
  out.cast(s.services.admission, asked as unknown as AdmissionMessage);
}

function suspicionOf({ isSuspect, delivery }: Entry): Ask["suspect"] {
  if (!isSuspect) return undefined;
  return delivery.suspect?.alone === true ? "alone" : "beside";
}

/** A slot is there. One that crossed with its withdrawal is admission's again. */
function granted(s: WorkerSupervisorState, entry: Entry, aheadUs: number, out: SupervisorOut): void {
  if (entry.ask === undefined) return;
  entry.aheadUs = aheadUs;
  entry.slot = true;
  start(s, entry, undefined, out);
}

function start(
  s: WorkerSupervisorState,
  entry: Entry,
  aftermath: Aftermath | undefined,
  out: SupervisorOut,
): void {
  entry.ask = undefined;
  const ref = out.spawn(worker, new WorkerState(entry, s.home, aftermath), s.spawnOptions);
  entry.worker = ref;
  s.byPid.set(ref.pid, entry);
  out.cast(ref, GO);
}

/** Beyond the grace: the capture, the terminate and the exit of a thread. */
const WORKER_MARGIN_MS = 5_000;

function exited(s: WorkerSupervisorState, pid: number, reason: ExitReason, out: SupervisorOut): void {
  const entry = s.byPid.get(pid);
  s.byPid.delete(pid);
  if (entry === undefined || entry.worker?.pid !== pid) return;
  entry.worker = undefined;
  if (reason.kind === "crash" && entry.crashes++ === 0)
    return start(s, entry, { error: reason.error, task: entry.task }, out);
  if (entry.slot) out.cast(s.services.admission, slotOf(entry, Number.POSITIVE_INFINITY, true));
  if (reason.kind === "crash") return out.effect({ t: "bury", entry, error: reason.error });
  if (reason.kind === "killed") return killed(s, entry, out);
  if (entry.settled !== entry.delivery) return askAgain(s, entry, out);
  ended(s, entry, out);
}

/** The job is nobody's before its body has ended; then it starts again here, nothing was spent. */
function killed(s: WorkerSupervisorState, entry: Entry, out: SupervisorOut): void {
  if (entry.task === undefined || entry.task.hasEnded) return giveBack(s, entry, out);
  out.effect({ t: "orphan", entry, task: entry.task });
}

function ended(s: WorkerSupervisorState, entry: Entry, out: SupervisorOut): void {
  // what a dead entry still points at would be kept alive by the map's old table, one job by the next
  entry.worker = undefined;
  entry.task = undefined;
  entry.ask = undefined;
  s.entries.delete(entry.delivery.envelope.id);
  if (s.entries.size === 0) idle(s, out);
}

function idle(s: WorkerSupervisorState, out: SupervisorOut): void {
  for (const from of s.idle.splice(0)) out.reply(from, undefined);
  if (s.stopping) out.stop(SHUTDOWN);
}

function again(
  s: WorkerSupervisorState,
  entry: Entry,
  rescued: string | undefined,
  out: SupervisorOut,
): void {
  entry.worker = undefined;
  entry.task = undefined;
  if (rescued !== undefined) out.effect({ t: "rescued", delivery: entry.delivery, reason: rescued });
  askAgain(s, entry, out);
}

/** Unless it was asked back meanwhile: its worker was on its way out and no longer heard of that. */
function askAgain(s: WorkerSupervisorState, entry: Entry, out: SupervisorOut): void {
  if (s.stopping || (entry.withdrawn && !entry.cancelled)) return giveBack(s, entry, out);
  ask(s, entry, true, out);
}

function giveBack(s: WorkerSupervisorState, entry: Entry, out: SupervisorOut): void {
  const { executionKey, id } = entry.delivery.envelope;
  if (executionKey !== undefined) out.cast(s.home.coordinator, { t: "release", key: executionKey, id });
  out.effect({ t: "release", delivery: entry.delivery });
  ended(s, entry, out);
}

/** What waits for a slot goes back at once; a worker gives its job back if the body has not started. */
function withdraw(s: WorkerSupervisorState, lane: number | "all", out: SupervisorOut): void {
  for (const entry of s.entries.values()) {
    if (lane === "all" || entry.lane === lane) askBack(s, entry, WITHDRAW, out);
  }
}

/** A key that goes back would lose its place in the line; a suspect, and what nobody else knows, is better off here. */
function giveWay(s: WorkerSupervisorState, lane: number, out: SupervisorOut): void {
  const { cluster } = s.services.broker;
  for (const entry of s.entries.values()) {
    const { executionKey, job } = entry.delivery.envelope;
    if (entry.lane !== lane || executionKey !== undefined || entry.isSuspect) continue;
    if (!entry.cancelled && !entry.known.outside && cluster.knows(job)) askBack(s, entry, WITHDRAW, out);
  }
}

function keysEnd(s: WorkerSupervisorState, out: SupervisorOut): void {
  for (const entry of s.entries.values()) {
    if (entry.delivery.envelope.executionKey !== undefined) askBack(s, entry, END, out);
  }
}

/** `message`: what its worker is told, if it has one. A body without a worker is on its way down. */
function askBack(s: WorkerSupervisorState, entry: Entry, message: WorkerMessage, out: SupervisorOut): void {
  if (entry.worker === undefined && entry.task?.hasEnded !== false) {
    takeOut(s, entry, out);
    return giveBack(s, entry, out);
  }
  entry.withdrawn = true;
  if (entry.worker !== undefined) out.cast(entry.worker, message);
}

function takeOut(s: WorkerSupervisorState, entry: Entry, out: SupervisorOut): void {
  if (entry.ask === undefined) return;
  out.cast(s.services.admission, { t: "withdraw", ask: entry.ask } as unknown as AdmissionMessage);
  entry.ask = undefined;
}

function cancel(
  s: WorkerSupervisorState,
  id: string,
  from: From<"running" | "queued" | undefined>,
  out: SupervisorOut,
): void {
  const entry = s.entries.get(id);
  if (entry === undefined) return out.reply(from, undefined);
  entry.cancelled = true;
  const orphaned = entry.worker === undefined && entry.task?.hasEnded === false;
  out.reply(from, entry.worker === undefined && !orphaned ? "queued" : "running");
  if (entry.worker !== undefined) return out.cast(entry.worker, { t: "abort", reason: "cancel" });
  if (orphaned) return; // its worker was killed; its body is on its way down, and then it is told
  takeOut(s, entry, out);
  start(s, entry, undefined, out);
}

function shutdown(s: WorkerSupervisorState, out: SupervisorOut): void {
  s.stopping = true;
  if (s.entries.size === 0) return out.stop(SHUTDOWN);
  withdraw(s, "all", out);
  for (const entry of s.entries.values()) if (entry.worker !== undefined) out.cast(entry.worker, LEAVE);
}

function running({ worker: ref, task, delivery }: Entry): RunningWorker[] {
  if (ref === undefined) return [];
  return [
    { name: ref.name, threadId: task?.threadId ?? 0, job: refOf(delivery.envelope, task?.startedAt ?? 0) },
  ];
}

export interface WorkerSupervisorArgs {
  readonly partition: string;
  readonly services: NodeServices;
  readonly coordinatorName: string;
}

export const workerSupervisor: Behaviour<
  WorkerSupervisorState,
  WorkerSupervisorMessage,
  WorkerSupervisorEffect,
  WorkerSupervisorArgs
> = {
  kind: "worker-supervisor",
  init: ({ partition, services, coordinatorName }, self) => {
    const coordinator = self.kernel.whereis(coordinatorName) as Ref<CoordinatorMessage>;
    const state: WorkerSupervisorState = {
      partition,
      services,
      home: { services, coordinator, supervisor: self.ref },
      spawnOptions: { shutdownMs: services.graceMs.shutdown + WORKER_MARGIN_MS },
      entries: new Map(),
      byPid: new Map(),
      idle: [],
      places: 0,
      stopping: false,
    };
    // after an orderly end there are no entries left
    self.kernel.onExit(self.ref, () => abandon(state));
    return state;
  },
  step: stepWorkerSupervisor,
  interpret: carryOutSupervisor,
  exited: (child, reason) => ({ t: "exited", pid: child.pid, reason }),
  shutdown: () => ({ t: "shutdown" }),
  describe: (s) => ({ jobs: s.entries.size }),
};
