/**
 * What a worker does to the world: hands the body to a thread, settles the delivery, calls callbacks, tells events.
 *
 * Owns no state of its own. Every promise made here ends in a message to its worker; nothing is left to reject
 * unseen. Callbacks come after the settlement, so a crash between the two may cost one (api.md).
 */
import type { Envelope } from "../jobs/envelope.ts";
import { JobFailed } from "../jobs/errors.ts";
import type { Failure, KillReport } from "../jobs/failure.ts";
import { toError } from "../kernel/exit.ts";
import { BodyTask } from "./body-task.ts";
import { jobFields } from "./callbacks.ts";
import { tellBuried, tellCancelled, unmark } from "./endings.ts";
import { completed } from "./results.ts";
import type { Plan } from "./settlement.ts";
import type { WorkerMessage, WorkerState } from "./worker.ts";

export type WorkerEffect =
  | { readonly t: "beforeRun" }
  | { readonly t: "mark" }
  | { readonly t: "others-in" }
  /** A suspect's process has died under it: that is written down before it runs again. */
  | { readonly t: "count-crash"; readonly failure: Failure }
  | { readonly t: "give" }
  /** Nobody waits for the body any more; the broker gets its job when it has ended. */
  | { readonly t: "leave" }
  | { readonly t: "revoke" }
  | { readonly t: "abort"; readonly reason: "cancel" | "shutdown" }
  /** The node was cut off: is the job still its own? */
  | { readonly t: "ask-ours"; readonly plan: Plan }
  | { readonly t: "superseded" }
  | { readonly t: "settle"; readonly plan: Plan };

export function carryOut(effect: WorkerEffect, s: WorkerState): void {
  const { services, entry } = s;
  switch (effect.t) {
    case "give":
      entry.task = taskOf(s);
      return services.pool.give(entry.task);
    case "settle":
      return settle(effect.plan, s);
    case "count-crash":
      services.broker.markCrashed(entry.delivery).then(
        (crashes) => s.self.cast({ t: "crash-counted", crashes, failure: effect.failure }),
        (error) => s.self.cast(notWritten(error)),
      );
      return;
    case "leave": {
      const { delivery, task } = entry;
      return task?.orphan(() => services.broker.release(delivery));
    }
    case "ask-ours":
      return askOurs(effect.plan, s);
    case "superseded":
      return services.events.emit("job.superseded", jobFields(entry.delivery.envelope));
    case "revoke":
      if (entry.task !== undefined) services.pool.revoke(entry.task);
      return;
    case "abort":
      if (entry.task !== undefined) services.pool.abort(entry.task, effect.reason);
      return;
    case "beforeRun":
      services.callbacks.beforeRun(entry.delivery.envelope).then(
        (states) => s.self.cast({ t: "ready", states }),
        (error) => s.self.cast({ t: "vetoed", error: toError(error) }),
      );
      return;
    case "mark":
      // A delivery that is void by now is found out when it is settled; its start is not held up by that.
      services.broker.markStarted(entry.delivery, entry.delivery.suspect?.alone === true).then(
        () => s.self.cast({ t: "marked" }),
        (error) => s.self.cast(notWritten(error)),
      );
      return;
    case "others-in":
      services.broker
        .markStarted(entry.delivery, false)
        .catch((error) => services.logger.warn(toError(error).message));
      return;
  }
}

function taskOf({ entry, self, services }: WorkerState): BodyTask {
  const { delivery, known, aheadUs, isSuspect } = entry;
  return new BodyTask(delivery.envelope, known.type, aheadUs > 0, isSuspect, self, services);
}

/** The broker has the job again, and it comes as it came. */
function notWritten(error: unknown): WorkerMessage {
  return { t: "unsettled", plan: { do: "release", report: undefined }, error: toError(error), final: true };
}

/** Who cannot be asked cannot have it: the outcome is told then, as that of a job that ran twice would be. */
function askOurs(plan: Plan, s: WorkerState): void {
  const told = (ours: boolean) => s.self.cast({ t: "ours", plan, ours });
  s.services.broker.stillOurs(s.entry.delivery).then(told, () => told(true));
}

function settle(plan: Plan, s: WorkerState): void {
  const { broker } = s.services;
  const delivery = s.entry.delivery;
  s.entry.settled = delivery;
  switch (plan.do) {
    case "complete":
      broker.complete(delivery);
      return afterwards(plan, s);
    case "release":
      broker.release(delivery);
      return afterwards(plan, s);
    case "cancel":
      return settled(discard(s), plan, s);
    case "retry":
    case "snooze":
      return settled(broker.retry(delivery, plan.next, s.services.clock.now() + plan.delayMs), plan, s);
    case "bury":
      return settled(broker.bury(delivery, plan.envelope, plan.record), plan, s);
    case "again":
      return;
  }
}

function settled(durable: Promise<void>, plan: Plan, s: WorkerState): void {
  durable.then(
    () => {
      afterwards(plan, s);
      s.self.cast({ t: "settled", plan });
    },
    (error) =>
      s.self.cast({
        t: "unsettled",
        plan,
        error: toError(error),
        final: toError(error).name !== "StorageFull",
      }),
  );
}

/** With its mark, if `cancel` has left one. */
async function discard(s: WorkerState): Promise<void> {
  const { partition, id } = s.entry.delivery.envelope;
  await s.services.broker.discard(s.entry.delivery);
  await unmark(s.services, partition, id);
}

/** Its cancel came when the body had ended by itself: the mark must not meet the next job of this id. */
function forgetMark(s: WorkerState): void {
  if (!s.entry.cancelled) return;
  const { partition, id } = s.entry.delivery.envelope;
  unmark(s.services, partition, id).catch((error) => s.services.logger.warn(toError(error).message));
}

/** Callbacks, results and events, once what they speak of has happened. */
function afterwards(plan: Plan, s: WorkerState): void {
  const { services, states } = s;
  const { events, results, callbacks } = services;
  const envelope = settledOf(s);
  const { partition, id } = envelope;
  switch (plan.do) {
    case "complete":
      forgetMark(s);
      results.ended(partition, id, completed(plan.value), envelope.replyTo);
      if (events.wants("job.completed"))
        events.emit("job.completed", {
          ...jobFields(envelope),
          result: plan.value,
          durationMs: plan.durationMs,
        });
      if (callbacks.has("afterRun")) void callbacks.afterRun(envelope, plan.value, states);
      return;
    case "retry":
      return retried(plan, s);
    case "bury":
      forgetMark(s);
      return buried(plan, s);
    case "snooze":
      if (events.wants("job.snoozed"))
        events.emit("job.snoozed", { ...jobFields(envelope), delayMs: plan.delayMs });
      return;
    case "cancel":
      killed(plan.report, "cancel", s);
      return tellCancelled(services, envelope, plan.was);
    case "release":
      return killed(plan.report, "shutdown", s);
    case "again":
      return;
  }
}

function retried(plan: Plan & { do: "retry" }, s: WorkerState): void {
  const { events, callbacks } = s.services;
  const envelope = settledOf(s);
  const error = new JobFailed(envelope.id, plan.failure);
  reportKill(plan.failure.kind, plan.failure.report, s);
  events.emit("job.failed", { ...jobFields(envelope), error, willRetry: true });
  events.emit("job.retried", { ...jobFields(envelope), delayMs: plan.delayMs });
  void callbacks.onError(envelope, error, s.states);
}

/** `retry: false` gives onError(0), onBuried(0); past the last level onBuried alone. */
function buried(plan: Plan & { do: "bury" }, s: WorkerState): void {
  const { services, states } = s;
  const envelope = settledOf(s);
  const failure = plan.record.error;
  const error = new JobFailed(envelope.id, failure);
  reportKill(failure.kind, failure.report, s);
  services.events.emit("job.failed", { ...jobFields(envelope), error, willRetry: false });
  const retries = (envelope.levels ?? s.entry.known.levels).length > 0;
  const told = retries ? undefined : services.callbacks.onError(envelope, error, states);
  tellBuried(services, envelope, plan.record, states, told);
}

function reportKill(kind: string, report: KillReport | undefined, s: WorkerState): void {
  if (kind === "timeout" || kind === "memory") killed(report, kind, s);
}

function killed(
  report: KillReport | undefined,
  reason: "timeout" | "cancel" | "shutdown" | "memory",
  s: WorkerState,
): void {
  if (report === undefined) return;
  s.services.events.emit("job.killed", { ...jobFields(settledOf(s)), reason, report });
}

/** What was settled: the next attempt of the same job may have come in its place by now. */
function settledOf({ entry }: WorkerState): Envelope {
  return (entry.settled ?? entry.delivery).envelope;
}
