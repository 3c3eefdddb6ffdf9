/**
 * Consumer of one partition: its queues on this node, and what was delivered and waits for an execution key.
 *
 * Owns the subscriptions. Each delivery is looked at here once: cancelled? known? key? then it goes to the
 * WorkerSupervisor. When it dies it cancels its subscriptions and hands back what it still holds.
 */
import type { Delivery } from "../broker/contract.ts";
import type { Behaviour, From, Out, Ref } from "../kernel/types.ts";
import type { KnownJob } from "./catalogue.ts";
import { type ConsumerEffect, carryOutConsumer, letGo, openQueue } from "./consumer-effects.ts";
import { PartitionNotRunning } from "./errors.ts";
import type { CoordinatorAnswer, CoordinatorMessage } from "./global-coordinator.ts";
import {
  asks,
  forget,
  type KeyWaiter,
  look,
  queued,
  setLimit,
  startsAfterWaiting,
  takeBackWaiters,
  takeDown,
  tookDown,
} from "./key-waiters.ts";
import { declaredQueues, type OpenQueue, type Queues, type Shelf } from "./open-queue.ts";
import type { GivesWay } from "./others.ts";
import type { NodeServices } from "./services.ts";
import type { WorkerSupervisorMessage } from "./worker-supervisor.ts";

export type { KeyWaiter };

export type ConsumerMessage =
  | CoordinatorAnswer
  | GivesWay
  | {
      readonly t: "deliver";
      readonly delivery: Delivery;
      readonly queue: OpenQueue;
      readonly known: KnownJob | undefined;
      readonly marked: boolean;
      /** It was on a shelf. */
      readonly taken?: true;
    }
  /** Somebody may go round again; with `ready`, what stands in the queue. */
  | { readonly t: "look"; readonly queue: OpenQueue; readonly ready?: number }
  | { readonly t: "took-down"; readonly queue: OpenQueue; readonly key: string; readonly shelf: Shelf }
  | { readonly t: "configure"; readonly queues: Queues; readonly from: From<void> }
  /** The queues of a `configure` exist. */
  | {
      readonly t: "declared";
      readonly queues: Queues;
      readonly round: number;
      readonly from: From<void>;
    }
  /** Hands out no more of one queue, or of all, and hands back what has not started. */
  | { readonly t: "pause"; readonly queue: string | "all"; readonly from: From<void> }
  | { readonly t: "resume"; readonly queue: string | "all"; readonly from: From<void> }
  /** For good: the subscriptions end (safeStop, shutdown). */
  | { readonly t: "drain"; readonly from: From<void> }
  | { readonly t: "cancel"; readonly id: string; readonly from: From<KeyWaiter | undefined> }
  | { readonly t: "queues"; readonly from: From<readonly OpenQueue[]> };

export interface ConsumerState {
  readonly partition: string;
  readonly services: NodeServices;
  readonly self: Ref<ConsumerMessage>;
  readonly supervisor: Ref<WorkerSupervisorMessage>;
  readonly coordinator: Ref<CoordinatorMessage>;
  readonly queues: Map<string, OpenQueue>;
  readonly keyWaiters: Map<string, KeyWaiter>;
  draining: boolean;
  /** Jobs that went round. */
  rounds: number;
  tokens: number;
  /** Grows with each `configure`: of two under way only the later one counts. */
  configured: number;
}

type ConsumerOut = Out<ConsumerMessage, ConsumerEffect>;

/** A queue that gave way takes again after this, whatever has ended meanwhile. */
const AWAY_MS = 30_000;

export function stepConsumer(s: ConsumerState, m: ConsumerMessage, _now: number, out: ConsumerOut): void {
  switch (m.t) {
    case "deliver":
      return deliver(s, m, out);
    case "granted":
      return granted(s, m, out);
    case "queued":
      return queued(s, m, out);
    case "look":
      if (m.ready !== undefined) return look(s, m.queue, m.ready, out);
      return out.effect({ t: "count", queue: m.queue });
    case "took-down":
      return tookDown(s, m, out);
    case "configure":
      return out.effect({ t: "declare", queues: m.queues, round: ++s.configured, from: m.from });
    case "declared":
      if (s.draining) return out.refuse(m.from, new PartitionNotRunning(s.partition));
      if (m.round === s.configured) configure(s, m.queues, out);
      return out.reply(m.from, undefined);
    case "pause":
      for (const queue of chosen(s, m.queue)) pause(s, queue, out);
      return out.reply(m.from, undefined);
    case "resume":
      for (const queue of chosen(s, m.queue)) resume(queue, out);
      return out.reply(m.from, undefined);
    case "give-way":
      for (const queue of chosen(s, m.queue)) giveWay(s, queue, m.pool, out);
      return;
    case "room":
      for (const queue of chosen(s, m.queue)) if (queue.gaveWay) resume(queue, out);
      return;
    case "drain":
      s.draining = true;
      for (const queue of s.queues.values()) closeQueue(s, queue, out);
      return out.reply(m.from, undefined);
    case "cancel":
      return cancel(s, m.id, m.from, out);
    case "queues":
      return out.reply(m.from, [...s.queues.values()]);
  }
}

function deliver(s: ConsumerState, m: ConsumerMessage & { t: "deliver" }, out: ConsumerOut): void {
  const { delivery, known, queue } = m;
  if (m.marked) return out.effect({ t: "cancelled", delivery });
  if (known === undefined) return out.effect({ t: "unknown", delivery });
  if (queue.paused || queue.gaveWay || queue.subscription === undefined)
    return out.effect({ t: "release", delivery });
  const { executionKey } = delivery.envelope;
  if (executionKey === undefined)
    return out.cast(s.supervisor, { t: "run", delivery, known, lane: queue.lane });
  asks(s, { delivery, known, queue, key: executionKey }, m.taken === true, out);
}

/** The key is there: the job goes on. Of one that was handed back meanwhile the key is with the next already. */
function granted(s: ConsumerState, m: CoordinatorAnswer, out: ConsumerOut): void {
  const waiter = s.keyWaiters.get(m.id);
  if (waiter?.token !== m.token) return;
  startsAfterWaiting(s, waiter, out);
  const { delivery, known, queue } = waiter;
  out.cast(s.supervisor, { t: "run", delivery, known, lane: queue.lane });
}

/** The complete list: what is left out stops on this node, what is new starts, the rest changes its number. */
function configure(s: ConsumerState, queues: Queues, out: ConsumerOut): void {
  for (const [name, queue] of s.queues) {
    if (Object.hasOwn(queues, name)) continue;
    closeQueue(s, queue, out);
    s.queues.delete(name);
  }
  for (const [name, { concurrency }] of Object.entries(queues)) {
    const queue = s.queues.get(name);
    if (queue === undefined || (queue.concurrency === 0) !== (concurrency === 0)) {
      if (queue !== undefined) closeQueue(s, queue, out);
      out.effect({ t: "open", queue: name, concurrency });
    } else setConcurrency(s, queue, concurrency, out);
  }
}

function setConcurrency(s: ConsumerState, queue: OpenQueue, concurrency: number, out: ConsumerOut): void {
  queue.concurrency = concurrency;
  const { lane, ref } = queue;
  out.cast(s.services.admission, {
    t: "open",
    lane,
    partition: ref.partition,
    queue: ref.queue,
    concurrency,
    owner: s.self,
  });
  setLimit(queue, out);
}

function pause(s: ConsumerState, queue: OpenQueue, out: ConsumerOut): void {
  queue.paused = true;
  queue.gaveWay = false;
  if (queue.subscription !== undefined) out.effect({ t: "pause", subscription: queue.subscription });
  takeBack(s, queue, out);
}

function resume(queue: OpenQueue, out: ConsumerOut): void {
  queue.paused = false;
  queue.gaveWay = false;
  if (queue.subscription !== undefined) out.effect({ t: "resume", subscription: queue.subscription });
}

/**
 * Another node has room for what waits here: that goes back, but for what has a key or waits for one, and nothing is taken
 * before a body has ended here. A time is set for it all the same: where another pool would run it, nobody says so.
 */
function giveWay(s: ConsumerState, queue: OpenQueue, pool: number, out: ConsumerOut): void {
  if (queue.paused || queue.gaveWay || queue.subscription === undefined) return;
  queue.gaveWay = true;
  out.effect({ t: "give-way", subscription: queue.subscription });
  out.cast(s.supervisor, { t: "give-way", lane: queue.lane });
  out.cast(s.services.admission, { t: "gave-way", lane: queue.lane, pool });
  out.timer(`room ${queue.ref.queue}`, AWAY_MS, { t: "room", queue: queue.ref.queue });
}

function closeQueue(s: ConsumerState, queue: OpenQueue, out: ConsumerOut): void {
  if (queue.subscription !== undefined) out.effect({ t: "unsubscribe", subscription: queue.subscription });
  queue.subscription = undefined;
  takeBack(s, queue, out);
}

/** What has not started goes back to the broker, to its old place. */
function takeBack(s: ConsumerState, queue: OpenQueue, out: ConsumerOut): void {
  takeBackWaiters(s, queue, out);
  out.cast(s.supervisor, { t: "withdraw", lane: queue.lane });
}

function cancel(s: ConsumerState, id: string, from: From<KeyWaiter | undefined>, out: ConsumerOut): void {
  const waiter = s.keyWaiters.get(id);
  if (waiter !== undefined) {
    forget(s, waiter, out);
    takeDown(s, waiter.queue, waiter.key, out);
    out.effect({ t: "cancelled", delivery: waiter.delivery });
  }
  out.reply(from, waiter);
}

function chosen(s: ConsumerState, name: string | "all"): readonly OpenQueue[] {
  if (name === "all") return [...s.queues.values()];
  const queue = s.queues.get(name);
  return queue === undefined ? [] : [queue];
}

export interface ConsumerArgs {
  readonly partition: string;
  /** As they are wanted now: a restart opens what was configured last. */
  readonly queues: () => Queues;
  readonly services: NodeServices;
  readonly coordinatorName: string;
  readonly supervisorName: string;
}

export const consumer: Behaviour<ConsumerState, ConsumerMessage, ConsumerEffect, ConsumerArgs> = {
  kind: "consumer",
  init: async (args, self) => {
    const { partition, services } = args;
    const state: ConsumerState = {
      partition,
      services,
      self: self.ref,
      supervisor: self.kernel.whereis(args.supervisorName) as Ref<WorkerSupervisorMessage>,
      coordinator: self.kernel.whereis(args.coordinatorName) as Ref<CoordinatorMessage>,
      queues: new Map(),
      keyWaiters: new Map(),
      draining: false,
      rounds: 0,
      tokens: 0,
      configured: 0,
    };
    // not `terminate`: what it holds must go back also when it was killed
    self.kernel.onExit(self.ref, () => letGo(state));
    const queues = args.queues();
    await services.broker.declare(declaredQueues(partition, queues));
    if (state.draining) return state; // killed meanwhile
    for (const [queue, { concurrency }] of Object.entries(queues)) openQueue(state, queue, concurrency);
    return state;
  },
  step: stepConsumer,
  interpret: carryOutConsumer,
  describe: (s) => ({ queues: [...s.queues.keys()], keyWaiters: s.keyWaiters.size, rounds: s.rounds }),
};
