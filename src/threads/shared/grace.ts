/**
 * From the signal to the kill, of a body that shares its thread.
 *
 * Owns one timer. A thread that answers is not held up by this body, so its neighbours are told after half of the grace
 * that their thread may end, and have the other half to end well. One that does not answer is held up by whose code ran
 * last: if that is another body, a time limit is that one's fault.
 */
import { FOCUS_NOW } from "../cells.ts";
import { type Patience, SILENT_AFTER_MS, STARVED_AFTER_MS } from "../kill/grace.ts";
import { CpuShare } from "../kill/inspect.ts";
import type { Thread } from "../thread.ts";
import type { AbortReason, Task } from "../types.ts";
import type { Sharing } from "./sharing.ts";

/** What neighbours get at least between their signal and the kill. */
export const NOTICE_MS = 25;

export interface SharedGraceEnd {
  kill(how: string): void;
  /** Another body holds the thread up. */
  giveWay(slot: number, task: Task): void;
}

export class SharedGrace implements Patience {
  alive = false;
  readonly #thread: Thread;
  readonly #sharing: Sharing;
  readonly #task: Task;
  readonly #reason: AbortReason;
  readonly #end: SharedGraceEnd;
  readonly #startedMs = performance.now();
  readonly #cpu: CpuShare;
  #graceMs: number;
  #timer: NodeJS.Timeout | undefined = undefined;
  #over = false;

  constructor(
    thread: Thread,
    sharing: Sharing,
    task: Task,
    reason: AbortReason,
    graceMs: number,
    end: SharedGraceEnd,
  ) {
    this.#thread = thread;
    this.#sharing = sharing;
    this.#task = task;
    this.#reason = reason;
    this.#graceMs = graceMs;
    this.#end = end;
    this.#cpu = new CpuShare(thread.tid);
  }

  begin(): void {
    if (this.alive) return this.#warnInTime();
    this.#later(Math.max(this.#graceMs, SILENT_AFTER_MS), () => this.#silent());
  }

  hurry(graceMs: number): void {
    if (this.#over || graceMs >= this.#graceMs) return;
    this.#graceMs = graceMs;
    this.begin();
  }

  answered(): void {
    if (this.alive || this.#over) return;
    this.alive = true;
    this.#warnInTime();
  }

  end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #warnInTime(): void {
    this.#later(this.#graceMs / 2 - this.#passedMs(), () => {
      const told = this.#sharing.warnOthers(this.#task, `its thread ends for job ${this.#task.id}`);
      const leftMs = this.#graceMs - this.#passedMs();
      this.#later(told === 0 ? leftMs : Math.max(leftMs, NOTICE_MS), () => this.#end.kill("over"));
    });
  }

  #silent(): void {
    // What it answered may lie on the port still.
    this.#thread.look();
    if (this.#over || this.alive) return;
    const passed = Math.round(this.#passedMs());
    // no body's code runs: then none holds the thread up, the machine is busy
    const isIdle = Atomics.load(this.#thread.cells.focus, FOCUS_NOW) === 0;
    if (passed < STARVED_AFTER_MS && (isIdle || this.#cpu.starved()))
      return this.#later(SILENT_AFTER_MS, () => this.#silent());
    const blocker = this.#sharing.blocker();
    if (this.#reason !== "timeout" || blocker === undefined || blocker.task === this.#task)
      return this.#end.kill(`no answer within ${passed} ms`);
    this.#end.giveWay(blocker.slot, blocker.task);
  }

  #passedMs(): number {
    return performance.now() - this.#startedMs;
  }

  #later(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, Math.max(0, ms));
  }
}
