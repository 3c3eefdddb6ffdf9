/**
 * What the kernel's tests share: a kernel on a virtual clock that keeps its notices, and a worker that says
 * what happens to it.
 */

import type {
  Behaviour,
  ChildInfo,
  ChildSpec,
  ExitNotice,
  Out,
  Ref,
  SupervisorMessage,
} from "../../src/kernel/index.ts";
import { childSpec, isOrderly, Kernel, normal, shutdown } from "../../src/kernel/index.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";

export interface Setup {
  readonly kernel: Kernel;
  readonly clock: VirtualClock;
  readonly notices: ExitNotice[];
  /** Lets everything that can happen now happen. */
  settle(): Promise<void>;
}

export function setup(): Setup {
  const clock = new VirtualClock();
  const notices: ExitNotice[] = [];
  const kernel = new Kernel({ clock, exited: (notice) => notices.push(notice) });
  return { kernel, clock, notices, settle: () => clock.settle() };
}

export type WorkerMessage = "crash" | "normal" | "shutdown" | "poke";

/** Logs `+name` at its start and `-name` at its end. */
export function worker(
  log: string[],
  name: string,
  options: WorkerOptions = {},
): Behaviour<string, WorkerMessage, never, void> {
  return {
    kind: "worker",
    init() {
      log.push(`+${name}`);
      if (options.failing?.()) throw new Error(`${name} cannot start`);
      return options.ready === undefined ? name : options.ready().then(() => name);
    },
    step(_state, message, _now, out) {
      if (message === "crash") throw new Error(`${name} crashed`);
      if (message === "normal") out.stop(normal());
      if (message === "shutdown") out.stop(shutdown());
    },
    terminate(_state, reason) {
      log.push(isOrderly(reason) ? `-${name}` : `x${name}`);
      return options.ending?.();
    },
  };
}

export interface WorkerOptions {
  /** Asked at each start. */
  readonly failing?: () => boolean;
  readonly ready?: () => Promise<unknown>;
  readonly ending?: () => Promise<void> | void;
}

/** A child specification around `worker`, registered under its id. */
export function workerSpec(
  log: string[],
  id: string,
  rest: Partial<ChildSpec> = {},
  options: WorkerOptions = {},
): ChildSpec {
  return {
    ...childSpec({ id, behaviour: worker(log, id, options), args: () => undefined, name: id }),
    ...rest,
  };
}

/** An actor whose step is the given function. */
export function actor<M, E = never>(
  step: (message: M, out: Out<M, E>, now: number) => void,
  rest: Partial<Behaviour<undefined, M, E, void>> = {},
): Behaviour<undefined, M, E, void> {
  return {
    kind: "actor",
    init: () => undefined,
    step: (_state, message, now, out) => step(message, out, now),
    ...rest,
  };
}

/** A promise and what settles it. */
export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
} {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** The live actor of that name. */
export function named(kernel: Kernel, name: string): Ref<WorkerMessage> {
  const ref = kernel.whereis(name);
  if (ref === undefined) throw new Error(`no actor named ${name}`);
  return ref as Ref<WorkerMessage>;
}

export function whichChildren(kernel: Kernel, of: Ref<SupervisorMessage>): Promise<readonly ChildInfo[]> {
  return kernel.call<SupervisorMessage, readonly ChildInfo[]>(of, (from) => ({
    type: "whichChildren",
    from,
  }));
}

/** Asks a supervisor with a request that names a child. */
export function ask<R>(
  kernel: Kernel,
  of: Ref<SupervisorMessage>,
  type: "terminateChild" | "deleteChild" | "restartChild",
  id: string,
): Promise<R> {
  return kernel.call<SupervisorMessage, R>(of, (from) => ({ type, id, from }) as SupervisorMessage);
}

export function startChild(
  kernel: Kernel,
  of: Ref<SupervisorMessage>,
  spec: ChildSpec,
): Promise<Ref<unknown>> {
  return kernel.call<SupervisorMessage, Ref<unknown>>(of, (from) => ({ type: "startChild", spec, from }));
}

/** `id:state` of each slot. */
export async function states(kernel: Kernel, of: Ref<SupervisorMessage>): Promise<string> {
  return (await whichChildren(kernel, of)).map((child) => `${child.id}:${child.state}`).join(" ");
}

/** Empties the log and returns what was in it. */
export function take(log: string[]): string {
  return log.splice(0).join(" ");
}
