/**
 * The kill ladder of one body: signal, grace, inspect, capture, terminate, children, exit.
 *
 * Owns the steps, their timers and the report. Before every step that hurts it looks whether the body still runs:
 * one that has ended in the meantime keeps its thread. It never settles anything; the thread does, when the body's
 * own end or the thread's exit comes, hours later if the thread is wedged.
 */
import type { Frame, KillReport, KillStep } from "../jobs/failure.ts";
import { captureStack } from "./capture.ts";
import { CANCEL_REASONS } from "./cells.ts";
import { CpuShare, childrenOf, inspectThread, isIdle, killAll, type ThreadState } from "./inspect.ts";
import type { Thread } from "./thread.ts";
import type { AbortReason, Outcome, Task } from "./types.ts";

/** A thread that is told to end and has not answered for this long, though it could run, gets no more grace. */
const SILENT_AFTER_MS = 100;
/** The same for one that the busy machine hardly runs. */
const STARVED_AFTER_MS = 500;

export interface LadderOptions {
  readonly graceMs: number;
  readonly captureStack: boolean;
}

export class Ladder {
  /** The thread was terminated for this body. */
  killed = false;
  readonly #steps: KillStep[] = [];
  readonly #startedMs = performance.now();
  #stepMs = performance.now();
  #graceMs: number;
  #state: ThreadState = {};
  #frames: readonly Frame[] = [];
  #children: readonly number[] = [];
  readonly #cpu: CpuShare;
  #timer: NodeJS.Timeout | undefined = undefined;
  #killing = false;
  #alive = false;
  #over = false;

  constructor(
    readonly thread: Thread,
    readonly task: Task,
    readonly slot: number,
    readonly reason: AbortReason,
    readonly options: LadderOptions,
  ) {
    this.#graceMs = options.graceMs;
    this.#cpu = new CpuShare(thread.tid);
  }

  start(): void {
    Atomics.store(this.thread.cells.cancel, this.slot, CANCEL_REASONS.indexOf(this.reason));
    this.thread.tellAbort(this.slot);
    this.#step("signal", this.reason);
    this.#wait();
  }

  /** A second reason to end can only shorten the grace; the first stays the reason. */
  hurry(graceMs: number): void {
    if (this.#killing || this.#over || graceMs >= this.#graceMs) return;
    this.#graceMs = graceMs;
    clearTimeout(this.#timer);
    this.#wait();
  }

  /** The abort was delivered: the thread's event loop runs. */
  answered(slot: number): void {
    if (slot === this.slot) this.#alive = true;
  }

  /** What the body's own end means after it was told to end. */
  endedByItself(outcome: Outcome): Outcome {
    this.#end();
    if (this.reason !== "timeout") return { kind: "aborted", reason: this.reason, report: undefined };
    const durationMs = "durationMs" in outcome ? outcome.durationMs : this.task.maxExecutionTimeMs;
    return this.#timedOut(durationMs, undefined);
  }

  /** The outcome once the thread is gone. */
  outcome(durationMs: number): Outcome {
    const report = this.report();
    if (this.reason === "timeout") return this.#timedOut(durationMs, report);
    return { kind: "aborted", reason: this.reason, report };
  }

  /** The thread has not gone in its time. */
  stuck(): void {
    this.#state = inspectThread(this.thread.tid);
    this.#step("exit", `not in time: ${this.#state.doing ?? "in a native call"}`);
  }

  /** The thread is gone, by this ladder or otherwise. */
  exited(): void {
    if (this.killed) this.#step("exit", "gone");
    this.#end();
  }

  report(): KillReport {
    const frames = this.#frames;
    const stack = frames.length === 0 ? undefined : frames.map(frameText).join("\n");
    const state = this.#state as Readonly<Record<string, unknown>>;
    return { stack, frames, state, children: this.#children, steps: this.#steps };
  }

  #timedOut(durationMs: number, report: KillReport | undefined): Outcome {
    const limit = this.task.maxExecutionTimeMs;
    const top = report?.frames[0];
    const where = top === undefined ? "" : ` in ${top.function} (${top.file}:${top.line})`;
    const how = report === undefined ? "it ended only when told to" : "its thread was ended";
    const message = `still running${where} after its limit of ${limit} ms; ${how}`;
    const stack = report?.stack === undefined ? undefined : `Timeout: ${message}\n${report.stack}`;
    const failure = { kind: "timeout", name: "Timeout", message, stack, final: false } as const;
    return { kind: "failed", failure: report === undefined ? failure : { ...failure, report }, durationMs };
  }

  #wait(): void {
    const left = this.#graceMs - (performance.now() - this.#startedMs);
    if (left <= 0) void this.#kill(`${this.#graceMs} ms`);
    else if (left <= SILENT_AFTER_MS) this.#later(left, () => void this.#kill("over"));
    else this.#later(SILENT_AFTER_MS, () => this.#silentOrWait());
  }

  /** Neither the event loop nor the body has seen the signal: nobody there will use the grace. */
  #silentOrWait(): void {
    // What it answered may lie on the port still.
    this.thread.look();
    if (this.#over) return;
    const passed = performance.now() - this.#startedMs;
    const left = this.#graceMs - passed;
    const seen = this.#alive || (this.thread.cells.cancel[this.slot] ?? 0) < 0;
    if (seen || left <= 0) this.#later(left, () => void this.#kill("over"));
    else if (passed < STARVED_AFTER_MS && this.#cpu.starved())
      this.#later(Math.min(left, SILENT_AFTER_MS), () => this.#silentOrWait());
    else void this.#kill(`cut short: no answer within ${Math.round(passed)} ms`);
  }

  #later(ms: number, then: () => void): void {
    this.#timer = setTimeout(then, ms);
  }

  async #kill(grace: string): Promise<void> {
    this.#killing = true;
    if (!this.#stillRuns()) return;
    this.#step("grace", grace);
    this.#state = inspectThread(this.thread.tid);
    this.#children = childrenOf(this.thread.tid);
    this.#step("inspect", this.#state.doing ?? "nothing to read here");
    await this.#capture();
    if (!this.#stillRuns()) return;
    // Once more: the body may have started one since.
    const started = childrenOf(this.thread.tid).filter((pid) => !this.#children.includes(pid));
    this.#children = [...this.#children, ...started];
    this.killed = true;
    this.thread.terminate(`${this.reason} of job ${this.task.id}`);
    this.#step("terminate", "told to");
    killAll(this.#children);
    this.#step("children", `${this.#children.length} killed`);
  }

  async #capture(): Promise<void> {
    if (!this.options.captureStack) return this.#step("capture", "switched off");
    if (isIdle(this.#state)) return this.#step("capture", "nothing runs: the body waits for something");
    const { frames, outcome } = await captureStack(this.thread.threadId, this.thread.tid);
    this.#frames = frames;
    this.#step("capture", outcome);
  }

  #stillRuns(): boolean {
    return !this.#over && this.thread.state === "ready" && this.thread.isRunning(this.slot, this.task);
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #step(step: KillStep["step"], outcome: string): void {
    const now = performance.now();
    this.#steps.push({ step, ms: Math.round((now - this.#stepMs) * 100) / 100, outcome });
    this.#stepMs = now;
  }
}

function frameText({ function: name, file, line, column }: Frame): string {
  return `    at ${name} (${file}:${line}:${column})`;
}
