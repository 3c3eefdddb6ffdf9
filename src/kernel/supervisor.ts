/**
 * The supervisor: an actor that keeps children alive by one of OTP's three strategies.
 *
 * Owns its slots. Starts children left to right, each one's `init` done before the next begins; restarts by
 * strategy, restart kind and intensity, with backoff or supervisor2's delayed restart where a child asks for
 * it. When it ends, the kernel stops its children right to left; when it gives up it ends with
 * `RestartIntensityExceeded`, which its own parent handles as any crash.
 */

import { restartKind, spawnOptions } from "./child-spec.ts";
import { RestartIntensityExceeded, SupervisorRefused } from "./errors.ts";
import { crash } from "./exit.ts";
import { DEFAULT_INTENSITY, restartPlan } from "./restart.ts";
import { decideSlot, newSlot, type Slot, slotStarted, slotView, startSlot } from "./slot.ts";
import type { SupervisorBehaviour } from "./supervising.ts";
import {
  advance,
  beginPlan,
  childGone,
  type SupervisorEffect,
  type SupervisorOut,
  started,
  startFailed,
} from "./supervisor-plan.ts";
import { answer, findSlot } from "./supervisor-requests.ts";
import type { SupervisorMessage, SupervisorState } from "./supervisor-state.ts";
import type { ExitReason, Ref, Self, SupervisorOptions } from "./types.ts";

type Supervisor = SupervisorBehaviour<SupervisorState, SupervisorMessage, SupervisorEffect, undefined>;

/**
 * A behaviour to be started with `kernel.start(supervisor({ … }), undefined, { name })`, or as a child of
 * another supervisor. Its start resolves when all children have started, and rejects with what the first
 * failing `init` threw, after those before it have been stopped again. `random` is for the backoff's jitter.
 */
export function supervisor(options: SupervisorOptions, random: () => number = Math.random): Supervisor {
  return {
    kind: "supervisor",
    stopsTogether: false,
    init: (_args, self) => startAll(options, random, self),
    step,
    interpret: (effect, _state, self) => startSlot(effect.slot, self),
    exited: (ref, reason) => ({ type: "exited", ref, reason }),
    slots: (state) => state.slots.map(slotView),
    describe: (state) => ({ strategy: state.strategy, restarts: state.restarts.length }),
  };
}

async function startAll(
  options: SupervisorOptions,
  random: () => number,
  self: Self<SupervisorMessage>,
): Promise<SupervisorState> {
  const slots: Slot[] = [];
  const { name } = self.ref;
  for (const spec of options.children) {
    if (slots.some((slot) => slot.spec.id === spec.id)) throw new SupervisorRefused(name, spec.id, "exists");
    const slot = newSlot(spec);
    slots.push(slot);
    const ref = await self.kernel.startUnder(self.ref, spec.behaviour, spec.args(), spawnOptions(spec));
    slotStarted(slot, ref, self.kernel.clock.now());
  }
  return {
    name,
    self: self.ref,
    strategy: options.strategy,
    intensity: options.intensity ?? DEFAULT_INTENSITY,
    random,
    slots,
    restarts: [],
    plan: undefined,
    deferred: [],
    lastToken: 0,
    gaveUp: false,
  };
}

function step(state: SupervisorState, message: SupervisorMessage, now: number, out: SupervisorOut): void {
  if (state.plan !== undefined && waitsForPlan(state, message)) {
    state.deferred.push(message);
    return;
  }
  handle(state, message, now, out);
  while (state.plan === undefined && !state.gaveUp) {
    const next = state.deferred.shift();
    if (next === undefined) return;
    handle(state, next, now, out);
  }
}

function waitsForPlan(state: SupervisorState, message: SupervisorMessage): boolean {
  switch (message.type) {
    case "started":
    case "startFailed":
    case "whichChildren":
      return false;
    case "exited":
      return !isStoppedByPlan(state, message.ref);
    default:
      return true;
  }
}

function isStoppedByPlan(state: SupervisorState, ref: Ref<never>): boolean {
  const { plan } = state;
  if (plan === undefined) return false;
  return plan.current?.ref === ref || plan.stop.some((slot) => slot.ref === ref);
}

function handle(state: SupervisorState, message: SupervisorMessage, now: number, out: SupervisorOut): void {
  switch (message.type) {
    case "started":
      started(state, message.slot, message.ref, now, out);
      return;
    case "startFailed":
      startFailed(state, message.slot, message.error, out);
      return;
    case "exited":
      exited(state, message.ref, message.reason, now, out);
      return;
    case "retry": {
      const slot = state.slots.find((one) => one.state === "restarting" && one.token === message.token);
      if (slot !== undefined) restart(state, slot, crash(message.error), now, out);
      return;
    }
    case "due": {
      const start = state.slots.filter((one) => one.state === "waiting" && one.token === message.token);
      beginPlan(state, { stop: [], start, waitMs: 0, request: undefined }, out);
      return;
    }
    default:
      answer(state, message, out);
      return;
  }
}

function exited(
  state: SupervisorState,
  ref: Ref<never>,
  reason: ExitReason,
  now: number,
  out: SupervisorOut,
): void {
  const slot = state.slots.find((one) => one.ref === ref);
  if (slot === undefined) return;
  const { plan } = state;
  if (plan === undefined) {
    slot.ref = undefined;
    restart(state, slot, reason, now, out);
    return;
  }
  const isCurrent = plan.current === slot;
  childGone(state, plan, slot);
  if (isCurrent) advance(state, out);
}

/** The slot's child has ended, or a restart of it has failed: what its specification and the strategy say. */
function restart(
  state: SupervisorState,
  slot: Slot,
  reason: ExitReason,
  now: number,
  out: SupervisorOut,
): void {
  const decision = decideSlot(slot, reason, now, state);
  switch (decision.type) {
    case "forget":
      state.slots = state.slots.filter((one) => one !== slot);
      return;
    case "rest":
      slot.state = "stopped";
      return;
    case "giveUp":
      slot.state = "stopped";
      giveUp(state, slot, decision.restarts.length - 1, reason, out);
      return;
    default:
      state.restarts = decision.restarts;
      beginPlan(state, { ...planFor(state, slot), waitMs: decision.afterMs, request: undefined }, out);
      return;
  }
}

function planFor(state: SupervisorState, failed: Slot): { stop: Slot[]; start: Slot[] } {
  const children = state.slots.map((slot) => ({
    id: slot.spec.id,
    kind: restartKind(slot.spec),
    running: slot.ref !== undefined,
  }));
  const plan = restartPlan(state.strategy, children, failed.spec.id);
  const slots = (ids: readonly string[]): Slot[] => ids.flatMap((id) => findSlot(state, id) ?? []);
  return { stop: slots(plan.stop), start: slots(plan.start) };
}

function giveUp(
  state: SupervisorState,
  slot: Slot,
  restarts: number,
  reason: ExitReason,
  out: SupervisorOut,
): void {
  state.gaveUp = true;
  const cause = reason.kind === "crash" ? { cause: reason.error } : undefined;
  const { periodMs } = state.intensity;
  out.stop(crash(new RestartIntensityExceeded(state.name, slot.spec.id, restarts, periodMs, cause)));
}
