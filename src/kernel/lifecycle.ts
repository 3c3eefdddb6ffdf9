/**
 * From an actor's start to its end: `begin`, `ask`, `end`, `kill`, and what follows from each.
 *
 * Owns the order of an end: no more messages → children stopped, last started first → `terminate`, under its
 * own name still → name free, calls refused, monitors fire → the parent is told. A kill skips the patience
 * and the last words, never the notices. Nothing that a behaviour throws here escapes: it becomes an exit or
 * a notice.
 */

import { Cell, DEAD, ENDING, RUNNING, STARTING, STOPPING, UNSTARTED } from "./actor.ts";
import { stopped } from "./calls.ts";
import { crash, isOrderly, KILLED, NOPROC, SHUTDOWN } from "./exit.ts";
import type { Host } from "./host.ts";
import { childrenInOrder, link, unlink } from "./links.ts";
import { cutMonitors, fireMonitors } from "./monitor.ts";
import type { AnyBehaviour } from "./supervising.ts";
import { clearTimers } from "./timers.ts";
import type { Behaviour, ExitReason, Ref, SpawnOptions } from "./types.ts";

/** A cell that does not live yet; `begin` starts it. */
export function createCell<S, M, E, A>(
  host: Host,
  behaviour: Behaviour<S, M, E, A>,
  options: SpawnOptions | undefined,
): Cell {
  return new Cell(host, behaviour as unknown as AnyBehaviour, options?.name, options?.shutdownMs);
}

/** Links, registers and initialises. Throws `NameTaken` and nothing else; a failing `init` ends the cell. */
export function begin(cell: Cell, parent: Cell | undefined, args: unknown): void {
  const { host } = cell;
  if (parent !== undefined && parent.status >= ENDING) {
    abandon(cell);
    return;
  }
  if (cell.status !== UNSTARTED) {
    // Stopped between the step that spawned it and this moment; its spawner still learns of its end.
    if (parent !== undefined) tellParent(cell, parent, SHUTDOWN, false);
    return;
  }
  if (cell.givenName !== undefined) {
    try {
      host.registry.add(cell.givenName, cell);
    } catch (error) {
      cell.starter = undefined;
      abandon(cell);
      throw error;
    }
  }
  cell.parent = parent;
  link(parent ?? host.roots, cell);
  cell.status = STARTING;
  cell.initPending = true;
  try {
    const state = cell.behaviour.init(args, cell);
    if (isPromise(state)) awaitInit(cell, state);
    else initDone(cell, state);
  } catch (error) {
    initFailed(cell, error);
  }
}

/** Written into `out` by a step that then threw, or under a parent that is ending: it never lives. */
export function abandon(cell: Cell): void {
  cell.status = DEAD;
  cell.reason = NOPROC;
  cell.box.clear();
  cell.host.calls.refuseAll(cell, NOPROC);
  fireMonitors(cell, NOPROC);
  cell.starter?.reject(stopped(cell, NOPROC));
  cell.starter = undefined;
}

/** Ask → wait → kill. `shutdownMs` of 0 kills at once. */
export function ask(cell: Cell, shutdownMs: number): void {
  if (cell.status === DEAD) return;
  if (cell.status === UNSTARTED) {
    abandon(cell);
    return;
  }
  if (shutdownMs <= 0) {
    kill(cell);
    return;
  }
  armKill(cell, shutdownMs);
  if (cell.status === STARTING) {
    end(cell, SHUTDOWN);
    return;
  }
  if (cell.status !== RUNNING) return;
  cell.status = STOPPING;
  const { shutdown } = cell.behaviour;
  if (shutdown === undefined) {
    end(cell, SHUTDOWN);
    return;
  }
  try {
    cell.deliver(shutdown.call(cell.behaviour));
  } catch (error) {
    end(cell, crash(error));
  }
}

/** As a parent: the child's end, however it comes about, does not crash the parent that wanted it. */
export function askChild(parent: Cell, child: Ref<never>): void {
  if (!(child instanceof Cell)) return;
  if (child.parent === parent) child.unlinked = true;
  ask(child, child.shutdownMs);
}

/** The actor ends with `reason`: at once, or when the step that is running is through. */
export function end(cell: Cell, reason: ExitReason): void {
  if (cell.status >= ENDING) return;
  if (cell.host.running === cell) {
    cell.leaving ??= reason;
    return;
  }
  cell.status = ENDING;
  cell.reason = cell.forced ? KILLED : reason;
  cell.box.clear();
  clearTimers(cell);
  wind(cell);
}

/** Ends it now: no `terminate`, and everything below it is killed too. */
export function kill(cell: Cell): void {
  if (cell.status === DEAD) return;
  if (cell.status === UNSTARTED) {
    abandon(cell);
    return;
  }
  cell.forced = true;
  if (cell.host.running === cell) {
    cell.leaving = KILLED;
    return;
  }
  if (cell.status < ENDING) {
    end(cell, KILLED);
    return;
  }
  // A crash stays the reason: it says more than the kill that cut its aftermath short.
  if (cell.reason === undefined || isOrderly(cell.reason)) cell.reason = KILLED;
  wind(cell);
}

function initDone(cell: Cell, state: unknown): void {
  if (cell.status === DEAD) return;
  cell.state = state;
  cell.hasState = true;
  cell.initPending = false;
  // It was stopped while it started: it never runs, but its `terminate` releases what `init` has opened.
  if (cell.status === ENDING) {
    wind(cell);
    return;
  }
  cell.run();
  const { starter } = cell;
  cell.starter = undefined;
  starter?.resolve(cell);
}

function awaitInit(cell: Cell, state: PromiseLike<unknown>): void {
  state.then(
    (value) => initDone(cell, value),
    (error: unknown) => initFailed(cell, error),
  );
}

function initFailed(cell: Cell, error: unknown): void {
  cell.initPending = false;
  if (cell.status === STARTING) end(cell, crash(error));
  // It was asked to stop meanwhile: the wait for its `init` is over.
  else if (cell.status === ENDING) wind(cell);
}

/** Stops the children in reverse order, one after the other; then the actor's own last words. */
function wind(cell: Cell): void {
  if (cell.winding) return;
  if (cell.lastChild !== undefined) {
    cell.winding = true;
    stopChildren(cell);
    cell.winding = false;
    if (cell.lastChild !== undefined) return;
  }
  lastWords(cell);
}

function stopChildren(cell: Cell): void {
  const together = cell.forced || cell.behaviour.stopsTogether === true;
  const children = childrenInOrder(cell).reverse();
  for (const child of children) {
    if (cell.forced) kill(child);
    else ask(child, child.shutdownMs);
    if (!together && child.status !== DEAD) return;
  }
}

function lastWords(cell: Cell): void {
  if (cell.status === DEAD) return;
  const { behaviour, reason } = cell;
  if (cell.forced || reason === undefined) {
    finish(cell);
    return;
  }
  if (cell.initPending) {
    armKill(cell, cell.shutdownMs);
    return;
  }
  if (cell.terminating) return;
  if (behaviour.terminate === undefined || !cell.hasState) {
    finish(cell);
    return;
  }
  cell.terminating = true;
  const host = cell.host;
  try {
    const ended: unknown = behaviour.terminate(cell.state, reason, cell);
    if (!isPromise(ended)) {
      finish(cell);
      return;
    }
    // Last words that never end would keep the parent from starting it again.
    armKill(cell, cell.shutdownMs);
    ended.then(
      () => finish(cell),
      (error: unknown) => {
        host.notice(cell, crash(error), cell.parent);
        finish(cell);
      },
    );
  } catch (error) {
    host.notice(cell, crash(error), cell.parent);
    finish(cell);
  }
}

function finish(cell: Cell): void {
  if (cell.status === DEAD) return;
  const { host, parent, starter } = cell;
  const reason = cell.reason ?? KILLED;
  cell.status = DEAD;
  cell.state = undefined;
  cell.hasState = false;
  cell.starter = undefined;
  cell.cancelKill?.();
  cell.cancelKill = undefined;
  if (cell.givenName !== undefined) host.registry.remove(cell.givenName, cell);
  unlink(parent ?? host.roots, cell);
  if (cell.calls !== undefined) host.calls.refuseAll(cell, reason);
  cutMonitors(cell);
  fireMonitors(cell, reason);
  if (!isOrderly(reason) || parent?.behaviour.slots !== undefined) host.notice(cell, reason, parent);
  starter?.reject(reason.kind === "crash" ? reason.error : stopped(cell, reason));
  cell.parent = undefined;
  if (parent !== undefined) tellParent(cell, parent, reason, starter !== undefined);
}

function tellParent(cell: Cell, parent: Cell, reason: ExitReason, startFailed: boolean): void {
  if (parent.status === ENDING) {
    wind(parent);
    return;
  }
  // Whoever awaited the start has been told already.
  if (startFailed) return;
  const { behaviour } = parent;
  if (behaviour.exited !== undefined) {
    try {
      parent.deliver(behaviour.exited(cell, reason));
    } catch (error) {
      end(parent, crash(error));
    }
    return;
  }
  if (isOrderly(reason) || cell.unlinked) return;
  // A kill reaches the parent as a crash that names the child: the parent itself still says its last words.
  end(parent, reason.kind === "crash" ? reason : crash(stopped(cell, reason)));
}

function armKill(cell: Cell, afterMs: number): void {
  if (!Number.isFinite(afterMs)) return;
  const { clock } = cell.host;
  const at = clock.now() + afterMs;
  if (at >= cell.killAt) return;
  cell.cancelKill?.();
  cell.killAt = at;
  cell.cancelKill = clock.timer(afterMs, () => kill(cell));
}

/** @internal */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
