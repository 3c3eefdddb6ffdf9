/**
 * What a consumer does to the world: subscribes, hands back, buries what nobody here can run.
 *
 * Owns no state of its own. A settlement that fails here leaves the job with the broker, which hands it out again.
 */
import type { Delivery, QueueRef, Shelved, Subscription } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { snoozed } from "../jobs/retry.ts";
import { toError } from "../kernel/exit.ts";
import type { From } from "../kernel/types.ts";
import type { ConsumerState } from "./consumer.ts";
import { tellBuried, tellCancelled } from "./endings.ts";
import { askOf } from "./key-waiters.ts";
import { declaredQueues, OpenQueue, type Queues, type Shelf } from "./open-queue.ts";
import type { NodeServices } from "./services.ts";
import { buryWith, verdict } from "./settlement.ts";

export type ConsumerEffect =
  | {
      readonly t: "declare";
      readonly queues: Queues;
      readonly round: number;
      readonly from: From<void>;
    }
  | { readonly t: "open"; readonly queue: string; readonly concurrency: number }
  | { readonly t: "limit"; readonly subscription: Subscription; readonly limit: number }
  | { readonly t: "pause" | "resume" | "give-way" | "unsubscribe"; readonly subscription: Subscription }
  | { readonly t: "release" | "unknown" | "cancelled" | "round"; readonly delivery: Delivery }
  /** How many stand in a queue: the answer is a `look`. */
  | { readonly t: "count"; readonly queue: OpenQueue }
  | { readonly t: "shelve"; readonly delivery: Delivery; readonly onto: Shelf }
  | TakeDown
  | { readonly t: "clear-shelves"; readonly queue: OpenQueue };

interface TakeDown {
  readonly t: "take-down";
  readonly queue: OpenQueue;
  readonly key: string;
  readonly shelf: Shelf;
  readonly subscription: Subscription;
  readonly most: number;
}

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
    case "give-way":
      return effect.subscription.giveWay?.();
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
    case "round":
      return goRound(s, effect.delivery);
    case "count":
      return count(s, effect.queue);
    case "shelve":
      return shelve(s, effect.delivery, effect.onto);
    case "take-down":
      return takeDown(s, effect);
    case "clear-shelves":
      return clearShelves(s, effect.queue);
  }
}

/**
 * Subscribes to one queue that exists. It is in the state at once, not by a message: a pause or an end that is on
 * its way must find it there.
 */
export function openQueue(s: ConsumerState, name: string, concurrency: number): void {
  const { services, self } = s;
  const ref: QueueRef = { partition: s.partition, queue: name };
  const { broker } = services;
  const lane = services.laneOf(ref);
  services.admission.cast({
    t: "open",
    lane,
    partition: ref.partition,
    queue: ref.queue,
    concurrency,
    owner: self,
  });
  const queue = new OpenQueue(ref, lane, concurrency);
  s.queues.set(name, queue);
  if (concurrency === 0 || !services.runsJobs || !services.takesJobs) return;
  queue.subscription = broker.subscribe(ref, queue.limit, (delivery) => {
    self.cast(delivered(s, delivery, queue));
  });
}

function delivered({ services }: ConsumerState, delivery: Delivery, queue: OpenQueue) {
  const { partition, id, job } = delivery.envelope;
  const marked = services.broker.isMarked(partition, id);
  return { t: "deliver" as const, delivery, queue, known: services.catalogue.get(job), marked };
}

function declare(s: ConsumerState, { queues, round, from }: ConsumerEffect & { t: "declare" }): void {
  s.services.broker.declare(declaredQueues(s.partition, queues)).then(
    () => s.self.cast({ t: "declared", queues, round, from }),
    (error) => from.refuse(toError(error)),
  );
}

function release(s: ConsumerState, delivery: Delivery): void {
  s.services.broker.release(delivery);
}

function goRound({ services: { broker, logger } }: ConsumerState, delivery: Delivery): void {
  if (broker.keyRoom?.kind !== "round") return;
  broker.keyRoom
    .goRound(delivery)
    .catch((error) =>
      logger.warn(`job ${delivery.envelope.id} could not go round: ${toError(error).message}`),
    );
}

/** A broker that does not answer has nothing that could be reached. */
function count({ services, self }: ConsumerState, queue: OpenQueue): void {
  const counted = (ready: number) => void self.cast({ t: "look", queue, ready });
  services.broker.count(queue.ref).then(
    (counts) => counted(counts?.available ?? 0),
    () => counted(Number.POSITIVE_INFINITY),
  );
}

function shelve({ services: { broker } }: ConsumerState, delivery: Delivery, onto: Shelf): void {
  if (broker.keyRoom?.kind !== "shelf") return;
  const shelved = broker.keyRoom.put(delivery);
  if (shelved !== undefined) onto.jobs.push(shelved);
}

function takeDown(s: ConsumerState, { queue, key, shelf, subscription, most }: TakeDown): void {
  const { keyRoom } = s.services.broker;
  if (keyRoom?.kind !== "shelf") return;
  const took = () => void s.self.cast({ t: "took-down", queue, key, shelf });
  keyRoom
    .take(subscription, shifted(shelf, most))
    .then((deliveries) => {
      for (const delivery of deliveries)
        if (!s.self.cast({ ...delivered(s, delivery, queue), taken: true })) release(s, delivery); // it is gone
    })
    .catch((error) => s.services.logger.warn(toError(error).message)) // a store that is opened anew has all of them
    .then(took);
}

function shifted({ jobs }: Shelf, most: number): Shelved[] {
  const all: Shelved[] = [];
  for (let job = jobs.shift(); job !== undefined; job = all.length < most ? jobs.shift() : undefined)
    all.push(job);
  return all;
}

function clearShelves({ services: { broker } }: ConsumerState, queue: OpenQueue): void {
  if (broker.keyRoom?.kind !== "shelf") return;
  const jobs = [...queue.shelves.values()].flatMap((shelf) => shifted(shelf, Number.POSITIVE_INFINITY));
  queue.shelves.clear();
  broker.keyRoom.giveBack(queue.ref, jobs);
}

/** The consumer is gone, however it went: no subscription of it is left, and what it held is the broker's again. */
export function letGo(s: ConsumerState): void {
  s.draining = true;
  for (const waiter of s.keyWaiters.values()) {
    s.coordinator.cast(askOf(waiter, s.self));
    release(s, waiter.delivery);
  }
  s.keyWaiters.clear();
  for (const queue of s.queues.values()) clearShelves(s, queue);
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
