/**
 * The job host: takes batches from the port, runs one body after another (or several that wait at once), tells how each
 * ended.
 *
 * Owns everything inside the thread: the queue of batches, the bodies that run, the port. Promises main: a job's cell
 * says RUNNING before its body starts; a value is posted before the next body starts, so a kill loses none;
 * completions without a value are cells only, and main is woken for many at once. It dies with the thread, and the
 * cells then say what was running.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { readlinkSync } from "node:fs";
import { inspect } from "node:util";
import type { MessagePort } from "node:worker_threads";
import type { Failure } from "../../jobs/failure.ts";
import { isSnooze } from "../../jobs/signals.ts";
import { type Cells, cellsOn, DONE, ENDED, MASK, QUEUED, RING, RUNNING, SKIPPED } from "../cells.ts";
import { monotonicMs } from "../clock.ts";
import type { LogLevel } from "../types.ts";
import * as wire from "../wire.ts";
import { begin, isThenable } from "./body.ts";
import { connectCalls } from "./calls.ts";
import { patchConsole } from "./console.ts";
import { failureOf, plain } from "./failure.ts";
import { Focus } from "./focus.ts";
import { guardThread } from "./guards.ts";
import { RunningJob } from "./job.ts";
import { type LoadedJob, Loader } from "./loader.ts";
import { exposeMemory } from "./memory.ts";
import { sizeOf } from "./size.ts";
import { exposeStack } from "./stack.ts";

/** Completions wait at most this long for company. */
const FLUSH_AFTER_MS = 0.2;
/** More log lines than these would only fill main's memory. */
const MOST_LINES_UNREAD = 2_000;
/** Bodies run at most this long without a turn of the event loop between them. */
const YIELD_AFTER_MS = 10;

const REHEARSAL: LoadedJob = { name: "rehearsal", perform() {} };

type Batch = readonly (string | number)[];

export function startHost(start: wire.HostStart): void {
  const host = new Host(start);
  guardThread(host);
  patchConsole(host);
  exposeMemory(start.memoryLimited === true);
  exposeStack();
  host.ready();
}

export class Host {
  readonly cells: Cells;
  readonly #port: MessagePort;
  readonly #resultLimitBytes: number;
  readonly #loader: Loader;
  readonly #calls: ReturnType<typeof connectCalls>;
  readonly #scope = new AsyncLocalStorage<RunningJob>();
  readonly #lanes: string[] = [];
  readonly #batches: Batch[] = [];
  /** Index of the next job's first field in the first batch. */
  #at = 1;
  #pumping = false;
  /** Bodies under way, by slot. */
  readonly #bodies: (RunningJob | undefined)[] = new Array<RunningJob | undefined>(RING).fill(undefined);
  /** Bodies that may be waited for at once, and how many are. */
  readonly #most: number;
  #awaited = 0;
  /** Only where several bodies share the thread. */
  readonly #focus: Focus | undefined;
  #now = 0;
  #turnAt = 0;
  /** When the first of those ended that main is not woken for yet; 0 = there is none. */
  #unflushedAt = 0;
  #flushArmed = false;
  #lines = 0;
  #droppedLines = 0;

  constructor(start: wire.HostStart) {
    this.cells = cellsOn(start.cells);
    this.#loader = new Loader(this.cells);
    this.#port = start.port;
    this.#resultLimitBytes = start.resultLimitBytes;
    this.#most = start.jobsPerThread;
    this.#focus = this.#most > 1 ? new Focus(this.cells, this.#scope) : undefined;
    this.#calls = connectCalls(start.calls, this.#loader);
    this.#port.on("message", (message: Batch) => this.#receive(message));
  }

  ready(): void {
    this.#rehearse();
    Atomics.store(this.cells.loading, 0, 0);
    this.#port.postMessage([wire.READY, threadNumber()]);
  }

  /**
   * Half of what the first body after a kill would wait for is code that has never run and hooks that are not set up: a
   * body of our own goes the whole way first. Main has given out no slot yet, and takes its end for nobody's. Where bodies
   * share the thread main also reads whose code ran last, and who waits there is in no such hurry.
   */
  #rehearse(): void {
    if (this.#most > 1) return;
    const { state, start, durationMs } = this.cells;
    this.#loader.standIn(REHEARSAL, () => {
      Atomics.store(state, 0, QUEUED);
      this.#receive([0, 0, 0, "", 0, 0, "null"]);
    });
    start[0] = durationMs[0] = 0;
    Atomics.store(state, 0, 0);
  }

  ask(name: string, args: readonly unknown[]): Promise<unknown> {
    return this.#calls.ask(name, args);
  }

  /** The running body that this code belongs to; a body that has ended speaks no more. */
  speaker(): RunningJob | undefined {
    const job = this.#scope.getStore();
    return job === undefined || job.ended ? undefined : job;
  }

  tellProgress(job: RunningJob, value: unknown): void {
    job.spoke = true;
    try {
      this.#port.postMessage([wire.PROGRESS, job.slot, value]);
    } catch (error) {
      this.#log(job, "warn", `a progress value cannot be cloned: ${(error as Error).message}`, undefined);
    }
  }

  tellLog(job: RunningJob, level: LogLevel, text: string, data: unknown): void {
    job.spoke = true;
    try {
      this.#log(job, level, String(text), data);
    } catch {
      this.#log(job, level, String(text), inspect(data, { depth: 4, maxStringLength: 1_024 }));
    }
  }

  #log(job: RunningJob, level: LogLevel, text: string, data: unknown): void {
    if (this.#behind() >= MOST_LINES_UNREAD) {
      this.#droppedLines++;
      return;
    }
    if (this.#droppedLines > 0) {
      const dropped = `${this.#droppedLines} lines were dropped: they came faster than they could be read`;
      this.#droppedLines = 0;
      this.#log(job, "warn", dropped, undefined);
    }
    this.#port.postMessage([wire.LOG, job.slot, level, text, data]);
    this.#lines = (this.#lines + 1) | 0;
  }

  /** Log lines that main has not read. */
  #behind(): number {
    return (this.#lines - Atomics.load(this.cells.logs, 0)) | 0;
  }

  tellDying(failure: Failure, children: readonly number[]): void {
    const job = this.#scope.getStore() ?? this.#only();
    const slot = job === undefined || job.ended ? -1 : job.slot;
    this.#port.postMessage([wire.DYING, slot, failure, job?.id, children]);
  }

  /** The one body there is: code that belongs to nobody is taken for its. */
  #only(): RunningJob | undefined {
    return this.#most === 1 ? this.#bodies.find((job) => job !== undefined) : undefined;
  }

  #receive(message: Batch): void {
    const word = message[0] as number;
    if (word >= 0) {
      this.#batches.push(message);
      if (this.#pumping) return;
      this.#pumping = true;
      this.#now = this.#turnAt = monotonicMs();
      this.#pump();
    } else if (word === wire.TO_ABORT) this.#abort(message[1] as number);
    else if (word === wire.TO_LANES) this.#lanes.push(...(message.slice(2) as string[]));
    else if (word === wire.TO_TYPES) this.#register(message);
    else if (word === wire.TO_ANSWER) this.#port.postMessage([wire.ALIVE, -1]);
  }

  #abort(slot: number): void {
    this.#port.postMessage([wire.ALIVE, slot]);
    this.#bodies[slot]?.isCancelled();
  }

  #register(message: Batch): void {
    let type = message[1] as number;
    for (let i = 2; i < message.length; i += 2) {
      this.#loader.register(type++, message[i] as string, message[i + 1] as string);
    }
  }

  /** Runs bodies until as many are waited for as may be, or none is left. Called again when one of those ends. */
  #pump(): void {
    while (this.#awaited < this.#most) {
      const job = this.#next();
      if (job === undefined) {
        this.#pumping = false;
        this.#flush();
        return;
      }
      if (!this.#run(job)) {
        this.#awaited++;
        if (this.#most === 1) return;
        this.#now = monotonicMs();
      }
      if (this.#now - this.#turnAt <= YIELD_AFTER_MS) continue;
      this.#yield();
      return;
    }
  }

  /** One that was waited for has ended. */
  #resume(): void {
    this.#awaited--;
    this.#pump();
  }

  // A chain of bodies, synchronous or of settled promises, would starve the port, timers and everyone's I/O.
  #yield(): void {
    this.#flush();
    setImmediate(() => {
      this.#now = this.#turnAt = monotonicMs();
      this.#pump();
    });
  }

  /** Claims the next job that was not taken back. */
  #next(): RunningJob | undefined {
    const { state, start } = this.cells;
    for (let batch = this.#batches[0]; batch !== undefined; batch = this.#batches[0]) {
      while (this.#at < batch.length) {
        const at = this.#at;
        this.#at += wire.FIELDS;
        const slot = ((batch[0] as number) + (at - 1) / wire.FIELDS) & MASK;
        const loaded = this.#loader.loaded(batch[at] as number) !== undefined;
        // Before the claim: whoever sees RUNNING must see the right start. 0 = its module is still to be loaded.
        start[slot] = loaded ? this.#now : 0;
        if (Atomics.compareExchange(state, slot, QUEUED, RUNNING) === QUEUED)
          return this.#job(batch, at, slot);
        Atomics.store(state, slot, SKIPPED);
        this.#unflushedAt ||= this.#now;
      }
      this.#batches.shift();
      this.#at = 1;
    }
    return undefined;
  }

  #job(batch: Batch, at: number, slot: number): RunningJob {
    const lane = (batch[at + 1] as number) * 2;
    return new RunningJob(
      this,
      slot,
      batch[at] as number,
      this.#lanes[lane] ?? "",
      this.#lanes[lane + 1] ?? "",
      batch[at + 2] as string,
      batch[at + 3] as number,
      batch[at + 4] as number,
      batch[at + 5] as string,
    );
  }

  /** True when the body has ended already. */
  #run(job: RunningJob): boolean {
    this.#bodies[job.slot] = job;
    const loaded = this.#loader.loaded(job.type);
    if (loaded === undefined) return this.#load(job);
    job.startMs = this.#now;
    return this.#perform(job, loaded);
  }

  #load(job: RunningJob): boolean {
    try {
      const loaded = this.#loader.load(job.type);
      if (!isThenable(loaded)) return this.#loaded(job, loaded);
      this.#armFlush();
      loaded.then(
        (value) => this.#loaded(job, value) && this.#resume(),
        (error: unknown) => this.#fail(job, error) && this.#resume(),
      );
      return false;
    } catch (error) {
      return this.#fail(job, error);
    }
  }

  #loaded(job: RunningJob, loaded: LoadedJob): boolean {
    // Told to end while its module was loading: it need not begin.
    if (job.isCancelled()) return this.#fail(job, new Error("told to end before it began"));
    this.#now = job.startMs = this.cells.start[job.slot] = monotonicMs();
    return this.#perform(job, loaded);
  }

  #perform(job: RunningJob, loaded: LoadedJob): boolean {
    let result: unknown;
    try {
      result = this.#begin(job, loaded);
      if (!isThenable(result)) return this.#complete(job, result);
      result.then(
        (value) => this.#complete(job, value) && this.#resume(),
        (error: unknown) => this.#fail(job, error) && this.#resume(),
      );
    } catch (error) {
      return this.#fail(job, error);
    }
    this.#armFlush();
    return false;
  }

  #begin(job: RunningJob, loaded: LoadedJob): unknown {
    if (this.#focus === undefined) return this.#scope.run(job, begin, job, loaded);
    this.#focus.enter(job);
    try {
      return this.#scope.run(job, begin, job, loaded);
    } finally {
      this.#focus.leave();
    }
  }

  #complete(job: RunningJob, value: unknown): boolean {
    if (job.ended) return false;
    if (value === undefined && !job.spoke && this.#most === 1) return this.#end(job, undefined);
    const bytes = value === undefined ? 0 : sizeOf(value, this.#resultLimitBytes);
    if (bytes > this.#resultLimitBytes) {
      const text = `the result is ${bytes} bytes, the limit is ${this.#resultLimitBytes}`;
      return this.#end(job, [wire.FAILED, job.slot, plain("result", "ResultTooLarge", text, false)]);
    }
    return this.#end(job, [wire.VALUE, job.slot, value]);
  }

  #fail(job: RunningJob, error: unknown): boolean {
    if (job.ended) return false;
    if (isSnooze(error)) return this.#end(job, [wire.SNOOZED, job.slot, error.delayMs]);
    return this.#end(job, [wire.FAILED, job.slot, failureOf(error)]);
  }

  /** Always true, so that callers can go on with the next job in one expression. */
  #end(job: RunningJob, message: readonly unknown[] | undefined): boolean {
    const { durationMs, state, start } = this.cells;
    job.finish();
    this.#bodies[job.slot] = undefined;
    this.#now = monotonicMs();
    const began = start[job.slot] ?? 0;
    durationMs[job.slot] = began === 0 ? 0 : this.#now - began;
    if (message === undefined && !job.spoke) {
      Atomics.store(state, job.slot, DONE);
      this.#unflushedAt ||= this.#now;
      if (this.#now - this.#unflushedAt > FLUSH_AFTER_MS) this.#flush();
    } else {
      this.#postEnd(job, message ?? [wire.VALUE, job.slot, undefined]);
      Atomics.store(state, job.slot, ENDED);
    }
    return true;
  }

  // Post first, then the cell: a thread killed between the two has left its message, which main reads first.
  #postEnd(job: RunningJob, message: readonly unknown[]): void {
    try {
      this.#port.postMessage(message);
    } catch (error) {
      const { name, message: why } = error as Error;
      const text = `the result cannot be cloned: ${why}`;
      this.#port.postMessage([wire.FAILED, job.slot, plain("result", name, text, false)]);
    }
  }

  #armFlush(): void {
    if (this.#unflushedAt === 0 || this.#flushArmed) return;
    this.#flushArmed = true;
    setImmediate(() => {
      this.#flushArmed = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#unflushedAt === 0) return;
    this.#unflushedAt = 0;
    this.#port.postMessage(wire.LOOK);
  }
}

/** The system's number of this thread, or 0 where it can't be had. */
function threadNumber(): number {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").at(-1)) || 0;
  } catch {
    return 0;
  }
}
