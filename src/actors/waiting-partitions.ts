/**
 * WaitingPartitions: which partitions this node is to run, and those that could not start yet.
 *
 * Owns the wanted state: a partition that cannot start, or that gave up, is *waiting*, shown as such and tried
 * again every second. The map itself is the node's: when this actor dies, it is started again and tries all of it.
 */

import { CallTimeout } from "../kernel/errors.ts";
import { toError } from "../kernel/exit.ts";
import type { Behaviour, ChildSpec, ExitReason, From, KernelApi, Out, Ref } from "../kernel/types.ts";
import type { ConsumerMessage } from "./consumer.ts";
import type { Queues } from "./open-queue.ts";
import { partitionNames, partitionSpec } from "./partition.ts";
import type { NodeServices } from "./services.ts";

/** What a call about one partition answers. */
export type PartitionState = "running" | "waiting";

export type WaitingPartitionsMessage =
  | {
      readonly t: "start";
      readonly partition: string;
      readonly queues: Queues;
      readonly from: From<PartitionState>;
    }
  /** `undefined`: it neither runs nor waits here. */
  | { readonly t: "stop"; readonly partition: string; readonly from: From<"stopped" | undefined> }
  | {
      readonly t: "started";
      readonly wanted: Wanted;
      readonly ref: Ref<never>;
      readonly from: From<PartitionState> | undefined;
    }
  | {
      readonly t: "failed";
      readonly wanted: Wanted;
      readonly error: Error;
      readonly from: From<PartitionState> | undefined;
    }
  /** It starts, and takes long: whoever waits is told, and it goes on. */
  | {
      readonly t: "late";
      readonly wanted: Wanted;
      readonly error: Error;
      readonly from: From<PartitionState> | undefined;
    }
  | { readonly t: "down"; readonly partition: string; readonly pid: number; readonly reason: ExitReason }
  | { readonly t: "retry" }
  | { readonly t: "hold" }
  | { readonly t: "list"; readonly from: From<readonly WantedPartition[]> };

export interface WantedPartition {
  readonly partition: string;
  readonly queues: Queues;
  readonly state: PartitionState | "starting";
}

/** One partition that is to run here. */
export interface Wanted {
  readonly partition: string;
  queues: Queues;
  state: PartitionState | "starting";
  ref: Ref<never> | undefined;
  /** A start is under way: there is never a second one beside it. */
  pending: boolean;
  /** What its consumer opened when it was started last. */
  opened: Queues | undefined;
}

export interface WaitingPartitionsState {
  readonly services: NodeServices;
  readonly supervisor: Ref<never>;
  readonly wanted: Map<string, Wanted>;
  /** Shutdown has begun: nothing is started any more. */
  held: boolean;
}

type Effect =
  | { readonly t: "start"; readonly wanted: Wanted; readonly from: From<PartitionState> | undefined }
  | { readonly t: "configure"; readonly wanted: Wanted; readonly from: From<PartitionState> }
  | { readonly t: "stop"; readonly ref: Ref<never>; readonly from: From<"stopped"> }
  | { readonly t: "running" | "stopped"; readonly partition: string }
  | { readonly t: "waiting"; readonly partition: string; readonly error: Error };

type PartitionsOut = Out<WaitingPartitionsMessage, Effect>;
const RETRY_MS = 1_000;

export function stepWaitingPartitions(
  s: WaitingPartitionsState,
  m: WaitingPartitionsMessage,
  _now: number,
  out: PartitionsOut,
): void {
  switch (m.t) {
    case "start":
      return start(s, m.partition, m.queues, m.from, out);
    case "started":
      return started(s, m, out);
    case "failed":
      m.wanted.pending = false;
      return failed(s, m.wanted, m.error, m.from, out);
    case "late":
      return late(s, m, out);
    case "down":
      return down(s, m, out);
    case "stop":
      return stop(s, m.partition, m.from, out);
    case "retry":
      return retry(s, out);
    case "hold":
      s.held = true;
      return out.cancelTimer("retry");
    case "list":
      return out.reply(
        m.from,
        [...s.wanted.values()].map(({ partition, queues, state }) => ({ partition, queues, state })),
      );
  }
}

function start(
  s: WaitingPartitionsState,
  partition: string,
  queues: Queues,
  from: From<PartitionState>,
  out: PartitionsOut,
): void {
  const there = s.wanted.get(partition);
  if (there === undefined) {
    const isHeld = s.services.phase === "inactive";
    const wanted: Wanted = {
      partition,
      queues,
      state: isHeld ? "waiting" : "starting",
      ref: undefined,
      pending: !isHeld,
      opened: undefined,
    };
    s.wanted.set(partition, wanted);
    if (isHeld) {
      out.effect({
        t: "waiting",
        partition,
        error: new Error("this node is inactive: it starts nothing new"),
      });
      return out.reply(from, "waiting");
    }
    return out.effect({ t: "start", wanted, from });
  }
  there.queues = queues;
  if (there.state === "running") return out.effect({ t: "configure", wanted: there, from });
  out.reply(from, "waiting");
}

function started(
  s: WaitingPartitionsState,
  m: WaitingPartitionsMessage & { t: "started" },
  out: PartitionsOut,
): void {
  const { wanted } = m;
  const { partition } = wanted;
  wanted.pending = false;
  if (s.wanted.get(partition) !== wanted) {
    // it was stopped meanwhile; the same name may be wanted anew by now, with other queues
    if (m.from !== undefined) out.reply(m.from, "waiting");
    return out.effect({ t: "stop", ref: m.ref, from: IGNORED });
  }
  wanted.state = "running";
  wanted.ref = m.ref;
  out.monitor(m.ref, (reason) => ({ t: "down", partition, pid: m.ref.pid, reason }));
  out.effect({ t: "running", partition });
  // other queues were wanted while it started
  if (wanted.opened !== wanted.queues) out.effect({ t: "configure", wanted, from: IGNORED });
  if (m.from !== undefined) out.reply(m.from, "running");
}

const IGNORED: From<unknown> = { answer: () => {}, refuse: () => {} };

function failed(
  s: WaitingPartitionsState,
  wanted: Wanted,
  error: Error,
  from: From<PartitionState> | undefined,
  out: PartitionsOut,
): void {
  const { partition } = wanted;
  if (s.wanted.get(partition) === wanted) {
    const first = wanted.state !== "waiting";
    wanted.state = "waiting";
    wanted.ref = undefined;
    if (first) out.effect({ t: "waiting", partition, error });
    if (!s.held) out.timer("retry", RETRY_MS, { t: "retry" });
  }
  if (from !== undefined) out.reply(from, "waiting");
}

function late(
  s: WaitingPartitionsState,
  m: WaitingPartitionsMessage & { t: "late" },
  out: PartitionsOut,
): void {
  const { partition } = m.wanted;
  if (s.wanted.get(partition) === m.wanted && m.wanted.state === "starting") {
    m.wanted.state = "waiting";
    out.effect({ t: "waiting", partition, error: m.error });
  }
  if (m.from !== undefined) out.reply(m.from, "waiting");
}

function down(
  s: WaitingPartitionsState,
  m: WaitingPartitionsMessage & { t: "down" },
  out: PartitionsOut,
): void {
  const wanted = s.wanted.get(m.partition);
  if (wanted?.ref?.pid !== m.pid) return;
  if (m.reason.kind === "crash") return failed(s, wanted, m.reason.error, undefined, out);
  failed(s, wanted, new Error(`the partition ended: ${m.reason.kind}`), undefined, out);
}

function stop(
  s: WaitingPartitionsState,
  partition: string,
  from: From<"stopped" | undefined>,
  out: PartitionsOut,
): void {
  const wanted = s.wanted.get(partition);
  if (wanted === undefined) return out.reply(from, undefined);
  s.wanted.delete(partition);
  if (wanted.ref === undefined) out.reply(from, "stopped");
  else out.effect({ t: "stop", ref: wanted.ref, from });
  out.effect({ t: "stopped", partition });
}

function retry(s: WaitingPartitionsState, out: PartitionsOut): void {
  if (s.held) return;
  for (const wanted of s.wanted.values()) {
    if (wanted.state !== "waiting" || wanted.pending) continue;
    if (s.services.phase === "inactive" && wanted.opened === undefined) continue;
    wanted.pending = true;
    out.effect({ t: "start", wanted, from: undefined });
  }
}

interface Interpreted extends WaitingPartitionsState {
  readonly kernel: KernelApi;
  readonly self: Ref<WaitingPartitionsMessage>;
}

export interface WaitingPartitionsArgs {
  readonly services: NodeServices;
  /** Kept by the node: outlives this actor. */
  readonly wanted: Map<string, Wanted>;
  /** The dynamic supervisor that partitions are started under. */
  readonly supervisorName: string;
}

type StartChild = { readonly type: "startChild"; readonly spec: ChildSpec; readonly from: From<Ref<never>> };

function startPartition(s: Interpreted, wanted: Wanted, from: From<PartitionState> | undefined): void {
  const queues = () => {
    wanted.opened = wanted.queues;
    return wanted.queues;
  };
  const spec = partitionSpec(wanted.partition, queues, s.services);
  const asked = s.kernel.call(
    s.supervisor as Ref<StartChild>,
    (reply: From<Ref<never>>) => ({ type: "startChild", spec, from: reply }) as const,
    MAX_START_MS,
  );
  const error = new CallTimeout(`partition ${wanted.partition}`, START_MS);
  const inTime = s.kernel.clock.timer(START_MS, () => s.self.cast({ t: "late", wanted, error, from }));
  asked.finally(inTime).then(
    (ref) => s.self.cast({ t: "started", wanted, ref, from }),
    (error) => s.self.cast({ t: "failed", wanted, error: toError(error), from }),
  );
}

/** No limit: a start that is given up and comes through later would run beside the next one. */
const MAX_START_MS = 2 ** 31 - 1;

/** Declaring a partition's queues on a slow broker takes its time. */
const START_MS = 30_000;

function configure(s: Interpreted, wanted: Wanted, from: From<PartitionState>): void {
  const consumer = s.kernel.whereis(partitionNames(wanted.partition).consumer);
  if (consumer === undefined) return from.answer("waiting"); // it is being restarted, and opens what is wanted now
  s.kernel
    .call(
      consumer as Ref<ConsumerMessage>,
      (reply: From<void>) => ({ t: "configure", queues: wanted.queues, from: reply }) as const,
      START_MS,
    )
    .then(
      () => from.answer("running"),
      (error) => from.refuse(toError(error)),
    );
}

export const waitingPartitions: Behaviour<
  Interpreted,
  WaitingPartitionsMessage,
  Effect,
  WaitingPartitionsArgs
> = {
  kind: "waiting-partitions",
  init: ({ services, wanted, supervisorName }, self) => {
    for (const one of wanted.values()) {
      Object.assign(one, { state: "waiting", ref: undefined, pending: false });
      // partitions outlive the actor before this one: what runs is taken over, not started beside
      const ref = self.kernel.whereis(partitionNames(one.partition).partition);
      if (ref !== undefined) self.ref.cast({ t: "started", wanted: one, ref, from: undefined });
    }
    if (wanted.size > 0) self.ref.cast({ t: "retry" });
    const supervisor = self.kernel.whereis(supervisorName) as Ref<never>;
    return { services, supervisor, wanted, held: false, kernel: self.kernel, self: self.ref };
  },
  step: stepWaitingPartitions,
  interpret: (effect, s) => {
    const { events } = s.services;
    if (effect.t === "start") startPartition(s, effect.wanted, effect.from);
    else if (effect.t === "configure") configure(s, effect.wanted, effect.from);
    else if (effect.t === "stop")
      s.kernel.stop(effect.ref).then(() => effect.from.answer("stopped"), effect.from.refuse);
    else if (effect.t === "waiting")
      events.emit("partition.waiting", { partition: effect.partition, error: effect.error });
    else
      events.emit(effect.t === "running" ? "partition.running" : "partition.stopped", {
        partition: effect.partition,
      });
  },
  describe: (s) => ({
    waiting: [...s.wanted.values()].filter((w) => w.state !== "running").map((w) => w.partition),
  }),
};
