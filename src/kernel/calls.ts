/**
 * Calls that wait for an answer.
 *
 * Owns every open call, and one timer for all of them, set to the earliest time any is due: a timer a call
 * costs more than the call. When an actor ends, its open calls are refused with `ActorStopped`, those still
 * in its mailbox and those it had taken alike. An answer that comes too late is dropped.
 */

import type { Cell } from "./actor.ts";
import { ActorStopped, CallTimeout } from "./errors.ts";
import { describeExit } from "./exit.ts";
import type { Clock, ExitReason, From } from "./types.ts";

/** Two sweeps are at least this far apart, so that calls with scattered times do not make a timer each. */
const SWEEP_GAP_MS = 10;

/** One open call: the `From` that its receiver sees, and a node of the receiver's list. */
export class Call implements From<unknown> {
  previous: Call | undefined = undefined;
  next: Call | undefined = undefined;
  /** Its place in `Calls.open`; -1 once it is answered. */
  place = -1;

  constructor(
    private readonly calls: Calls,
    readonly target: Cell,
    readonly due: number,
    readonly timeoutMs: number,
    private readonly resolve: (value: unknown) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  answer(value: unknown): void {
    if (this.calls.close(this)) this.resolve(value);
  }

  refuse(error: Error): void {
    if (this.calls.close(this)) this.reject(error);
  }
}

export class Calls {
  private readonly open: Call[] = [];
  private sweepAt = Number.POSITIVE_INFINITY;
  private lastSweep = Number.NEGATIVE_INFINITY;
  private cancelSweep: (() => void) | undefined = undefined;
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Opens a call to a live actor; the caller sends the message. */
  start(
    target: Cell,
    timeoutMs: number,
    resolve: (value: unknown) => void,
    reject: (error: Error) => void,
  ): Call {
    const due = this.clock.now() + timeoutMs;
    const call = new Call(this, target, due, timeoutMs, resolve, reject);
    call.place = this.open.push(call) - 1;
    const first = target.calls;
    call.next = first;
    if (first !== undefined) first.previous = call;
    target.calls = call;
    if (due < this.sweepAt) this.armSweep(due);
    return call;
  }

  /** `false` when it was closed before. */
  close(call: Call): boolean {
    const place = call.place;
    if (place < 0) return false;
    call.place = -1;
    const last = this.open.pop();
    if (last !== undefined && last !== call) {
      this.open[place] = last;
      last.place = place;
    }
    const { previous, next } = call;
    if (previous === undefined) call.target.calls = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    call.previous = undefined;
    call.next = undefined;
    return true;
  }

  /** The actor has ended: whoever still waits for it learns so, the longest waiting first. */
  refuseAll(target: Cell, reason: ExitReason): void {
    let call = target.calls;
    if (call === undefined) return;
    while (call.next !== undefined) call = call.next;
    const error = stopped(target, reason);
    while (call !== undefined) {
      const later: Call | undefined = call.previous;
      call.refuse(error);
      call = later;
    }
  }

  private armSweep(due: number): void {
    this.cancelSweep?.();
    this.sweepAt = Math.max(due, this.lastSweep + SWEEP_GAP_MS);
    this.cancelSweep = this.clock.timer(Math.max(0, this.sweepAt - this.clock.now()), () => this.sweep());
  }

  private sweep(): void {
    const now = this.clock.now();
    this.cancelSweep = undefined;
    this.sweepAt = Number.POSITIVE_INFINITY;
    this.lastSweep = now;
    const late: Call[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const call of this.open) {
      if (call.due <= now) late.push(call);
      else if (call.due < next) next = call.due;
    }
    for (const call of late) call.refuse(new CallTimeout(call.target.name, call.timeoutMs));
    if (next < this.sweepAt) this.armSweep(next);
  }
}

/** What a call to an ended actor rejects with. */
export function stopped(target: { readonly name: string }, reason: ExitReason): ActorStopped {
  const cause = reason.kind === "crash" ? { cause: reason.error } : undefined;
  return new ActorStopped(target.name, describeExit(reason), cause);
}
