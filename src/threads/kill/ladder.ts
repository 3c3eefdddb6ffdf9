/**
 * The kill ladder of one body: signal, grace, inspect, capture, terminate, children, exit.
 *
 * Owns the steps, their timers and the report. Before every step that hurts it looks whether the body still runs:
 * one that has ended in the meantime keeps its thread. It never settles anything; the thread does, when the body's
 * own end or the thread's exit comes, hours later if the thread is wedged.
 */
import type { Frame, KillReport, KillStep } from "../../jobs/failure.ts";
import { CANCEL_REASONS } from "../cells.ts";
import { monotonicMs } from "../clock.ts";
import { SharedGrace } from "../shared/grace.ts";
import type { Thread } from "../thread.ts";
import type { AbortReason, Outcome, Task } from "../types.ts";
import type { HeapUse } from "../upkeep/heap.ts";
import { captureStack, WAITS } from "./capture.ts";
import { Grace, type Patience } from "./grace.ts";
import { childrenOf, inspectThread, isIdle, killAll, type ThreadState } from "./inspect.ts";

export interface LadderOptions {
  readonly graceMs: number;
  readonly captureStack: boolean;
  /** For its failure, in words, where the reason alone does not say it all. */
  readonly because?: string;
  /** Told instead of ending the thread: whoever is, ends the whole process. */
  readonly instead?: ((task: Task, outcome: Outcome) => void) | undefined;
  /** It shares its thread; called when another body is what holds that up. */
  readonly blame?: ((slot: number, task: Task, because: string) => void) | undefined;
}

export class Ladder {
  /** The thread was terminated for this body. */
  killed = false;
  readonly #steps: KillStep[] = [];
  readonly #grace: Patience;
  #stepMs = performance.now();
  #state: ThreadState = {};
  #heap: HeapUse | undefined = undefined;
  #frames: readonly Frame[] = [];
  #children: readonly number[] = [];
  /** How its grace came to an end; undefined until then. */
  #killing: string | undefined = undefined;
  #over = false;

  constructor(
    readonly thread: Thread,
    readonly task: Task,
    readonly slot: number,
    readonly reason: AbortReason,
    readonly options: LadderOptions,
  ) {
    const kill = (how: string) => void this.#kill(how);
    this.#grace =
      thread.shared === undefined
        ? new Grace(thread, slot, options.graceMs, kill)
        : new SharedGrace(thread, thread.shared, task, reason, options.graceMs, {
            kill,
            giveWay: (otherSlot, other) => this.#giveWay(otherSlot, other),
          });
  }

  /** The thread's event loop has answered the signal. */
  get alive(): boolean {
    return this.#grace.alive;
  }

  start(): void {
    Atomics.store(this.thread.cells.cancel, this.slot, CANCEL_REASONS.indexOf(this.reason));
    this.thread.tellAbort(this.slot);
    this.#step("signal", this.reason);
    this.#grace.begin();
  }

  /** A second reason to end can only shorten the grace; the first stays the reason. */
  hurry(graceMs: number): void {
    if (this.#killing === undefined && !this.#over) this.#grace.hurry(graceMs);
  }

  /** It is known to hold its thread up: nothing is left to wait for. */
  killNow(how: string): void {
    if (this.#killing !== undefined || this.#over) return;
    this.#grace.end();
    void this.#kill(how);
  }

  /** The abort was delivered: the thread's event loop runs. */
  answered(): void {
    this.#grace.answered();
  }

  /** What the body's own end means after it was told to end. */
  endedByItself(outcome: Outcome): Outcome {
    this.#end();
    if (this.reason === "memory") return outcome;
    if (this.reason !== "timeout") return { kind: "aborted", reason: this.reason, report: undefined };
    const durationMs = "durationMs" in outcome ? outcome.durationMs : this.task.maxExecutionTimeMs;
    return this.#timedOut(durationMs, undefined, "it ended only when told to");
  }

  /** It was told to end, and its thread ended for another body before it had. */
  endedWithThread(durationMs: number): Outcome {
    this.#end();
    return this.#timedOut(durationMs, undefined, "its thread was ended");
  }

  /** The outcome once the thread is gone. */
  outcome(durationMs: number): Outcome {
    const report = this.report();
    if (this.reason === "timeout") return this.#timedOut(durationMs, report, "it was killed");
    if (this.reason === "memory") return this.#overMemory(durationMs, report);
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
    const state: Readonly<Record<string, unknown>> = { ...this.#state, ...this.#heap };
    return { stack, frames, state, children: this.#children, steps: this.#steps };
  }

  #timedOut(durationMs: number, report: KillReport | undefined, how: string): Outcome {
    const { because } = this.options;
    const why =
      because === undefined ? ` after its limit of ${this.task.maxExecutionTimeMs} ms` : `: ${because}`;
    const message = `still running${whereOf(report)}${why}; ${how}`;
    return failedBy("timeout", "Timeout", message, durationMs, report);
  }

  #overMemory(durationMs: number, report: KillReport): Outcome {
    const message = `used more memory than memoryLimit allows${whereOf(report)}: ${this.options.because}; it was killed`;
    return failedBy("memory", "MemoryLimit", message, durationMs, report);
  }

  /** Another body holds the thread up: this one has done nothing, and runs again when the thread is gone. */
  #giveWay(slot: number, task: Task): void {
    this.#end();
    this.thread.ladders.delete(this.task);
    const because = `it kept its thread from answering while job ${this.task.id} was over its limit`;
    this.options.blame?.(slot, task, because);
  }

  async #kill(grace: string): Promise<void> {
    this.#killing = grace;
    if (!this.#stillRuns() || this.thread.killer !== undefined) return;
    this.thread.killer = this;
    this.#step("grace", grace);
    this.#state = inspectThread(this.thread.tid);
    this.#children = childrenOf(this.thread.tid);
    this.#step("inspect", this.#state.doing ?? "nothing to read here");
    await this.#capture();
    if (!this.#stillRuns()) return this.#spare();
    const { instead } = this.options;
    if (instead !== undefined) return instead(this.task, this.outcome(this.#ranMs()));
    // Once more: the body may have started one since.
    const started = childrenOf(this.thread.tid).filter((pid) => !this.#children.includes(pid));
    this.#children = [...this.#children, ...started];
    this.killed = true;
    this.thread.terminate(`${this.reason} of job ${this.task.id}`);
    this.#step("terminate", "told to");
    killAll(this.#children);
    this.#step("children", `${this.#children.length} killed`);
  }

  /** The body has ended by itself in the meantime: its thread stays, unless another body's time was over too. */
  #spare(): void {
    this.thread.killer = undefined;
    for (const other of this.thread.ladders.values()) other.#killAfterAll();
  }

  #killAfterAll(): void {
    if (this.#killing !== undefined) void this.#kill(this.#killing);
  }

  async #capture(): Promise<void> {
    if (!this.options.captureStack) return this.#step("capture", "switched off");
    if (isIdle(this.#state)) return this.#step("capture", WAITS);
    const { frames, heap, outcome } = await captureStack(this.thread.threadId, this.thread.tid);
    this.#frames = frames;
    this.#heap = heap;
    this.#step("capture", outcome);
  }

  #ranMs(): number {
    const started = this.thread.cells.start[this.slot] ?? 0;
    return started === 0 ? 0 : monotonicMs() - started;
  }

  #stillRuns(): boolean {
    return !this.#over && this.thread.state === "ready" && this.thread.isRunning(this.slot, this.task);
  }

  #end(): void {
    this.#over = true;
    this.#grace.end();
  }

  #step(step: KillStep["step"], outcome: string): void {
    const now = performance.now();
    this.#steps.push({ step, ms: Math.round((now - this.#stepMs) * 100) / 100, outcome });
    this.#stepMs = now;
  }
}

function whereOf(report: KillReport | undefined): string {
  const top = report?.frames[0];
  return top === undefined ? "" : ` in ${top.function} (${top.file}:${top.line})`;
}

function failedBy(
  kind: "timeout" | "memory",
  name: string,
  message: string,
  durationMs: number,
  report: KillReport | undefined,
): Outcome {
  const stack = report?.stack === undefined ? undefined : `${name}: ${message}\n${report.stack}`;
  const failure = { kind, name, message, stack, final: false };
  return { kind: "failed", failure: report === undefined ? failure : { ...failure, report }, durationMs };
}

function frameText({ function: name, file, line, column }: Frame): string {
  return `    at ${name} (${file}:${line}:${column})`;
}
