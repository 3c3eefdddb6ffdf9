/**
 * One body in flight: the record that the host keeps of it, and the context its author sees.
 *
 * Owns the abort signal (made when first read) and the last progress value. `seen` tells main that the body could
 * know that it should end. After its end every call does nothing: a timer left behind must not speak for the
 * next body that got its slot.
 */
import type { JobContext, JobLog } from "../../jobs/context.ts";
import type { Duration } from "../../jobs/duration.ts";
import { Snooze } from "../../jobs/signals.ts";
import { CANCEL_REASONS } from "../cells.ts";
import { monotonicMs } from "../clock.ts";
import type { LogLevel } from "../types.ts";
import type { Host } from "./host.ts";

/** Least time between two progress messages of one body. */
const PROGRESS_EVERY_MS = 50;
const NOTHING = Symbol("nothing");

export class RunningJob implements JobContext {
  ended = false;
  /** Has posted something: its end must not overtake that, so it goes by message too. */
  spoke = false;
  startMs = 0;
  readonly #host: Host;
  #abort: AbortController | undefined = undefined;
  #log: JobContext["log"] | undefined = undefined;
  #progress: unknown = NOTHING;
  #progressAt = 0;
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(
    host: Host,
    readonly slot: number,
    readonly type: number,
    readonly partition: string,
    readonly queue: string,
    readonly id: string,
    readonly attempt: number,
    readonly limitMs: number,
    readonly argsText: string,
  ) {
    this.#host = host;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      this.isCancelled();
    }
    return this.#abort.signal;
  }

  isCancelled(): boolean {
    if (this.ended) return this.#abort?.signal.aborted ?? false;
    const { cancel } = this.#host.cells;
    const reason = cancel[this.slot] ?? 0;
    if (reason === 0) return false;
    if (reason > 0) Atomics.store(cancel, this.slot, -reason);
    this.#abort?.abort(CANCEL_REASONS[Math.abs(reason)]);
    return true;
  }

  get deadline(): number | undefined {
    if (this.limitMs === 0) return undefined;
    return Date.now() - (monotonicMs() - this.startMs) + this.limitMs;
  }

  get log(): JobContext["log"] {
    this.#log ??= {
      debug: this.#line("debug"),
      info: this.#line("info"),
      warn: this.#line("warn"),
      error: this.#line("error"),
    };
    return this.#log;
  }

  progress(value: unknown): void {
    if (this.ended) return;
    this.#progress = value;
    const now = performance.now();
    if (now - this.#progressAt >= PROGRESS_EVERY_MS) this.#postProgress(now);
    else this.#timer ??= setTimeout(() => this.#postProgress(performance.now()), PROGRESS_EVERY_MS);
  }

  snooze(delay: Duration): never {
    throw new Snooze(delay);
  }

  /** A service of the pool's options, called on the main thread; rejects as the service does. */
  service(name: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#host.ask(name, args);
  }

  /** The host's last word: what is still held back leaves before the outcome. */
  finish(): void {
    if (this.#progress !== NOTHING) this.#postProgress(0);
    this.ended = true;
  }

  #postProgress(now: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const value = this.#progress;
    this.#progress = NOTHING;
    this.#progressAt = now;
    if (value !== NOTHING && !this.ended) this.#host.tellProgress(this, value);
  }

  #line(level: LogLevel): JobLog {
    return (text, data) => {
      if (!this.ended) this.#host.tellLog(this, level, text, data);
    };
  }
}
