/**
 * What the kernel knows of a supervisor beyond its being an actor: which slots it has, and how to end its
 * children.
 *
 * Owns no code. A supervisor is a behaviour on the kernel like any other; this face of it makes a child that
 * is between two lives visible in the tree, and gives the order in which children are stopped.
 */

import type { Behaviour, Ref, TreeNode } from "./types.ts";

/** One slot of a supervisor; `ref` is undefined between two lives. */
export interface SlotView {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly ref: Ref<never> | undefined;
  /** Shown when there is no `ref`. */
  readonly state: TreeNode["state"] | "stopped";
  readonly restarts: number;
}

export interface Supervising<S> {
  /** In the order of start. */
  slots(state: S): readonly SlotView[];
  /** All children are asked at once instead of one after the other (a dynamic supervisor). */
  readonly stopsTogether: boolean;
}

/** A behaviour that supervises: no limit to its shutdown by default, and every exit below it is noticed. */
export interface SupervisorBehaviour<S, M, E, A> extends Behaviour<S, M, E, A>, Supervising<S> {}

/** A behaviour as the kernel holds it, its types forgotten. */
export type AnyBehaviour = Behaviour<unknown, unknown, unknown, unknown> & Partial<Supervising<unknown>>;
