/**
 * One actor: its state, mailbox and place among the others. It is its own `Ref` and its own `Self`.
 *
 * Owns what the behaviour's state holds, for the time between `init` and `terminate`; `lifecycle.ts` moves it
 * from one status to the next. One is made per job, so everything rare (children, timers, monitors) is made
 * when it is first needed. Once dead it holds nothing but its name: a reference that is kept keeps no data
 * alive.
 */

import type { Call } from "./calls.ts";
import { crash } from "./exit.ts";
import type { Host } from "./host.ts";
import { end } from "./lifecycle.ts";
import type { Family } from "./links.ts";
import { Mailbox } from "./mailbox.ts";
import type { Monitor } from "./monitor.ts";
import type { Runnable } from "./run-loop.ts";
import type { AnyBehaviour } from "./supervising.ts";
import { clearIdle, type Timers } from "./timers.ts";
import type { ExitReason, KernelApi, Ref, Self } from "./types.ts";

/** Made by `out.spawn`, not yet started. */
export const UNSTARTED = 0;
/** An asynchronous `init` is under way; messages wait. */
export const STARTING = 1;
export const RUNNING = 2;
/** Asked to stop; still handles messages. */
export const STOPPING = 3;
/** Its children are being stopped, then its `terminate` runs; no message is taken. */
export const ENDING = 4;
export const DEAD = 5;

export type Status = 0 | 1 | 2 | 3 | 4 | 5;

/** Who awaits the end of an `init`. */
export interface Starter {
  resolve(ref: Ref<unknown>): void;
  reject(error: Error): void;
}

export class Cell implements Ref<unknown>, Self<unknown>, Runnable, Family {
  readonly pid: number;
  readonly behaviour: AnyBehaviour;
  readonly shutdownMs: number;
  /** Undefined: the default, `kind:pid`, made only when it is asked for. */
  readonly givenName: string | undefined;
  /** @internal */
  readonly host: Host;

  status: Status = UNSTARTED;
  state: unknown = undefined;
  hasState = false;
  readonly box: Mailbox;
  /** In the queue of the run loop, or not to be put there (not running). */
  scheduled = true;
  handled = 0;

  parent: Cell | undefined = undefined;
  previous: Cell | undefined = undefined;
  next: Cell | undefined = undefined;
  lastChild: Cell | undefined = undefined;

  calls: Call | undefined = undefined;
  timers: Timers | undefined = undefined;
  /** The newest of those that watch this one. */
  monitors: Monitor | undefined = undefined;
  /** The newest of those it watches others with. */
  monitoring: Monitor | undefined = undefined;
  starter: Starter | undefined = undefined;

  /** Why it ends: set while its own step runs, acted on after that. */
  leaving: ExitReason | undefined = undefined;
  /** Why it ended, from `ENDING` on. */
  reason: ExitReason | undefined = undefined;
  /** Killed: no last words, no patience with what is below. */
  forced = false;
  /** The parent itself wants its end, so the end does not reach the parent as a crash. */
  unlinked = false;
  initPending = false;
  terminating = false;
  winding = false;
  cancelKill: (() => void) | undefined = undefined;
  killAt = Number.POSITIVE_INFINITY;

  constructor(host: Host, behaviour: AnyBehaviour, name: string | undefined, shutdownMs: number | undefined) {
    this.pid = ++host.lastPid;
    this.host = host;
    this.behaviour = behaviour;
    this.givenName = name;
    this.shutdownMs = shutdownMs ?? (behaviour.slots === undefined ? 5_000 : Number.POSITIVE_INFINITY);
    this.box = new Mailbox(behaviour.mailbox);
  }

  get name(): string {
    return this.givenName ?? `${this.behaviour.kind}:${this.pid}`;
  }

  get ref(): Ref<unknown> {
    return this;
  }

  get kernel(): KernelApi {
    return this.host.api;
  }

  cast(message: unknown): boolean {
    if (this.status >= ENDING) return false;
    if (!this.box.offer(message)) return false;
    if (!this.scheduled) {
      this.scheduled = true;
      this.host.loop.schedule(this);
    }
    return true;
  }

  /** A message of the kernel's own: past the mailbox's bound. */
  deliver(message: unknown): void {
    if (this.status >= ENDING) return;
    this.box.push(message);
    if (this.scheduled) return;
    this.scheduled = true;
    this.host.loop.schedule(this);
  }

  /** `init` is done: what has waited is handled from now on. */
  run(): void {
    this.status = RUNNING;
    if (this.box.size > 0) this.host.loop.schedule(this);
    else this.scheduled = false;
  }

  runBatch(most: number, now: number): number {
    if (this.status >= ENDING) return 0;
    const { behaviour, box, host } = this;
    const out = host.out;
    let handled = 0;
    host.running = this;
    try {
      while (handled < most && box.size > 0 && this.leaving === undefined) {
        const message = box.shift();
        handled++;
        if (this.timers !== undefined) clearIdle(this.timers);
        behaviour.step(this.state, message, now, out);
        if (out.size > 0) out.carry(this);
      }
    } catch (error) {
      out.discard();
      if (!this.forced) this.leaving = crash(error);
    }
    host.running = undefined;
    this.handled += handled;
    if (this.leaving !== undefined) end(this, this.leaving);
    else if (box.size > 0) host.loop.schedule(this);
    else this.scheduled = false;
    return handled;
  }
}
