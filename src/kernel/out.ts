/**
 * The buffer behind `out`: what a step wants done, in one flat array that is used again for every step.
 *
 * Owns nothing between two steps. Carried out in order after the step has returned; a step that throws has
 * done nothing, because the buffer is discarded. No object is made per operation: a code and its operands lie
 * side by side, and each slot is cleared as it is read.
 */

import { Cell, ENDING, STOPPING } from "./actor.ts";
import { crash, NORMAL, SHUTDOWN } from "./exit.ts";
import type { Host } from "./host.ts";
import { abandon, askChild, begin, createCell, end, isPromise } from "./lifecycle.ts";
import { monitor } from "./monitor.ts";
import { cancelTimer, setIdle, setTimer } from "./timers.ts";
import type { Behaviour, ExitReason, From, Out, Ref, SpawnOptions } from "./types.ts";

const CAST = 0;
const REPLY = 1;
const REFUSE = 2;
const EFFECT = 3;
const SPAWN = 4;
const STOP_CHILD = 5;
const MONITOR = 6;
const TIMER = 7;
const CANCEL_TIMER = 8;
const IDLE = 9;
const STOP = 10;

export class OutBuffer implements Out<unknown, unknown> {
  /**
   * Slots in use. The array itself keeps its length: setting it to 0 would give its memory back each time.
   */
  size = 0;
  private readonly slots: unknown[] = [];
  private at = 0;

  constructor(private readonly host: Host) {}

  cast<N>(to: Ref<N>, message: N): void {
    this.write(CAST, to, message);
  }

  reply<R>(from: From<R>, value: R): void {
    this.write(REPLY, from, value);
  }

  refuse(from: From<never>, error: Error): void {
    this.write(REFUSE, from, error);
  }

  effect(effect: unknown): void {
    this.write(EFFECT, effect, undefined);
  }

  spawn<S, M, E, A>(behaviour: Behaviour<S, M, E, A>, args: A, options?: SpawnOptions): Ref<M> {
    const cell = createCell(this.host, behaviour, options);
    this.write(SPAWN, cell, args);
    return cell;
  }

  stopChild(child: Ref<never>): void {
    this.write(STOP_CHILD, child, undefined);
  }

  monitor(target: Ref<never>, message: (reason: ExitReason) => unknown): void {
    this.write(MONITOR, target, message);
  }

  timer(name: string, afterMs: number, message: unknown): void {
    this.write(TIMER, name, afterMs);
    this.slots[this.size++] = message;
  }

  cancelTimer(name: string): void {
    this.write(CANCEL_TIMER, name, undefined);
  }

  idle(idleMs: number, message: unknown): void {
    this.write(IDLE, idleMs, message);
  }

  stop(reason?: ExitReason): void {
    this.write(STOP, reason, undefined);
  }

  /**
   * Does what was written, for `cell`. Throws what an operation throws; the rest is then still in the buffer.
   */
  carry(cell: Cell): void {
    const slots = this.slots;
    this.at = 0;
    while (this.at < this.size) {
      const at = this.at;
      const code = slots[at];
      const a = slots[at + 1];
      const b = slots[at + 2];
      slots[at + 1] = undefined;
      slots[at + 2] = undefined;
      this.at = at + 3;
      if (code === CAST) {
        if (!(a as Ref<unknown>).cast(b)) this.refused(a);
      } else this.perform(cell, code as number, a, b);
    }
    this.size = 0;
    this.at = 0;
  }

  /** Forgets what was written; what was to be spawned never lives. */
  discard(): void {
    const slots = this.slots;
    let at = this.at;
    while (at < this.size) {
      if (slots[at] === SPAWN) abandon(slots[at + 1] as Cell);
      at += slots[at] === TIMER ? 4 : 3;
    }
    slots.fill(undefined, 0, this.size);
    this.size = 0;
    this.at = 0;
  }

  private write(code: number, a: unknown, b: unknown): void {
    const size = this.size;
    const slots = this.slots;
    slots[size] = code;
    slots[size + 1] = a;
    slots[size + 2] = b;
    this.size = size + 3;
  }

  private perform(cell: Cell, code: number, a: unknown, b: unknown): void {
    switch (code) {
      case REPLY:
        (a as From<unknown>).answer(b);
        return;
      case REFUSE:
        (a as From<never>).refuse(b as Error);
        return;
      case EFFECT:
        this.interpret(cell, a);
        return;
      case SPAWN:
        begin(a as Cell, cell, b);
        return;
      case STOP_CHILD:
        askChild(cell, a as Ref<never>);
        return;
      case MONITOR:
        monitor(a as Ref<never>, cell, b as (reason: ExitReason) => unknown);
        return;
      case TIMER:
        setTimer(cell, a as string, b as number, this.takeMore());
        return;
      case CANCEL_TIMER:
        cancelTimer(cell, a as string);
        return;
      case IDLE:
        setIdle(cell, a as number, b);
        return;
      case STOP:
        cell.leaving ??= (a as ExitReason | undefined) ?? (cell.status === STOPPING ? SHUTDOWN : NORMAL);
        return;
    }
  }

  private interpret(cell: Cell, effect: unknown): void {
    const done: unknown = cell.behaviour.interpret?.(effect, cell.state, cell);
    // An `async interpret` passes the types; its failure must not be silent either.
    if (isPromise(done)) done.then(undefined, (error: unknown) => end(cell, crash(error)));
  }

  /**
   * What a step casts to the dead is dropped, as in OTP; what a full mailbox refuses must be seen by
   * somebody.
   */
  private refused(to: unknown): void {
    if (to instanceof Cell && to.status < ENDING) this.host.mailboxFull(to);
  }

  private takeMore(): unknown {
    const value = this.slots[this.at];
    this.slots[this.at++] = undefined;
    return value;
  }
}
