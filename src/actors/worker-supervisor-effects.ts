/**
 * What a worker supervisor does to the world: hands back, puts aside what crashed it, lets go of all when it is gone.
 *
 * Owns no state of its own. After `abandon` every job of the supervisor is settled or the broker's again, its slot
 * and its key are free, and none of that before its body is known to have ended.
 */
import type { Ref } from "../kernel/types.ts";
import type { AdmissionMessage } from "./admission.ts";
import type { BodyTask } from "./body-task.ts";
import { jobFields } from "./callbacks.ts";
import { tellBuried } from "./endings.ts";
import { type Entry, slotOf } from "./entry.ts";
import { verdict } from "./settlement.ts";
import type { WorkerSupervisorEffect, WorkerSupervisorState } from "./worker-supervisor.ts";

export function carryOutSupervisor(effect: WorkerSupervisorEffect, s: WorkerSupervisorState): void {
  const { broker, events } = s.services;
  if (effect.t === "bury") return buryCrashed(effect.entry, effect.error, s);
  if (effect.t === "orphan") return endBody(effect.entry, effect.task, s);
  const fields = () => jobFields(effect.delivery.envelope);
  if (effect.t === "release") broker.release(effect.delivery);
  else if (effect.t === "waiting") events.emit("job.waiting", { ...fields(), size: effect.size });
  else events.emit("job.rescued", { ...fields(), reason: effect.reason });
}

function endBody(entry: Entry, task: BodyTask, s: WorkerSupervisorState): void {
  s.services.pool.abort(task, "shutdown");
  task.orphan(() => s.home.supervisor.cast({ t: "again", entry, rescued: undefined }));
}

function buryCrashed(entry: Entry, error: Error, s: WorkerSupervisorState): void {
  const { broker, clock, logger } = s.services;
  const { envelope } = entry.delivery;
  const failure = verdict("crash", error.name, `its worker crashed twice: ${error.message}`, true);
  const record = { reason: "failed", error: failure, buriedAt: clock.now() } as const;
  releaseKey(entry, s);
  broker
    .bury(entry.delivery, envelope, record)
    .then(() => tellBuried(s.services, envelope, record))
    .catch((refused) => logger.error(`job ${envelope.id} could not be buried`, refused))
    .then(() => s.home.supervisor.cast({ t: "buried", entry }));
}

function releaseKey({ delivery }: Entry, s: WorkerSupervisorState): void {
  const { executionKey, id } = delivery.envelope;
  if (executionKey !== undefined) s.home.coordinator.cast({ t: "release", key: executionKey, id });
}

/** The supervisor is gone, killed or crashed, and its workers with it: bodies are ended, jobs go back as they came. */
export function abandon(s: WorkerSupervisorState): void {
  // the one that gave the slots: when a body ends later, another may be in its place, which gave none of them
  const { admission } = s.services;
  for (const entry of s.entries.values()) {
    if (entry.task === undefined) giveUp(entry, admission, s);
    else {
      s.services.pool.abort(entry.task, "shutdown");
      entry.task.orphan(() => giveUp(entry, admission, s));
    }
  }
  s.entries.clear();
  for (const from of s.idle.splice(0)) from.answer(undefined);
}

function giveUp(entry: Entry, admission: Ref<AdmissionMessage>, s: WorkerSupervisorState): void {
  if (entry.ask !== undefined)
    admission.cast({ t: "withdraw", ask: entry.ask } as unknown as AdmissionMessage);
  if (entry.slot) admission.cast(slotOf(entry, Number.POSITIVE_INFINITY, true));
  if (entry.settled === entry.delivery) return; // its worker had come so far
  releaseKey(entry, s);
  s.services.broker.release(entry.delivery);
}
