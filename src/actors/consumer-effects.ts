/**
 * What a consumer does to the world: subscribes, hands back, buries what nobody here can run.
 *
 * Owns no state of its own. A settlement that fails here leaves the job with the broker, which hands it out again.
 */
import type { Delivery, QueueRef, Subscription } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { snoozed } from "../jobs/retry.ts";
import { toError } from "../kernel/exit.ts";
import type { From } from "../kernel/types.ts";
import { askOf, type ConsumerState } from "./consumer.ts";
import { tellBuried, tellCancelled } from "./endings.ts";
import { limitOf, type OpenQueue } from "./open-queue.ts";
import type { NodeServices } from "./services.ts";
import { buryWith, verdict } from "./settlement.ts";

export type ConsumerEffect =
  | {
      readonly t: "declare";
      readonly queues: Readonly<Record<string, number>>;
      readonly round: number;
      readonly from: From<void>;
    }
  | { readonly t: "open"; readonly queue: string; readonly concurrency: number }
  | { readonly t: "limit"; readonly subscription: Subscription; readonly limit: number }
  | { readonly t: "pause" | "resume" | "unsubscribe"; readonly subscription: Subscription }
  | { readonly t: "release" | "unknown" | "cancelled"; readonly delivery: Delivery };

export function carryOutConsumer(effect: ConsumerEffect, s: ConsumerState): void {
  switch (effect.t) {
    case "release":
      return release(s, effect.delivery);
    case "limit":
      return effect.subscription.setLimit(effect.limit);
    case "pause":
      return effect.subscription.pause();
    case "resume":
      return effect.subscription.resume();
    case "unsubscribe":
      effect.subscription.cancel().catch((error) => s.services.logger.warn(toError(error).message));
      return;
    case "declare":
      return declare(s, effect);
    case "open":
      return openQueue(s, effect.queue, effect.concurrency);
    case "unknown":
      return settleUnknown(s, effect.delivery);
    case "cancelled":
      return dropCancelled(s, effect.delivery);
  }
}

/**
 * Subscribes to one queue that exists. It is in the state at once, not by a message: a pause or an end that is on
 * its way must find it there.
 */
export function openQueue(s: ConsumerState, name: string, concurrency: number): void {
  const { services, self } = s;
  const ref: QueueRef = { partition: s.partition, queue: name };
  const { broker, catalogue } = services;
  const lane = services.laneOf(ref);
  services.admission.cast({ t: "open", lane, partition: ref.partition, queue: ref.queue, concurrency });
  const queue: OpenQueue = { ref, lane, concurrency, paused: false, subscription: undefined, keyWaiters: 0 };
  s.queues.set(name, queue);
  if (concurrency === 0 || !services.runsJobs) return;
  queue.subscription = broker.subscribe(ref, limitOf(queue), (delivery) => {
    const { envelope } = delivery;
    const marked = broker.isMarked(envelope.partition, envelope.id);
    self.cast({ t: "deliver", delivery, queue, known: catalogue.get(envelope.job), marked });
  });
}

function declare(s: ConsumerState, { queues, round, from }: ConsumerEffect & { t: "declare" }): void {
  const refs = Object.keys(queues).map((queue) => ({ partition: s.partition, queue }));
  s.services.broker.declare(refs).then(
    () => s.self.cast({ t: "declared", queues, round, from }),
    (error) => from.refuse(toError(error)),
  );
}

function release(s: ConsumerState, delivery: Delivery): void {
  s.services.broker.release(delivery);
}

/** The consumer is gone, however it went: no subscription of it is left, and what it held is the broker's again. */
export function letGo(s: ConsumerState): void {
  s.draining = true;
  for (const waiter of s.keyWaiters.values()) {
    const ask = askOf(waiter, s.self);
    if (ask !== undefined) s.coordinator.cast(ask);
    release(s, waiter.delivery);
  }
  s.keyWaiters.clear();
  for (const queue of s.queues.values())
    queue.subscription?.cancel().catch((error) => s.services.logger.warn(toError(error).message));
}

/**
 * A name that no live node knows: buried with a reason, its bytes as they came. One that only others know, or may come
 * to know (a deploy under way), goes back through a delay: what the cluster can run is never buried by one node of it.
 */
function settleUnknown(s: ConsumerState, delivery: Delivery): void {
  const { broker, clock, logger } = s.services;
  const { envelope } = delivery;
  if (!mayBeKnownElsewhere(s.services, envelope)) return buryUnknown(s, delivery);
  broker
    .retry(delivery, snoozed(envelope), clock.now() + UNKNOWN_AGAIN_MS)
    .catch((error) => logger.warn(`job ${envelope.id} could not be passed on: ${toError(error).message}`));
}

const UNKNOWN_AGAIN_MS = 5_000;

function mayBeKnownElsewhere(
  { broker, clock, unknownJobGraceMs }: NodeServices,
  envelope: Envelope,
): boolean {
  const { cluster } = broker;
  if (cluster.knows(envelope.job)) return true;
  return cluster.others.length > 0 && clock.now() - envelope.enqueuedAt < unknownJobGraceMs;
}

function buryUnknown(s: ConsumerState, delivery: Delivery): void {
  const { broker, catalogue, clock } = s.services;
  const { envelope } = delivery;
  const near = catalogue.near(envelope.job);
  const hint = near === undefined ? "" : `; did you mean "${near}"?`;
  const failure = verdict(
    "error",
    "UnknownJob",
    `no job named "${envelope.job}" is known on ${broker.cluster.others.length > 0 ? "any live node" : "this node"}${hint}`,
    true,
  );
  const plan = buryWith(envelope, "unknown-job", failure, clock.now());
  broker.bury(delivery, plan.envelope, plan.record).then(
    () => tellBuried(s.services, envelope, plan.record),
    (error) => s.services.logger.warn(`job ${envelope.id} could not be buried: ${toError(error).message}`),
  );
}

/** It was cancelled before it was delivered; it never starts. */
function dropCancelled(s: ConsumerState, delivery: Delivery): void {
  const { broker, logger } = s.services;
  const { envelope } = delivery;
  broker
    .discard(delivery)
    .then(() => {
      tellCancelled(s.services, envelope, "queued");
      return broker.unmark(envelope.partition, envelope.id);
    })
    .catch((error) => logger.warn(`cancelled job ${envelope.id}: ${toError(error).message}`));
}
