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
import { limitOf, type OpenQueue } from "./open-queue.ts";
import type { NodeServices } from "./services.ts";
import type { WorkerSupervisorMessage } from "./worker-supervisor.ts";

export interface KeyWaiter {
  readonly delivery: Delivery;
  readonly known: KnownJob;
  readonly queue: OpenQueue;
  /** Tells this wait from an earlier one of the same job, whose answer may still be under way. */
  readonly token: number;
  /** Another job holds the key: it stands in its queue's `keyWaiters`. */
  counted: boolean;
}

export type ConsumerMessage =
  | CoordinatorAnswer
  | {
      readonly t: "deliver";
      readonly delivery: Delivery;
      readonly queue: OpenQueue;
      readonly known: KnownJob | undefined;
      readonly marked: boolean;
    }
  | { readonly t: "configure"; readonly queues: Readonly<Record<string, number>>; readonly from: From<void> }
  /** The queues of a `configure` exist. */
  | {
      readonly t: "declared";
      readonly queues: Readonly<Record<string, number>>;
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
  tokens: number;
  /** Grows with each `configure`: of two under way only the later one counts. */
  rounds: number;
}

type ConsumerOut = Out<ConsumerMessage, ConsumerEffect>;

export function stepConsumer(s: ConsumerState, m: ConsumerMessage, _now: number, out: ConsumerOut): void {
  switch (m.t) {
    case "deliver":
      return deliver(s, m, out);
    case "granted":
      return granted(s, m, out);
    case "queued":
      return queued(s, m, out);
    case "configure":
      return out.effect({ t: "declare", queues: m.queues, round: ++s.rounds, from: m.from });
    case "declared":
      if (s.draining) return out.refuse(m.from, new PartitionNotRunning(s.partition));
      if (m.round === s.rounds) configure(s, m.queues, out);
      return out.reply(m.from, undefined);
    case "pause":
      for (const queue of chosen(s, m.queue)) pause(s, queue, out);
      return out.reply(m.from, undefined);
    case "resume":
      for (const queue of chosen(s, m.queue)) resume(queue, out);
      return out.reply(m.from, undefined);
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
  if (queue.paused || queue.subscription === undefined) return out.effect({ t: "release", delivery });
  const { executionKey, id } = delivery.envelope;
  if (executionKey === undefined)
    return out.cast(s.supervisor, { t: "run", delivery, known, lane: queue.lane });
  const token = ++s.tokens;
  s.keyWaiters.set(id, { delivery, known, queue, token, counted: false });
  out.cast(s.coordinator, {
    t: "acquire",
    key: executionKey,
    id,
    token,
    to: s.self as Ref<CoordinatorAnswer>,
  });
}

/** The key is there: the job goes on. Of one that was handed back meanwhile the key is with the next already. */
function granted(s: ConsumerState, m: CoordinatorAnswer, out: ConsumerOut): void {
  const waiter = s.keyWaiters.get(m.id);
  if (waiter?.token !== m.token) return;
  s.keyWaiters.delete(m.id);
  uncount(waiter, out);
  out.cast(s.supervisor, {
    t: "run",
    delivery: waiter.delivery,
    known: waiter.known,
    lane: waiter.queue.lane,
  });
}

/** Another job holds the key: the queue may deliver one more in its place. */
function queued(s: ConsumerState, m: CoordinatorAnswer, out: ConsumerOut): void {
  const waiter = s.keyWaiters.get(m.id);
  if (waiter?.token !== m.token || waiter.counted) return;
  waiter.counted = true;
  setKeyWaiters(waiter.queue, waiter.queue.keyWaiters + 1, out);
}

function uncount(waiter: KeyWaiter, out: ConsumerOut): void {
  if (!waiter.counted) return;
  waiter.counted = false;
  setKeyWaiters(waiter.queue, waiter.queue.keyWaiters - 1, out);
}

function setKeyWaiters(queue: OpenQueue, keyWaiters: number, out: ConsumerOut): void {
  queue.keyWaiters = keyWaiters;
  if (queue.subscription === undefined) return;
  out.effect({ t: "limit", subscription: queue.subscription, limit: limitOf(queue) });
}

/** The complete list: what is left out stops on this node, what is new starts, the rest changes its number. */
function configure(s: ConsumerState, queues: Readonly<Record<string, number>>, out: ConsumerOut): void {
  for (const [name, queue] of s.queues) {
    if (Object.hasOwn(queues, name)) continue;
    closeQueue(s, queue, out);
    s.queues.delete(name);
  }
  for (const [name, concurrency] of Object.entries(queues)) {
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
  });
  if (queue.subscription !== undefined)
    out.effect({ t: "limit", subscription: queue.subscription, limit: limitOf(queue) });
}

function pause(s: ConsumerState, queue: OpenQueue, out: ConsumerOut): void {
  queue.paused = true;
  if (queue.subscription !== undefined) out.effect({ t: "pause", subscription: queue.subscription });
  takeBack(s, queue, out);
}

function resume(queue: OpenQueue, out: ConsumerOut): void {
  queue.paused = false;
  if (queue.subscription !== undefined) out.effect({ t: "resume", subscription: queue.subscription });
}

function closeQueue(s: ConsumerState, queue: OpenQueue, out: ConsumerOut): void {
  if (queue.subscription !== undefined) out.effect({ t: "unsubscribe", subscription: queue.subscription });
  queue.subscription = undefined;
  takeBack(s, queue, out);
}

/** What has not started goes back to the broker, to its old place. */
function takeBack(s: ConsumerState, queue: OpenQueue, out: ConsumerOut): void {
  for (const waiter of s.keyWaiters.values()) {
    if (waiter.queue !== queue) continue;
    forget(s, waiter, out);
    out.effect({ t: "release", delivery: waiter.delivery });
  }
  out.cast(s.supervisor, { t: "withdraw", lane: queue.lane });
}

function forget(s: ConsumerState, waiter: KeyWaiter, out: ConsumerOut): void {
  const ask = askOf(waiter, s.self);
  s.keyWaiters.delete(waiter.delivery.envelope.id);
  if (ask !== undefined) out.cast(s.coordinator, ask);
  uncount(waiter, out);
}

/** The message that takes a waiter's ask for its key back. */
export function askOf(waiter: KeyWaiter, self: Ref<ConsumerMessage>): CoordinatorMessage | undefined {
  const { executionKey: key, id } = waiter.delivery.envelope;
  const to = self as Ref<CoordinatorAnswer>;
  return key === undefined ? undefined : { t: "withdraw", key, id, token: waiter.token, to };
}

function cancel(s: ConsumerState, id: string, from: From<KeyWaiter | undefined>, out: ConsumerOut): void {
  const waiter = s.keyWaiters.get(id);
  if (waiter !== undefined) {
    forget(s, waiter, out);
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
  readonly queues: () => Readonly<Record<string, number>>;
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
      tokens: 0,
      rounds: 0,
    };
    // not `terminate`: what it holds must go back also when it was killed
    self.kernel.onExit(self.ref, () => letGo(state));
    const queues = args.queues();
    const refs = Object.keys(queues).map((queue) => ({ partition, queue }));
    await services.broker.declare(refs);
    if (state.draining) return state; // killed meanwhile
    for (const { queue } of refs) openQueue(state, queue, queues[queue] ?? 0);
    return state;
  },
  step: stepConsumer,
  interpret: carryOutConsumer,
  describe: (s) => ({ queues: [...s.queues.keys()], keyWaiters: s.keyWaiters.size }),
};
