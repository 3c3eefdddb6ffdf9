/**
 * What a supervisor is asked by others: start, terminate, delete and restart a child, and which children it
 * has.
 *
 * Owns nothing. Each request is answered when it is done; a start or a stop is a plan of its own, so it waits
 * for the one under way and for a child's `init` or `terminate`.
 */

import { SupervisorRefused } from "./errors.ts";
import { childInfo, newSlot, type Slot } from "./slot.ts";
import { beginPlan, type SupervisorOut } from "./supervisor-plan.ts";
import type { SupervisorRequest, SupervisorState } from "./supervisor-state.ts";
import type { Ref } from "./types.ts";

export function findSlot(state: SupervisorState, id: string): Slot | undefined {
  return state.slots.find((slot) => slot.spec.id === id);
}

/** Does what is asked, or refuses it. No plan is under way but for `whichChildren`. */
export function answer(state: SupervisorState, request: SupervisorRequest, out: SupervisorOut): void {
  const { from } = request;
  if (request.type === "whichChildren") {
    out.reply(request.from, state.slots.map(childInfo));
    return;
  }
  const id = request.type === "startChild" ? request.spec.id : request.id;
  const slot = findSlot(state, id);
  const refuse = (because: SupervisorRefused["because"]): void =>
    out.refuse(from, new SupervisorRefused(state.name, id, because));
  if (request.type === "startChild") {
    if (slot === undefined) startChild(state, request, out);
    else refuse("exists");
    return;
  }
  if (slot === undefined) {
    refuse("unknown");
    return;
  }
  if (request.type === "terminateChild") {
    terminateChild(state, slot, request, out);
    return;
  }
  if (slot.state !== "stopped") {
    refuse("running");
    return;
  }
  if (request.type === "restartChild") {
    restartChild(state, slot, request, out);
    return;
  }
  state.slots = state.slots.filter((one) => one !== slot);
  out.reply(request.from, undefined);
}

type Request<T extends SupervisorRequest["type"]> = Extract<SupervisorRequest, { type: T }>;

function startChild(state: SupervisorState, request: Request<"startChild">, out: SupervisorOut): void {
  const slot = newSlot(request.spec);
  state.slots.push(slot);
  const failed = (error: Error, later: SupervisorOut): void => {
    state.slots = state.slots.filter((one) => one !== slot);
    later.refuse(request.from, error);
  };
  startForRequest(state, slot, request.from, failed, out);
}

function restartChild(
  state: SupervisorState,
  slot: Slot,
  request: Request<"restartChild">,
  out: SupervisorOut,
): void {
  const failed = (error: Error, later: SupervisorOut): void => {
    slot.state = "stopped";
    later.refuse(request.from, error);
  };
  startForRequest(state, slot, request.from, failed, out);
}

function startForRequest(
  state: SupervisorState,
  slot: Slot,
  from: Request<"startChild">["from"],
  failed: (error: Error, later: SupervisorOut) => void,
  out: SupervisorOut,
): void {
  const done = (later: SupervisorOut): void => {
    if (slot.ref !== undefined) later.reply(from, slot.ref as Ref<unknown>);
  };
  beginPlan(state, { stop: [], start: [slot], waitMs: 0, request: { done, failed } }, out);
}

function terminateChild(
  state: SupervisorState,
  slot: Slot,
  request: Request<"terminateChild">,
  out: SupervisorOut,
): void {
  const done = (later: SupervisorOut): void => later.reply(request.from, undefined);
  beginPlan(state, { stop: [slot], start: [], waitMs: 0, request: { done, failed: () => {} } }, out);
}
