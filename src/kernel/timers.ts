/**
 * The timers of one actor: by name, and its idle timeout.
 *
 * Owns what is armed on the clock; all of it is cancelled when the actor ends. The idle timeout is cancelled
 * by any message, as gen_server's is. Most messages would cancel and set it again, so the timer on the clock
 * is left to run and only looks, when it fires, whether a later one is due.
 */

import { type Cell, ENDING } from "./actor.ts";

interface Idle {
  dueMs: number;
  message: unknown;
  active: boolean;
  /** Undefined when nothing is armed on the clock. */
  cancel: (() => void) | undefined;
  armedForMs: number;
}

export interface Timers {
  named: Map<string, () => void> | undefined;
  idle: Idle | undefined;
}

export function setTimer(cell: Cell, name: string, afterMs: number, message: unknown): void {
  const timers = timersOf(cell);
  timers.named ??= new Map();
  const named = timers.named;
  named.get(name)?.();
  const cancel = cell.host.clock.timer(afterMs, () => {
    if (named.get(name) !== cancel) return;
    named.delete(name);
    cell.deliver(message);
  });
  named.set(name, cancel);
}

export function cancelTimer(cell: Cell, name: string): void {
  const named = cell.timers?.named;
  const cancel = named?.get(name);
  if (named === undefined || cancel === undefined) return;
  named.delete(name);
  cancel();
}

export function setIdle(cell: Cell, idleMs: number, message: unknown): void {
  const dueMs = cell.host.clock.now() + idleMs;
  const timers = timersOf(cell);
  const idle = timers.idle;
  if (idle === undefined) {
    timers.idle = { dueMs, message, active: true, cancel: undefined, armedForMs: 0 };
    armIdle(cell, timers.idle);
    return;
  }
  idle.dueMs = dueMs;
  idle.message = message;
  idle.active = true;
  if (idle.cancel !== undefined && idle.armedForMs <= dueMs) return;
  idle.cancel?.();
  armIdle(cell, idle);
}

/** A message is handled: the actor is not idle. */
export function clearIdle(timers: Timers): void {
  const idle = timers.idle;
  if (idle === undefined || !idle.active) return;
  idle.active = false;
  idle.message = undefined;
}

export function clearTimers(cell: Cell): void {
  const timers = cell.timers;
  if (timers === undefined) return;
  cell.timers = undefined;
  timers.idle?.cancel?.();
  if (timers.named === undefined) return;
  for (const cancel of timers.named.values()) cancel();
  timers.named.clear();
}

function timersOf(cell: Cell): Timers {
  cell.timers ??= { named: undefined, idle: undefined };
  return cell.timers;
}

function armIdle(cell: Cell, idle: Idle): void {
  const { clock } = cell.host;
  idle.armedForMs = idle.dueMs;
  idle.cancel = clock.timer(Math.max(0, idle.dueMs - clock.now()), () => idleFired(cell, idle));
}

function idleFired(cell: Cell, idle: Idle): void {
  idle.cancel = undefined;
  if (!idle.active || cell.status >= ENDING) return;
  if (idle.dueMs > cell.host.clock.now()) {
    armIdle(cell, idle);
    return;
  }
  // What waits in the mailbox arrived in time; its handling ends the idleness.
  if (cell.box.size > 0) return;
  const { message } = idle;
  idle.active = false;
  idle.message = undefined;
  cell.deliver(message);
}
