/**
 * The dynamic supervisor: children that are started at run time and know nothing of each other.
 *
 * Owns one slot a child, for as long as the child is to live: a child that is done leaves nothing behind.
 * Every exit is observed; permanent and transient children are restarted within the intensity, as a
 * `one_for_one` supervisor would. Starts do not wait for one another, and when it ends all children are asked
 * at once.
 */

import type { ChildInfo } from "./child-spec.ts";
import { RestartIntensityExceeded, SupervisorRefused } from "./errors.ts";
import { crash } from "./exit.ts";
import { DEFAULT_INTENSITY } from "./restart.ts";
import {
  childInfo,
  decideSlot,
  newSlot,
  type Slot,
  type StartOutcome,
  slotStarted,
  slotView,
  startSlot,
} from "./slot.ts";
import type { SupervisorBehaviour } from "./supervising.ts";
import type { ChildSpec, ExitReason, From, Intensity, Out, Ref, Self } from "./types.ts";

export interface DynamicSupervisorOptions {
  /** Default 1 in 5,000 ms. */
  readonly intensity?: Intensity;
  /** Most children at once, those between two lives included; default no bound. */
  readonly maxChildren?: number;
}

export type DynamicSupervisorMessage =
  /** Answers with the child's reference when its `init` is done; refused with what it threw. */
  | { readonly type: "startChild"; readonly spec: ChildSpec; readonly from: From<Ref<unknown>> }
  /** Answers when the child is gone. Of several children with one id, the oldest. */
  | { readonly type: "stopChild"; readonly ref: Ref<never>; readonly from: From<undefined> }
  | { readonly type: "stopChild"; readonly id: string; readonly from: From<undefined> }
  | { readonly type: "whichChildren"; readonly from: From<readonly ChildInfo[]> }
  | StartOutcome
  | { readonly type: "exited"; readonly ref: Ref<never>; readonly reason: ExitReason }
  | { readonly type: "retry"; readonly slot: Slot; readonly error: Error }
  | { readonly type: "due"; readonly slot: Slot };

interface Wishes {
  /** Who awaits the first start. */
  starter: From<Ref<unknown>> | undefined;
  /** Who awaits the end. */
  readonly stoppers: From<undefined>[];
}

export interface DynamicSupervisorState {
  readonly name: string;
  readonly self: Ref<DynamicSupervisorMessage>;
  readonly intensity: Intensity;
  readonly maxChildren: number;
  readonly random: () => number;
  /** In the order of their first start. */
  readonly slots: Set<Slot>;
  readonly byRef: Map<Ref<never>, Slot>;
  /** Only for slots somebody waits for. */
  readonly wishes: Map<Slot, Wishes>;
  restarts: number[];
  lastToken: number;
}

type Effect = { readonly type: "start"; readonly slot: Slot };
type DynamicOut = Out<DynamicSupervisorMessage, Effect>;
type State = DynamicSupervisorState;

/** A behaviour to be started with `kernel.start(dynamicSupervisor({ … }), undefined, { name })`. */
export function dynamicSupervisor(
  options: DynamicSupervisorOptions = {},
  random: () => number = Math.random,
): SupervisorBehaviour<State, DynamicSupervisorMessage, Effect, undefined> {
  return {
    kind: "dynamic-supervisor",
    stopsTogether: true,
    init: (_args, self) => emptyState(options, random, self),
    step,
    interpret: (effect, _state, self) => startSlot(effect.slot, self),
    exited: (ref, reason) => ({ type: "exited", ref, reason }),
    slots: (state) => Array.from(state.slots, slotView),
    describe: (state) => ({ children: state.slots.size, restarts: state.restarts.length }),
  };
}

function emptyState(
  options: DynamicSupervisorOptions,
  random: () => number,
  self: Self<DynamicSupervisorMessage>,
): State {
  return {
    name: self.ref.name,
    self: self.ref,
    intensity: options.intensity ?? DEFAULT_INTENSITY,
    maxChildren: options.maxChildren ?? Number.POSITIVE_INFINITY,
    random,
    slots: new Set(),
    byRef: new Map(),
    wishes: new Map(),
    restarts: [],
    lastToken: 0,
  };
}

function step(state: State, message: DynamicSupervisorMessage, now: number, out: DynamicOut): void {
  switch (message.type) {
    case "startChild":
      startChild(state, message.spec, message.from, out);
      return;
    case "stopChild":
      stopChild(state, message, out);
      return;
    case "whichChildren":
      out.reply(message.from, Array.from(state.slots, childInfo));
      return;
    case "started":
      started(state, message.slot, message.ref, now, out);
      return;
    case "startFailed":
      startFailed(state, message.slot, message.error, out);
      return;
    case "exited":
      exited(state, message.ref, message.reason, now, out);
      return;
    case "retry":
      if (state.slots.has(message.slot)) restart(state, message.slot, crash(message.error), now, out);
      return;
    case "due":
      if (state.slots.has(message.slot)) start(message.slot, out);
  }
}

function startChild(state: State, spec: ChildSpec, from: From<Ref<unknown>>, out: DynamicOut): void {
  if (state.slots.size >= state.maxChildren) {
    out.refuse(from, new SupervisorRefused(state.name, spec.id, "too many children"));
    return;
  }
  const slot = newSlot(spec);
  state.slots.add(slot);
  state.wishes.set(slot, { starter: from, stoppers: [] });
  start(slot, out);
}

function start(slot: Slot, out: DynamicOut): void {
  slot.state = "starting";
  out.effect({ type: "start", slot });
}

function stopChild(
  state: State,
  request: Extract<DynamicSupervisorMessage, { type: "stopChild" }>,
  out: DynamicOut,
): void {
  const slot = "ref" in request ? state.byRef.get(request.ref) : findById(state, request.id);
  if (slot === undefined) {
    const child = "ref" in request ? request.ref.name : request.id;
    out.refuse(request.from, new SupervisorRefused(state.name, child, "unknown"));
    return;
  }
  const living = slot.ref ?? slot.coming;
  if (living === undefined) {
    forget(state, slot, out);
    out.reply(request.from, undefined);
    return;
  }
  const wishes = state.wishes.get(slot) ?? { starter: undefined, stoppers: [] };
  wishes.stoppers.push(request.from);
  state.wishes.set(slot, wishes);
  slot.state = "stopping";
  out.stopChild(living);
}

function findById(state: State, id: string): Slot | undefined {
  for (const slot of state.slots) if (slot.spec.id === id) return slot;
  return undefined;
}

function started(state: State, slot: Slot, ref: Ref<never>, now: number, out: DynamicOut): void {
  const isStopping = slot.state === "stopping";
  slotStarted(slot, ref, now);
  if (isStopping) slot.state = "stopping";
  state.byRef.set(ref, slot);
  const wishes = state.wishes.get(slot);
  if (wishes?.starter === undefined) {
    slot.restarts++;
    return;
  }
  out.reply(wishes.starter, ref as Ref<unknown>);
  wishes.starter = undefined;
  if (wishes.stoppers.length === 0) state.wishes.delete(slot);
}

function startFailed(state: State, slot: Slot, error: Error, out: DynamicOut): void {
  slot.coming = undefined;
  const wishes = state.wishes.get(slot);
  if (wishes?.starter !== undefined) out.refuse(wishes.starter, error);
  // A first start that failed is its caller's affair; a start that somebody stopped is none any more.
  if (wishes !== undefined) {
    forget(state, slot, out);
    return;
  }
  slot.state = "restarting";
  out.cast(state.self, { type: "retry", slot, error });
}

function exited(state: State, ref: Ref<never>, reason: ExitReason, now: number, out: DynamicOut): void {
  const slot = state.byRef.get(ref);
  if (slot === undefined) return;
  state.byRef.delete(ref);
  slot.ref = undefined;
  if (slot.state === "stopping") {
    forget(state, slot, out);
    return;
  }
  restart(state, slot, reason, now, out);
}

function restart(state: State, slot: Slot, reason: ExitReason, now: number, out: DynamicOut): void {
  const decision = decideSlot(slot, reason, now, state);
  if (decision.type === "forget" || decision.type === "rest") {
    forget(state, slot, out);
    return;
  }
  state.restarts = decision.restarts;
  if (decision.type === "giveUp") {
    giveUp(state, slot, reason, out);
    return;
  }
  if (decision.afterMs === 0) {
    start(slot, out);
    return;
  }
  slot.state = "waiting";
  slot.token = ++state.lastToken;
  out.timer(`wait:${slot.token}`, decision.afterMs, { type: "due", slot });
}

function giveUp(state: State, slot: Slot, reason: ExitReason, out: DynamicOut): void {
  slot.state = "stopped";
  const cause = reason.kind === "crash" ? { cause: reason.error } : undefined;
  const restarts = state.restarts.length - 1;
  const { periodMs } = state.intensity;
  out.stop(crash(new RestartIntensityExceeded(state.name, slot.spec.id, restarts, periodMs, cause)));
}

/** The child is done for good. */
function forget(state: State, slot: Slot, out: DynamicOut): void {
  state.slots.delete(slot);
  if (slot.state === "waiting") out.cancelTimer(`wait:${slot.token}`);
  const wishes = state.wishes.get(slot);
  if (wishes === undefined) return;
  state.wishes.delete(slot);
  for (const from of wishes.stoppers) out.reply(from, undefined);
}
