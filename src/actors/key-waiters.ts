/**
 * Who waits on this node for an execution key, and where: in hand up to a bound, above it on a round or on the shelf.
 *
 * The consumer's steps for that, pure as those. On a broker that many nodes share a job above the bound goes round: it is
 * published again and comes back in a second, at most a hundred of a queue in a second, and those who came last first.
 * Where the store is our own it is put on a shelf, at no cost, and taken down when its turn is near; of each key one at
 * least is in hand, and stands in the line for all behind it.
 */
import type { Delivery } from "../broker/contract.ts";
import { Ring } from "../kernel/ring.ts";
import type { Out, Ref } from "../kernel/types.ts";
import type { KnownJob } from "./catalogue.ts";
import type { ConsumerMessage, ConsumerState } from "./consumer.ts";
import type { ConsumerEffect } from "./consumer-effects.ts";
import type { CoordinatorAnswer, CoordinatorMessage } from "./global-coordinator.ts";
import type { OpenQueue } from "./open-queue.ts";

export interface KeyWaiter {
  readonly delivery: Delivery;
  readonly known: KnownJob;
  readonly queue: OpenQueue;
  readonly key: string;
  /** Tells this wait from an earlier one of the same job, whose answer may still be under way. */
  readonly token: number;
  /** Grows along the line; of the answer, when that says that it must wait. */
  place: number;
}

type ConsumerOut = Out<ConsumerMessage, ConsumerEffect>;

const LOOK_MS = 1_000;
/** Most that are taken off a shelf at once. */
const TAKEN_AT_ONCE = 256;

/** A job with a key was delivered. `taken`: off its shelf, on which others of its key may stand. */
export function asks(
  s: ConsumerState,
  job: Pick<KeyWaiter, "delivery" | "known" | "queue" | "key">,
  taken: boolean,
  out: ConsumerOut,
): void {
  const { delivery, queue, key } = job;
  const { id } = delivery.envelope;
  const before = s.keyWaiters.get(id);
  const shelf = queue.shelves.get(key);
  if (shelf !== undefined && !taken && before === undefined)
    return out.effect({ t: "shelve", delivery, onto: shelf });
  if (before !== undefined) leaveCrowd(before, out); // its delivery is void: this one takes its place
  const token = ++s.tokens;
  const waiter = { ...job, token, place: token };
  s.keyWaiters.set(id, waiter);
  if (taken) joins(s, waiter, out); // before its answer: others are taken down in its stead only when it has left
  out.cast(s.coordinator, { t: "acquire", key, id, token, to: s.self as Ref<CoordinatorAnswer> });
}

/** Another job holds the key: the queue may deliver one more in its place. */
export function queued(s: ConsumerState, m: CoordinatorAnswer & { t: "queued" }, out: ConsumerOut): void {
  const waiter = s.keyWaiters.get(m.id);
  if (waiter?.token !== m.token) return;
  waiter.place = m.place;
  const { queue, key } = waiter;
  if (queue.crowd.has(waiter)) return;
  if (s.services.broker.keyRoom?.kind === "shelf" && goesOnShelf(s, queue, key))
    return shelve(s, waiter, out);
  joins(s, waiter, out);
  if (queue.crowd.above > 0) sendRound(s, queue, out);
}

function joins(s: ConsumerState, waiter: KeyWaiter, out: ConsumerOut): void {
  const { crowd } = waiter.queue;
  const { counted } = crowd;
  const { maxKeyWaiters, broker } = s.services;
  crowd.add(waiter, broker.keyRoom?.kind === "round" ? maxKeyWaiters : Number.POSITIVE_INFINITY);
  if (crowd.counted !== counted) setLimit(waiter.queue, out);
}

/** It waits no more: its key is there, or it was taken back. */
export function stopsWaiting(s: ConsumerState, waiter: KeyWaiter, out: ConsumerOut): void {
  s.keyWaiters.delete(waiter.delivery.envelope.id);
  leaveCrowd(waiter, out);
}

/** The key is there. */
export function startsAfterWaiting(s: ConsumerState, waiter: KeyWaiter, out: ConsumerOut): void {
  waiter.queue.pace.started();
  stopsWaiting(s, waiter, out);
  takeDown(s, waiter.queue, waiter.key, out);
}

/** The message that takes a waiter's ask for its key back. */
export function askOf(waiter: KeyWaiter, self: Ref<ConsumerMessage>): CoordinatorMessage {
  const { key, token, delivery } = waiter;
  return { t: "withdraw", key, id: delivery.envelope.id, token, to: self as Ref<CoordinatorAnswer> };
}

export function forget(s: ConsumerState, waiter: KeyWaiter, out: ConsumerOut): void {
  out.cast(s.coordinator, askOf(waiter, s.self));
  stopsWaiting(s, waiter, out);
}

/** All of a queue's goes back to the broker, to its old place. */
export function takeBackWaiters(s: ConsumerState, queue: OpenQueue, out: ConsumerOut): void {
  for (const waiter of [...s.keyWaiters.values()]) {
    if (waiter.queue !== queue) continue;
    forget(s, waiter, out);
    out.effect({ t: "release", delivery: waiter.delivery });
  }
  if (queue.shelves.size > 0) out.effect({ t: "clear-shelves", queue });
}

// Rounds

/** A second is over in which somebody may have gone round; `ready` jobs stand in the queue. */
export function look(s: ConsumerState, queue: OpenQueue, ready: number, out: ConsumerOut): void {
  const { pace, crowd } = queue;
  pace.looking = false;
  if (crowd.above === 0 && pace.isIdle) return pace.rest();
  pace.look(crowd.counted, ready);
  sendRound(s, queue, out);
}

function sendRound(s: ConsumerState, queue: OpenQueue, out: ConsumerOut): void {
  const { crowd, pace } = queue;
  while (crowd.above > 0 && pace.mayGo) {
    const { last } = crowd;
    if (last === undefined) break;
    pace.goes();
    s.rounds += 1;
    stopsWaiting(s, last, out);
    out.effect({ t: "round", delivery: last.delivery });
  }
  if (pace.looking) return;
  pace.looking = true;
  out.timer(`look ${queue.ref.queue}`, LOOK_MS, { t: "look", queue });
}

// The shelf

function goesOnShelf(s: ConsumerState, { crowd, shelves }: OpenQueue, key: string): boolean {
  return shelves.has(key) || (crowd.counted >= s.services.maxKeyWaiters && crowd.of(key) > 0);
}

function shelve(s: ConsumerState, waiter: KeyWaiter, out: ConsumerOut): void {
  const { queue, key, delivery } = waiter;
  forget(s, waiter, out);
  const shelf = queue.shelves.get(key) ?? { jobs: new Ring(), taking: false };
  queue.shelves.set(key, shelf);
  out.effect({ t: "shelve", delivery, onto: shelf });
}

/** When few of a key are left in hand, or none, those come who stand behind them. */
export function takeDown(s: ConsumerState, queue: OpenQueue, key: string, out: ConsumerOut): void {
  const shelf = queue.shelves.get(key);
  if (shelf === undefined || shelf.taking) return;
  if (shelf.jobs.size === 0) return void queue.shelves.delete(key);
  const { crowd, subscription } = queue;
  const free = s.services.maxKeyWaiters - crowd.counted;
  const isWorth = 4 * free >= s.services.maxKeyWaiters;
  if (subscription === undefined || (crowd.of(key) > 0 && !isWorth)) return;
  shelf.taking = true;
  const most = Math.max(1, Math.min(free, TAKEN_AT_ONCE));
  out.effect({ t: "take-down", queue, key, shelf, subscription, most });
}

/** What was asked for has been delivered, or is no more. */
export function tookDown(s: ConsumerState, m: ConsumerMessage & { t: "took-down" }, out: ConsumerOut): void {
  m.shelf.taking = false;
  if (m.queue.shelves.get(m.key) === m.shelf) takeDown(s, m.queue, m.key, out);
}

function leaveCrowd(waiter: KeyWaiter, out: ConsumerOut): void {
  const { crowd } = waiter.queue;
  const { counted } = crowd;
  crowd.delete(waiter);
  if (crowd.counted !== counted) setLimit(waiter.queue, out);
}

export function setLimit(queue: OpenQueue, out: ConsumerOut): void {
  if (queue.subscription === undefined) return;
  out.effect({ t: "limit", subscription: queue.subscription, limit: queue.limit });
}
