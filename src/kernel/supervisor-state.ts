/**
 * A supervisor's state and the messages it takes.
 *
 * Owns no code. The requests are OTP's `start_child`, `terminate_child`, `delete_child`, `restart_child` and
 * `which_children`; the rest it sends itself.
 */

import type { ChildInfo } from "./child-spec.ts";
import type { Slot, StartOutcome } from "./slot.ts";
import type { Plan } from "./supervisor-plan.ts";
import type { ChildSpec, ExitReason, From, Intensity, Ref, Strategy } from "./types.ts";

/**
 * What others ask a supervisor, each by `kernel.call`. Refused with `SupervisorRefused`, or with what `init`
 * threw.
 */
export type SupervisorRequest =
  /** Adds a slot after the others and starts it; answers when its `init` is done. */
  | { readonly type: "startChild"; readonly spec: ChildSpec; readonly from: From<Ref<unknown>> }
  /** Stops the child; the slot stays, unless it is temporary. */
  | { readonly type: "terminateChild"; readonly id: string; readonly from: From<undefined> }
  /** Removes the slot of a child that does not run. */
  | { readonly type: "deleteChild"; readonly id: string; readonly from: From<undefined> }
  /** Starts a child that was terminated, or that has ended and is not restarted. */
  | { readonly type: "restartChild"; readonly id: string; readonly from: From<Ref<unknown>> }
  | { readonly type: "whichChildren"; readonly from: From<readonly ChildInfo[]> };

export type SupervisorMessage =
  | SupervisorRequest
  | StartOutcome
  | { readonly type: "exited"; readonly ref: Ref<never>; readonly reason: ExitReason }
  | { readonly type: "retry"; readonly token: number; readonly error: Error }
  | { readonly type: "due"; readonly token: number };

export interface SupervisorState {
  readonly name: string;
  readonly self: Ref<SupervisorMessage>;
  readonly strategy: Strategy;
  readonly intensity: Intensity;
  readonly random: () => number;
  slots: Slot[];
  /** When the last restarts were, within the period. */
  restarts: number[];
  plan: Plan | undefined;
  /** What arrived while a plan was under way. */
  readonly deferred: SupervisorMessage[];
  lastToken: number;
  gaveUp: boolean;
}
