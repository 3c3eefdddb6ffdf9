/**
 * One slot of a supervisor: a child specification and what has become of it.
 *
 * Owns the reference to the child's present life. A slot outlives its child: a restarting child keeps its
 * place among the others, and its counts.
 */

import { Cell } from "./actor.ts";
import { type ChildInfo, type ChildState, restartKind, spawnOptions } from "./child-spec.ts";
import { toError } from "./exit.ts";
import { begin, createCell } from "./lifecycle.ts";
import { type Decision, decide } from "./restart.ts";
import type { SlotView } from "./supervising.ts";
import type { ChildSpec, ExitReason, Intensity, Ref, Self } from "./types.ts";

export interface Slot {
  readonly spec: ChildSpec;
  state: ChildState;
  ref: Ref<never> | undefined;
  /** The child whose `init` is under way. */
  coming: Ref<never> | undefined;
  restarts: number;
  /** Restarts in a row; a life longer than the backoff's most begins a new row. */
  inRow: number;
  upSinceMs: number | undefined;
  /** Which wait or retry it belongs to; an older message about it is stale. */
  token: number;
}

export function newSlot(spec: ChildSpec): Slot {
  return {
    spec,
    state: "starting",
    ref: undefined,
    coming: undefined,
    restarts: 0,
    inRow: 0,
    upSinceMs: undefined,
    token: 0,
  };
}

export function slotView(slot: Slot): SlotView {
  const { spec, restarts, state } = slot;
  const ref = slot.ref ?? slot.coming;
  return { id: spec.id, name: spec.name ?? spec.id, kind: spec.behaviour.kind, ref, state, restarts };
}

export function childInfo(slot: Slot): ChildInfo {
  return { id: slot.spec.id, ref: slot.ref, state: slot.state };
}

export function slotStarted(slot: Slot, ref: Ref<never>, now: number): void {
  slot.state = "running";
  slot.ref = ref;
  slot.coming = undefined;
  slot.upSinceMs = now;
}

/** The messages of a start's outcome, shared by both supervisors. */
export type StartOutcome =
  | { readonly type: "started"; readonly slot: Slot; readonly ref: Ref<never> }
  | { readonly type: "startFailed"; readonly slot: Slot; readonly error: Error };

/**
 * Starts the slot's child; exactly one outcome is delivered to the supervisor, before any exit of that child
 * (a promise would let the exit overtake it).
 */
export function startSlot(slot: Slot, self: Self<never>): void {
  const supervisor = self.ref;
  if (!(supervisor instanceof Cell)) throw new TypeError("a supervisor runs on the kernel only");
  const tell = (outcome: StartOutcome): void => supervisor.deliver(outcome);
  try {
    const args: unknown = slot.spec.args();
    const cell = createCell(supervisor.host, slot.spec.behaviour, spawnOptions(slot.spec));
    slot.coming = cell;
    cell.starter = {
      resolve: (ref) => tell({ type: "started", slot, ref }),
      reject: (error) => tell({ type: "startFailed", slot, error }),
    };
    begin(cell, supervisor, args);
  } catch (error) {
    tell({ type: "startFailed", slot, error: toError(error) });
  }
}

/** What follows from the slot's child having ended, or from a restart of it having failed. */
export function decideSlot(
  slot: Slot,
  reason: ExitReason,
  now: number,
  window: {
    readonly restarts: readonly number[];
    readonly intensity: Intensity;
    readonly random: () => number;
  },
): Decision {
  const { backoff, delayedRestartMs } = slot.spec;
  const { upSinceMs } = slot;
  slot.upSinceMs = undefined;
  if (backoff !== undefined && upSinceMs !== undefined && now - upSinceMs > backoff.maxMs) slot.inRow = 0;
  const decision = decide({
    kind: restartKind(slot.spec),
    reason,
    now,
    restarts: window.restarts,
    intensity: window.intensity,
    backoff,
    delayedRestartMs,
    inRow: slot.inRow,
    random: window.random(),
  });
  slot.inRow++;
  return decision;
}
