/**
 * Monitors: the end of an actor as a message to another actor, or as a call to a listener outside.
 *
 * Owns the tie between the two and cuts it when either ends, so that a short-lived watcher leaves nothing
 * behind on a long-lived target. Each fires once, after the target's `terminate`; at once with `noproc` when
 * the target is gone already.
 */

import { Cell, DEAD, ENDING } from "./actor.ts";
import { crash, NOPROC } from "./exit.ts";
import { end } from "./lifecycle.ts";
import type { ExitReason, Ref } from "./types.ts";

export class Monitor {
  constructor(
    readonly target: Cell,
    /** Undefined for a listener outside any actor. */
    readonly watcher: Cell | undefined,
    readonly fire: (reason: ExitReason) => unknown,
  ) {}

  cut(): void {
    this.target.monitors?.delete(this);
    this.watcher?.monitoring?.delete(this);
  }
}

export function monitor(target: Ref<never>, watcher: Cell, message: (reason: ExitReason) => unknown): void {
  if (!(target instanceof Cell) || target.status === DEAD) {
    tell(watcher, message, NOPROC);
    return;
  }
  const made = new Monitor(target, watcher, message);
  target.monitors ??= new Set();
  target.monitors.add(made);
  watcher.monitoring ??= new Set();
  watcher.monitoring.add(made);
}

/** Observes from outside; returns what stops observing. */
export function listen(target: Cell, listener: (reason: ExitReason) => void): () => void {
  const made = new Monitor(target, undefined, listener);
  target.monitors ??= new Set();
  target.monitors.add(made);
  return () => made.cut();
}

/** The target has ended. */
export function fireMonitors(target: Cell, reason: ExitReason): void {
  const monitors = target.monitors;
  if (monitors === undefined) return;
  target.monitors = undefined;
  for (const { watcher, fire } of monitors) {
    if (watcher !== undefined) tell(watcher, fire, reason);
    else listenerCall(target, fire, reason);
  }
}

/** The watcher has ended: its monitors go with it. */
export function cutMonitors(watcher: Cell): void {
  const monitoring = watcher.monitoring;
  if (monitoring === undefined) return;
  watcher.monitoring = undefined;
  for (const made of monitoring) made.target.monitors?.delete(made);
}

function tell(watcher: Cell, message: (reason: ExitReason) => unknown, reason: ExitReason): void {
  if (watcher.status >= ENDING) return;
  try {
    watcher.deliver(message(reason));
  } catch (error) {
    end(watcher, crash(error));
  }
}

function listenerCall(target: Cell, listener: (reason: ExitReason) => unknown, reason: ExitReason): void {
  try {
    listener(reason);
  } catch (error) {
    target.host.stray(error);
  }
}
