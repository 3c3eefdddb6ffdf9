/**
 * `Workers`: so many processes of one command, kept alive.
 *
 * Owns a kernel of its own with a supervisor: a worker that ends is started again, with backoff, and after too many ends
 * in a short time after a longer pause, for as long as it takes. Numbers run from 1; a number is free only when its
 * process has ended. `stop` ends all at once: signal, grace, SIGKILL.
 */
import { InvalidOptions } from "../../broker/errors.ts";
import { durationMs, unknownKeys } from "../../broker/options.ts";
import type { Duration } from "../../jobs/duration.ts";
import { childSpec } from "../../kernel/child-spec.ts";
import { type DynamicSupervisorMessage, dynamicSupervisor } from "../../kernel/dynamic-supervisor.ts";
import { Kernel } from "../../kernel/kernel.ts";
import type { From, Ref } from "../../kernel/types.ts";
import type { WorkerExited } from "../errors.ts";
import { wordsOf } from "./command.ts";
import { Guard } from "./guard.ts";
import { type WorkerLine, workerProcess } from "./worker-process.ts";

export interface WorkersOptions {
  /** Where they run; default here. */
  readonly cwd?: string;
  /** Beside this process's own environment; each has `WID`, too. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What asks them to end; default `SIGTERM`. */
  readonly signal?: NodeJS.Signals;
  /** From the signal to SIGKILL; default 5 s. */
  readonly grace?: Duration;
  /** Each line that one writes; default to this process's own output, after its number. */
  readonly onLine?: (line: WorkerLine) => void;
  /** One that ended by itself, and is started again. */
  readonly onExit?: (error: WorkerExited) => void;
}

const NAMES = ["cwd", "env", "signal", "grace", "onLine", "onExit"];
const MOST = 1_000;
/** A worker may end so often within so long before it has to wait. */
const RESTARTS = 5;
const PERIOD_MS = 10_000;
const BACKOFF = { firstMs: 100, factor: 2, maxMs: 5_000, jitter: 0.2 };
const LATER_MS = 10_000;
const MARGIN_MS = 5_000;

export class Workers {
  readonly #words: readonly string[];
  readonly #count: number;
  readonly #options: WorkersOptions;
  readonly #graceMs: number;
  readonly #kernel = new Kernel({ exited: () => {} });
  readonly #living = new Map<number, number>();
  #root: Ref<DynamicSupervisorMessage> | undefined;
  #guard: Guard | undefined;
  #stopped: Promise<void> | undefined;

  /**
   * `command`: words, or text that is split into words as a shell would, without being one. `$WID` in it is the number of
   * the worker, 1 to `count`.
   * @throws InvalidOptions
   */
  constructor(command: string | readonly string[], count = 5, options: WorkersOptions = {}) {
    const problems = unknownKeys(options, NAMES, "workers.");
    this.#graceMs = durationMs("workers.grace", options.grace ?? 5_000, problems);
    if (!Number.isInteger(count) || count < 1 || count > MOST)
      problems.push(`workers: count must be a whole number from 1 to ${MOST}, got ${String(count)}`);
    if (problems.length > 0) throw new InvalidOptions(problems);
    this.#words = wordsOf(command);
    this.#count = count;
    this.#options = options;
  }

  /** Those that live. */
  get running(): readonly { readonly wid: number; readonly pid: number }[] {
    return [...this.#living].map(([wid, pid]) => ({ wid, pid }));
  }

  /** Resolves when all have been started; rejects with what kept one from it, with none left. */
  async start(): Promise<void> {
    const intensity = { restarts: RESTARTS * this.#count, periodMs: PERIOD_MS };
    this.#guard = new Guard(this.#graceMs);
    const root = await this.#kernel.start(dynamicSupervisor({ intensity }), undefined, { name: "workers" });
    this.#root = root;
    const ids = Array.from({ length: this.#count }, (_, n) => n + 1);
    const started = await Promise.allSettled(ids.map((wid) => this.#startOne(root, wid)));
    const failed = started.find((one) => one.status === "rejected");
    if (failed === undefined) return;
    await this.stop();
    throw failed.reason;
  }

  #startOne(root: Ref<DynamicSupervisorMessage>, wid: number): Promise<unknown> {
    const { cwd, env, signal = "SIGTERM", onLine = print, onExit = () => {} } = this.#options;
    const guard = this.#guard ?? new Guard(this.#graceMs);
    const spec = childSpec({
      id: `worker-${wid}`,
      behaviour: workerProcess,
      args: () => ({
        wid,
        words: this.#words,
        cwd,
        env: { ...process.env, ...env },
        signal,
        graceMs: this.#graceMs,
        guard,
        living: this.#living,
        line: onLine,
        exited: onExit,
      }),
      name: `worker-${wid}`,
      shutdownMs: this.#graceMs + MARGIN_MS,
      backoff: BACKOFF,
      delayedRestartMs: LATER_MS,
    });
    return this.#kernel.call(
      root,
      (from: From<Ref<unknown>>) => ({ type: "startChild", spec, from }) as const,
      60_000,
    );
  }

  /** Resolves when all have ended; may be called twice. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    if (this.#root !== undefined) await this.#kernel.stop(this.#root);
    this.#guard?.close();
  }
}

function print({ wid, stream, text }: WorkerLine): void {
  process[stream].write(`[${wid}] ${text}\n`);
}
