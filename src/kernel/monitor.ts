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

/**
 * One tie, in two lists through the monitors themselves: a Set for each would cost more than the rest of a spawn, and
 * its garbage outlives the young generation.
 */
export class Monitor {
  /** Fired or cut: it never fires again. */
  done = false;
  /** Among the target's: newest first. */
  older: Monitor | undefined = undefined;
  newer: Monitor | undefined = undefined;
  /** Among the watcher's. */
  previous: Monitor | undefined = undefined;
  next: Monitor | undefined = undefined;

  constructor(
    readonly target: Cell,
    /** Undefined for a listener outside any actor. */
    readonly watcher: Cell | undefined,
    readonly fire: (reason: ExitReason) => unknown,
  ) {
    const newest = target.monitors;
    this.older = newest;
    if (newest !== undefined) newest.newer = this;
    target.monitors = this;
    if (watcher === undefined) return;
    const last = watcher.monitoring;
    this.next = last;
    if (last !== undefined) last.previous = this;
    watcher.monitoring = this;
  }

  cut(): void {
    if (this.done) return;
    this.leaveTarget();
    this.leaveWatcher();
    this.done = true;
  }

  leaveTarget(): void {
    const { older, newer, target } = this;
    if (newer !== undefined) newer.older = older;
    else if (target.monitors === this) target.monitors = older;
    if (older !== undefined) older.newer = newer;
    this.older = undefined;
    this.newer = undefined;
  }

  leaveWatcher(): void {
    const { previous, next, watcher } = this;
    if (previous !== undefined) previous.next = next;
    else if (watcher?.monitoring === this) watcher.monitoring = next;
    if (next !== undefined) next.previous = previous;
    this.previous = undefined;
    this.next = undefined;
  }
}

export function monitor(target: Ref<never>, watcher: Cell, message: (reason: ExitReason) => unknown): void {
  if (target instanceof Cell && target.status !== DEAD) new Monitor(target, watcher, message);
  else tell(watcher, message, NOPROC);
}

/** Observes from outside; returns what stops observing. */
export function listen(target: Cell, listener: (reason: ExitReason) => void): () => void {
  const made = new Monitor(target, undefined, listener);
  return () => made.cut();
}

/** The target has ended: the first that was made fires first. */
export function fireMonitors(target: Cell, reason: ExitReason): void {
  const newest = target.monitors;
  if (newest === undefined) return;
  target.monitors = undefined;
  if (newest.older === undefined) {
    fire(newest, reason);
    return;
  }
  const all: Monitor[] = [];
  for (let made: Monitor | undefined = newest; made !== undefined; made = made.older) all.push(made);
  for (const made of all.reverse()) fire(made, reason);
}

/** One that was cut by what another one's listener did stays silent. */
function fire(made: Monitor, reason: ExitReason): void {
  if (made.done) return;
  const { target, watcher } = made;
  made.cut();
  if (watcher !== undefined) tell(watcher, made.fire, reason);
  else listenerCall(target, made.fire, reason);
}

/** The watcher has ended: its monitors go with it. */
export function cutMonitors(watcher: Cell): void {
  for (let made = watcher.monitoring; made !== undefined; made = watcher.monitoring) made.cut();
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
