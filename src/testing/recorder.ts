/**
 * An `out` that does nothing but remember: for table tests of a `step` without a kernel.
 *
 * Owns the list of operations, as plain data in the order they were written; actors are recorded by name, so
 * that a whole list compares with `toEqual`. What it spawns are fake references that record what is cast to
 * them.
 */

import type { Behaviour, ExitReason, From, Out, Ref, SpawnOptions } from "../kernel/types.ts";

/** One operation, as it was written. */
export type Op<M, E> =
  | { readonly op: "cast"; readonly to: string; readonly message: unknown }
  | { readonly op: "reply"; readonly from: unknown; readonly value: unknown }
  | { readonly op: "refuse"; readonly from: unknown; readonly error: Error }
  | { readonly op: "effect"; readonly effect: E }
  | { readonly op: "spawn"; readonly name: string; readonly kind: string; readonly args: unknown }
  | { readonly op: "stopChild"; readonly child: string }
  | { readonly op: "monitor"; readonly target: string }
  | { readonly op: "timer"; readonly name: string; readonly afterMs: number; readonly message: M }
  | { readonly op: "cancelTimer"; readonly name: string }
  | { readonly op: "idle"; readonly idleMs: number; readonly message: M }
  | { readonly op: "stop"; readonly reason: ExitReason | undefined };

/** A reference to nobody, that remembers what was cast to it. */
export interface FakeRef<M> extends Ref<M> {
  readonly received: M[];
}

let lastFakePid = 0;

/** A fake reference; `kind:pid` when it has no name. */
export function fakeRef<M>(name?: string): FakeRef<M> {
  const pid = ++lastFakePid;
  const received: M[] = [];
  return { name: name ?? `fake:${pid}`, pid, received, cast: (message) => received.push(message) > 0 };
}

/** A `From` for a step's call messages; the recorder knows it by identity. */
export function fakeFrom<R>(): From<R> & { readonly answers: (R | Error)[] } {
  const answers: (R | Error)[] = [];
  return {
    answers,
    answer: (value) => void answers.push(value),
    refuse: (error) => void answers.push(error),
  };
}

export class Recorder<M, E> implements Out<M, E> {
  ops: Op<M, E>[] = [];
  /** What `monitor` was given, by the target's name: to make the message that would arrive. */
  readonly monitors = new Map<string, (reason: ExitReason) => M>();
  /** The references `spawn` has given out, in order. */
  readonly spawned: FakeRef<never>[] = [];

  /** What was recorded since the last `take`. */
  take(): Op<M, E>[] {
    const { ops } = this;
    this.ops = [];
    return ops;
  }

  cast<N>(to: Ref<N>, message: N): void {
    this.ops.push({ op: "cast", to: to.name, message });
  }

  reply<R>(from: From<R>, value: R): void {
    this.ops.push({ op: "reply", from, value });
  }

  refuse(from: From<never>, error: Error): void {
    this.ops.push({ op: "refuse", from, error });
  }

  effect(effect: E): void {
    this.ops.push({ op: "effect", effect });
  }

  spawn<S2, M2, E2, A2>(behaviour: Behaviour<S2, M2, E2, A2>, args: A2, options?: SpawnOptions): Ref<M2> {
    const ref = fakeRef<M2>(options?.name ?? `${behaviour.kind}:${this.spawned.length + 1}`);
    this.spawned.push(ref as unknown as FakeRef<never>);
    this.ops.push({ op: "spawn", name: ref.name, kind: behaviour.kind, args });
    return ref;
  }

  stopChild(child: Ref<never>): void {
    this.ops.push({ op: "stopChild", child: child.name });
  }

  monitor(target: Ref<never>, message: (reason: ExitReason) => M): void {
    this.monitors.set(target.name, message);
    this.ops.push({ op: "monitor", target: target.name });
  }

  timer(name: string, afterMs: number, message: M): void {
    this.ops.push({ op: "timer", name, afterMs, message });
  }

  cancelTimer(name: string): void {
    this.ops.push({ op: "cancelTimer", name });
  }

  idle(idleMs: number, message: M): void {
    this.ops.push({ op: "idle", idleMs, message });
  }

  stop(reason?: ExitReason): void {
    this.ops.push({ op: "stop", reason });
  }
}
