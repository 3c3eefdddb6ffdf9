/**
 * Child specifications: a typed way to write one, and what its defaults are.
 *
 * Owns nothing. A supervisor's list holds children of different types, so the list itself is untyped;
 * `childSpec` checks each where it is written.
 */

import type { ChildSpec, Ref, RestartKind, SpawnOptions } from "./types.ts";

/** Checks that `args` fits the behaviour, and forgets nothing of the types. */
export function childSpec<S, M, E, A>(spec: ChildSpec<S, M, E, A>): ChildSpec<S, M, E, A> {
  return spec;
}

export function restartKind(spec: ChildSpec): RestartKind {
  return spec.restart ?? "permanent";
}

/**
 * What the child is started with: its own shutdown time, none for a supervisor, else the kernel's default.
 */
export function spawnOptions(spec: ChildSpec): SpawnOptions {
  const shutdownMs = spec.shutdownMs ?? (spec.type === "supervisor" ? Number.POSITIVE_INFINITY : undefined);
  return {
    ...(spec.name === undefined ? {} : { name: spec.name }),
    ...(shutdownMs === undefined ? {} : { shutdownMs }),
  };
}

/** A child as `whichChildren` shows it. */
export interface ChildInfo {
  readonly id: string;
  /** Undefined between two lives, and for a child that was terminated or has ended. */
  readonly ref: Ref<never> | undefined;
  readonly state: ChildState;
}

/**
 * `restarting`: a restart failed and is tried again; `waiting`: for its backoff or its delayed restart;
 * `stopped`: keeps its slot, is not started by itself.
 */
export type ChildState = "starting" | "running" | "stopping" | "restarting" | "waiting" | "stopped";
