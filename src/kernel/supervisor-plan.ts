/**
 * What a supervisor is in the middle of: children to stop, right to left, then children to start, left to
 * right, one at a time.
 *
 * Owns the one plan under way. While there is one, other requests and exits wait (OTP's supervisor blocks
 * here; this one only defers, so that a shutdown gets in between). A start that fails ends the plan: its
 * restart is tried again by a message of the supervisor to itself.
 */

import { restartKind } from "./child-spec.ts";
import { type Slot, slotStarted } from "./slot.ts";
import type { SupervisorMessage, SupervisorState } from "./supervisor-state.ts";
import type { Out, Ref } from "./types.ts";

export type SupervisorEffect = { readonly type: "start"; readonly slot: Slot };
export type SupervisorOut = Out<SupervisorMessage, SupervisorEffect>;

export interface Plan {
  readonly stop: Slot[];
  readonly start: Slot[];
  /** Between the last stop and the first start; 0 = none. */
  readonly waitMs: number;
  /** What is being stopped or started right now. */
  current: Slot | undefined;
  /** Undefined for a restart, which is tried again when it fails. */
  readonly request: PlanRequest | undefined;
}

/** Who asked for the plan, and what becomes of the answer. */
export interface PlanRequest {
  done(out: SupervisorOut): void;
  failed(error: Error, out: SupervisorOut): void;
}

export function beginPlan(state: SupervisorState, plan: Omit<Plan, "current">, out: SupervisorOut): void {
  state.plan = { ...plan, current: undefined };
  for (const slot of plan.start) {
    if (slot.ref === undefined && plan.request === undefined) slot.state = "restarting";
  }
  advance(state, out);
}

/** The next stop or start; the plan's end when there is none left. */
export function advance(state: SupervisorState, out: SupervisorOut): void {
  const { plan } = state;
  if (plan === undefined) return;
  plan.current = nextStop(state, plan, out);
  if (plan.current !== undefined) return;
  if (plan.waitMs > 0) {
    waitFor(state, plan.start, plan.waitMs, out);
    state.plan = undefined;
    return;
  }
  const slot = plan.start.shift();
  if (slot === undefined) {
    state.plan = undefined;
    plan.request?.done(out);
    return;
  }
  plan.current = slot;
  slot.state = "starting";
  out.effect({ type: "start", slot });
}

function nextStop(state: SupervisorState, plan: Plan, out: SupervisorOut): Slot | undefined {
  for (let slot = plan.stop.shift(); slot !== undefined; slot = plan.stop.shift()) {
    if (slot.ref !== undefined && !hasEnded(state, slot.ref)) {
      slot.state = "stopping";
      out.stopChild(slot.ref);
      return slot;
    }
    childGone(state, plan, slot);
  }
  return undefined;
}

/** Its exit arrived during an earlier plan and still waits; no other will come, so it is taken from there. */
function hasEnded(state: SupervisorState, ref: Ref<never>): boolean {
  const at = state.deferred.findIndex((message) => message.type === "exited" && message.ref === ref);
  if (at >= 0) state.deferred.splice(at, 1);
  return at >= 0;
}

/** A child that the plan stops has ended. */
export function childGone(state: SupervisorState, plan: Plan, slot: Slot): void {
  slot.ref = undefined;
  slot.upSinceMs = undefined;
  slot.state = plan.start.includes(slot) ? "restarting" : "stopped";
  // A temporary child is not kept for another life.
  if (restartKind(slot.spec) === "temporary") state.slots = state.slots.filter((one) => one !== slot);
}

export function started(
  state: SupervisorState,
  slot: Slot,
  ref: Ref<never>,
  now: number,
  out: SupervisorOut,
): void {
  slotStarted(slot, ref, now);
  if (state.plan?.request === undefined) slot.restarts++;
  advance(state, out);
}

export function startFailed(state: SupervisorState, slot: Slot, error: Error, out: SupervisorOut): void {
  const { plan } = state;
  slot.coming = undefined;
  state.plan = undefined;
  if (plan?.request !== undefined) {
    plan.request.failed(error, out);
    return;
  }
  // Control goes back to the mailbox between two tries: a shutdown, or a terminateChild, gets in.
  const token = ++state.lastToken;
  for (const one of [slot, ...(plan?.start ?? [])]) {
    one.state = "restarting";
    one.token = token;
  }
  out.cast(state.self, { type: "retry", token, error });
}

function waitFor(state: SupervisorState, slots: readonly Slot[], waitMs: number, out: SupervisorOut): void {
  const token = ++state.lastToken;
  for (const slot of slots) {
    slot.state = "waiting";
    slot.token = token;
  }
  out.timer(`wait:${token}`, waitMs, { type: "due", token });
}
