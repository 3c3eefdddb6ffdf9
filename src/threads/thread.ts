/**
 * One thread as the pool sees it: hands tasks over in batches, hears how they ended, knows what runs.
 *
 * Owns the ring of its tasks and the message that is being gathered. All that is pushed within one turn leaves as
 * one message. Every task that was pushed gets one outcome or is given back to the owner: by message, by its cell,
 * by `takeBack`, or at the thread's exit, when the port is drained before the cells are read.
 */
import { receiveMessageOnPort } from "node:worker_threads";
import type { Failure } from "../jobs/failure.ts";
import { endTask, guarded } from "./callbacks.ts";
import { type Cells, cellsOn, ENDED, MASK, MOST_OPEN, makeCellBuffer, RUNNING } from "./cells.ts";
import { monotonicMs } from "./clock.ts";
import { inspectThread, killAll, withDescendants } from "./kill/inspect.ts";
import type { Ladder } from "./kill/ladder.ts";
import { outcomeAtExit, outcomeOfOneOf } from "./outcome.ts";
import type { Registry } from "./registry.ts";
import { Ring, type Slots } from "./ring.ts";
import type { Companies } from "./shared/companies.ts";
import { Sharing } from "./shared/sharing.ts";
import { SharedSlots } from "./shared/slots.ts";
import type { LogLevel, Outcome, PoolOptions, Task, ThreadInfo } from "./types.ts";
import * as wire from "./wire.ts";
import { HostWorker } from "./worker.ts";

/** From terminate to wedged. */
const WEDGED_AFTER_MS = 1_000;
/** Messages read in one look; a body that prints without end must not keep main from its other work. */
const MOST_MESSAGES_A_LOOK = 1_024;

/** How a thread says that it dies, before it does. */
export interface Dying {
  /** The slot of the body whose doing it is; -1 = none that still runs. */
  readonly slot: number;
  readonly failure: Failure;
  readonly jobId: string | undefined;
}

export interface ThreadOwner {
  onReady(thread: Thread): void;
  /** It is gone. `unstarted` are to run elsewhere, in this order. */
  onGone(thread: Thread, unstarted: readonly Task[], reason: string): void;
  /** It was terminated and has not gone: a native call holds it. */
  onStuck(thread: Thread): void;
  /** Something ended in it: it can take more. */
  onRoom(): void;
}

export class Thread {
  /** `leaving`: it is being ended, nothing more is handed to it. */
  state: "starting" | "ready" | "leaving" | "wedged" | "gone" = "starting";
  /** Why it leaves, in words, for the event. */
  leavingBecause: string | undefined = undefined;
  /** System number, 0 where it can't be had. */
  tid = 0;
  /** Of the bodies that were told to end. */
  readonly ladders = new Map<Task, Ladder>();
  /** The one of them that ends the thread, from its last look at the body on. */
  killer: Ladder | undefined = undefined;
  /** Why it is to be replaced by a fresh one once no body runs in it: it takes no more tasks. */
  retiring: string | undefined = undefined;
  /** Tasks that had their end in it, and when it was ready. */
  endings = 0;
  readySinceMs = 0;
  /** Looks in a row at which jobs lay there and none ran. */
  deafLooks = 0;
  /** More came at once than one look reads; until the watch looks again. */
  flooded = false;
  /** The body that ran at the last look, and since when as far as looks can tell. */
  running: Task | undefined = undefined;
  runningSinceMs = 0;
  toldStart = false;
  /** Types that it is told to load ahead, and has not loaded. */
  warming = 0;
  /** The body that runs has run for long: others should not be put behind it. */
  long = false;
  readonly ring: Slots;
  /** Of a thread that runs several bodies at once. */
  readonly shared: Sharing | undefined;
  readonly cells: Cells;
  readonly #worker: HostWorker;
  readonly #registry: Registry;
  readonly #owner: ThreadOwner;
  #batch: (string | number)[] = [];
  /** Batches of this turn whose slots the last one does not go on from. */
  #sealed: (string | number)[][] = [];
  #nextSlot = 0;
  #knownTypes = 0;
  #knownLanes = 0;
  #dying: Dying | undefined = undefined;
  #stuckTimer: NodeJS.Timeout | undefined = undefined;

  constructor(options: PoolOptions, registry: Registry, companies: Companies, owner: ThreadOwner) {
    const buffer = makeCellBuffer();
    this.cells = cellsOn(buffer);
    const most = options.jobsPerThread ?? 1;
    this.ring = most === 1 ? new Ring(this.cells) : new SharedSlots(this.cells);
    this.shared = most === 1 ? undefined : new Sharing(this, most, companies);
    this.#registry = registry;
    this.#owner = owner;
    this.#worker = new HostWorker(options, buffer, {
      onMessage: (message) => this.#receive(message),
      onUnreadable: (error) => this.#unreadable(error),
      onExit: (code, error) => this.#exited(code, error),
    });
  }

  get threadId(): number {
    return this.#worker.threadId;
  }

  get dying(): Dying | undefined {
    return this.#dying;
  }

  /** Adds a task to this turn's message. The caller has looked at `ring.room`. */
  push(task: Task): void {
    let batch = this.#batch;
    const slot = this.ring.add(task);
    if (batch.length === 0) {
      batch.push(slot);
      queueMicrotask(() => this.#flush());
    } else if (slot !== this.#nextSlot) {
      this.#sealed.push(batch);
      batch = this.#batch = [slot];
    }
    this.#nextSlot = (slot + 1) & MASK;
    const lane = this.#registry.lane(task.partition, task.queue);
    batch.push(task.type, lane, task.id, task.attempt, task.maxExecutionTimeMs, task.argsText);
  }

  #flush(): void {
    const batch = this.#batch;
    const sealed = this.#sealed;
    this.#batch = [];
    if (sealed.length > 0) this.#sealed = [];
    if (this.state === "gone") return;
    this.tellTypes();
    const { lanes } = this.#registry;
    if (this.#knownLanes < lanes.length) {
      this.#worker.port.postMessage([wire.TO_LANES, this.#knownLanes / 2, ...lanes.slice(this.#knownLanes)]);
      this.#knownLanes = lanes.length;
    }
    for (const one of sealed) this.#worker.port.postMessage(one);
    this.#worker.port.postMessage(batch);
  }

  /** How bad it is to wait in it: Infinity = takes nothing; in steps of MOST_OPEN, a body that is or may be long. */
  burden(): number {
    if (this.state !== "ready" || this.retiring !== undefined || this.ring.room <= 0)
      return Number.POSITIVE_INFINITY;
    if (this.long || this.ladders.size > 0) return this.ring.open + 2 * MOST_OPEN;
    if (this.shared !== undefined && this.ring.open >= this.shared.most) return this.ring.open + MOST_OPEN;
    return this.ring.slow === 0 ? this.ring.open : this.ring.open + MOST_OPEN;
  }

  tellTypes(): void {
    const { types } = this.#registry;
    if (this.#knownTypes === types.length) return;
    const message: (string | number)[] = [wire.TO_TYPES, this.#knownTypes];
    for (const { name, url } of types.slice(this.#knownTypes)) message.push(name, url);
    this.#worker.port.postMessage(message);
    this.#knownTypes = types.length;
  }

  /** Loads types ahead of their first job. What can't be loaded fails its jobs later, with its reason. */
  warm(types: Iterable<number>): void {
    this.tellTypes();
    for (const type of types) {
      this.warming++;
      const loaded = () => {
        this.warming--;
      };
      this.#worker.load(type).then(loaded, loaded);
    }
  }

  /** Reads what has come, then the cells. What is more than `most` comes with the next message event. */
  look(most = MOST_MESSAGES_A_LOOK): void {
    for (let read = 0; read < most; read++) {
      const got = this.#receiveOne();
      if (got === undefined) {
        if (read > 0) this.shared?.looks.heard(monotonicMs());
        this.#sweep();
        return;
      }
      this.#handle(got.message);
    }
    this.flooded = true;
    this.#sweep();
  }

  #receiveOne(): { readonly message: unknown } | undefined {
    try {
      return receiveMessageOnPort(this.#worker.port);
    } catch (error) {
      queueMicrotask(() => this.#unreadable(error as Error));
      return { message: wire.LOOK };
    }
  }

  /** A message could be written and not be read: its job has ended, and nobody will ever say how. */
  #unreadable(error: Error): void {
    const ended = this.ring.slots().filter((slot) => Atomics.load(this.cells.state, slot) === ENDED);
    this.look(Number.POSITIVE_INFINITY);
    const message = `the result cannot be read: ${error.message}`;
    const failure: Failure = { kind: "result", name: error.name, message, stack: undefined, final: false };
    for (const slot of ended) this.#settle(slot, { kind: "failed", failure, durationMs: 0 });
    this.#sweep();
  }

  tellAbort(slot: number): void {
    this.#worker.port.postMessage([wire.TO_ABORT, slot]);
  }

  /** Is anybody there? Whatever comes is the answer. */
  ask(): void {
    this.#worker.port.postMessage([wire.TO_ANSWER]);
  }

  terminate(because: string): void {
    if (this.state === "gone" || this.state === "leaving" || this.state === "wedged") return;
    this.leavingBecause = because;
    this.state = "leaving";
    this.#worker.terminate(() => {
      if (this.state !== "leaving") return;
      this.#stuckTimer = setTimeout(() => this.#owner.onStuck(this), WEDGED_AFTER_MS);
    });
  }

  /** Tells the bodies that run, if any do, that their thread is wedged; the id of the one it was ended for. */
  tellWedged(): string | undefined {
    this.state = "wedged";
    this.killer?.stuck();
    const state = { ...inspectThread(this.tid) };
    const bare = { stack: undefined, frames: [], state, children: [], steps: [] };
    const report = this.killer?.report() ?? bare;
    const bodies = this.bodies();
    for (const task of bodies) guarded(() => task.wedged?.(report));
    return this.killer?.task.id ?? bodies[0]?.id;
  }

  unref(): void {
    this.#worker.unref();
  }

  heap(): ReturnType<HostWorker["heap"]> {
    return this.#worker.heap();
  }

  /** Tasks whose bodies run now. */
  bodies(): Task[] {
    return this.ring.runningSlots().flatMap((slot) => this.ring.at(slot) ?? []);
  }

  /** Ids of the tasks it holds without an outcome. */
  jobIds(): readonly string[] {
    return this.ring.slots().flatMap((slot) => this.ring.at(slot)?.id ?? []);
  }

  info(): ThreadInfo {
    const slot = this.ring.running();
    const running = slot === -1 ? undefined : this.ring.at(slot)?.id;
    const bodies = this.ring.runningSlots().length;
    const shown = { threadId: this.threadId, state: this.#shownState(), running };
    const queued = this.ring.open - bodies;
    return this.shared === undefined ? { ...shown, queued } : { ...shown, queued, bodies };
  }

  #shownState(): ThreadInfo["state"] {
    if (this.state === "starting" || this.state === "wedged") return this.state;
    if (this.state === "leaving" || this.ladders.size > 0) return "killing";
    return this.ring.open === 0 ? "idle" : "busy";
  }

  isRunning(slot: number, task: Task): boolean {
    return this.ring.at(slot) === task && Atomics.load(this.cells.state, slot) === RUNNING;
  }

  #receive(message: unknown): void {
    this.deafLooks = 0;
    this.shared?.looks.heard(monotonicMs());
    this.#handle(message);
    // Each of a flood's messages has an event of its own; reading ahead in each would never come to an end.
    if (this.flooded) this.#sweep();
    else this.look();
    this.#owner.onRoom();
  }

  #sweep(): void {
    const { ring } = this;
    for (let slot = ring.nextDone(); slot !== -1; slot = ring.nextDone()) {
      const durationMs = this.cells.durationMs[slot] ?? 0;
      this.#settle(slot, { kind: "completed", value: undefined, durationMs });
    }
  }

  #handle(message: unknown): void {
    if (typeof message === "number") return;
    const parts = message as readonly unknown[];
    const slot = parts[1] as number;
    const durationMs = this.cells.durationMs[slot] ?? 0;
    if (parts[0] === wire.VALUE) this.#settle(slot, { kind: "completed", value: parts[2], durationMs });
    else if (parts[0] === wire.FAILED)
      this.#settle(slot, { kind: "failed", failure: parts[2] as Failure, durationMs });
    else if (parts[0] === wire.SNOOZED) this.#settle(slot, { kind: "snoozed", delayMs: parts[2] as number });
    else this.#handleRare(parts, slot);
  }

  #handleRare(parts: readonly unknown[], slot: number): void {
    const task = this.ring.at(slot);
    switch (parts[0]) {
      case wire.PROGRESS:
        guarded(() => task?.progress?.(parts[2]));
        break;
      case wire.LOG:
        Atomics.add(this.cells.logs, 0, 1);
        guarded(() => task?.log?.(parts[2] as LogLevel, parts[3] as string, parts[4]));
        break;
      case wire.ALIVE:
        this.#ladderAt(slot)?.answered();
        break;
      case wire.DYING:
        this.#hearDying(parts);
        break;
      case wire.READY:
        this.#hearReady(slot);
    }
  }

  #ladderAt(slot: number): Ladder | undefined {
    const task = this.ring.at(slot);
    return task === undefined ? undefined : this.ladders.get(task);
  }

  #hearReady(tid: number): void {
    this.tid = tid;
    if (this.state !== "starting") return;
    this.state = "ready";
    this.readySinceMs = monotonicMs();
    this.#owner.onReady(this);
  }

  // The first word counts: an exit handler of the dying thread may throw once more.
  #hearDying([, slot, failure, jobId, children]: readonly unknown[]): void {
    this.#dying ??= { slot: slot as number, failure: failure as Failure, jobId: jobId as string | undefined };
    killAll(withDescendants(children as readonly number[]));
    this.terminate(this.#dying.failure.message);
  }

  #settle(slot: number, outcome: Outcome): void {
    const task = this.ring.take(slot);
    if (task === undefined) return;
    this.running = undefined;
    this.long = false;
    this.endings++;
    const ladder = this.ladders.size === 0 ? undefined : this.ladders.get(task);
    if (ladder !== undefined) this.ladders.delete(task);
    if (this.shared !== undefined) return this.shared.settle(task, ladder, outcome);
    if (ladder === undefined) return endTask(task, outcome);
    endTask(task, ladder.endedByItself(outcome));
  }

  #exited(code: number, error: Error | undefined): void {
    this.state = "gone";
    clearTimeout(this.#stuckTimer);
    this.look(Number.POSITIVE_INFINITY);
    const unstarted = this.ring.revokeAll();
    for (const ladder of this.ladders.values()) ladder.exited();
    const killed = this.killer?.killed === true;
    const exit = { code, error, dying: this.#dying, because: this.leavingBecause, killed };
    const suspects = this.shared?.suspects(this.#dying);
    for (const slot of this.ring.slots()) {
      const task = this.ring.take(slot);
      if (task === undefined) continue;
      this.endings++;
      if (suspects?.has(task) === true && !this.ladders.has(task)) {
        endTask(task, outcomeOfOneOf(exit, suspects.size));
        continue;
      }
      const started = this.cells.start[slot] ?? 0;
      const durationMs = started === 0 ? 0 : monotonicMs() - started;
      endTask(task, outcomeAtExit(exit, slot, this.ladders.get(task), durationMs));
    }
    this.ladders.clear();
    this.#owner.onGone(this, unstarted, this.leavingBecause ?? error?.message ?? `exit code ${code}`);
  }
}
