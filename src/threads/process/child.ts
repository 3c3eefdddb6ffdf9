/**
 * One child process as the pool sees it: takes one body at a time, says how it ended, and is ended by SIGKILL.
 *
 * Owns the process and its pipes. A body that was given gets one outcome, or goes back to the owner if the process never
 * had it; when it was killed, only once the process is gone, and what it had started. What a body left behind in a process
 * that is whole stays for the next one, as in a thread; a process that has lost its thread or was told to end takes none.
 */
import type { KillStep } from "../../jobs/failure.ts";
import { endTask, guarded } from "../callbacks.ts";
import { inspectProcess, isRunning } from "../kill/inspect.ts";
import type { JobModule, Outcome, PoolOptions, Task, ThreadInfo } from "../types.ts";
import { crashOf, howItEnded, type ProcessExit, silent, withSteps } from "./ending.ts";
import { killFamily, killGroup } from "./family.ts";
import { Frames, frame } from "./frames.ts";
import { answerService } from "./services.ts";
import { type Spawned, spawnChild } from "./spawn.ts";
import type { FromChild, ToChild, ToldReason } from "./wire.ts";

/** Beside the grace: the capture's own limit (5 s), and what a busy machine takes. Then it is not waited for. */
const ANSWER_MS = 7_000;
/** As long as a module may load (`watch.ts`), before the body has started. */
const LOAD_MS = 30_000;
/** Pipes of a process that is gone may be held open by what it has started; and a body may close what is not its own. */
const PIPES_MS = 500;
/** What was killed beside it is waited for so long, and looked at so often. */
const DYING_MS = 1_000;
const LOOK_AGAIN_MS = 2;

export interface ChildOwner {
  onReady(child: Child): void;
  /** Its body has ended. */
  onFree(child: Child): void;
  /** The process is gone, and its body has had its outcome. */
  onGone(child: Child, reason: string): void;
  /** It never had this body. */
  onUnstarted(task: Task): void;
  /** The module of this job did not finish loading. */
  onLoadHung(module: Pick<JobModule, "name" | "url">): void;
}

export class Child {
  state: "starting" | "idle" | "busy" | "killing" | "gone" = "starting";
  /** A body has ended in it. */
  served = false;
  /** A body was given to it. */
  hadTask = false;
  /** Its owner has ended it. */
  retired = false;
  idleSinceMs = 0;
  readonly #options: PoolOptions;
  readonly #owner: ChildOwner;
  readonly #spawned: Spawned;
  readonly #frames = new Frames();
  #task: Task | undefined = undefined;
  #taken = false;
  #told: ToldReason | undefined = undefined;
  #givenMs = 0;
  /** It takes no further body; why. */
  #spent: string | undefined = undefined;
  /** Why it is ended by us. */
  #because: string | undefined = undefined;
  /** Of the body, once the process is gone. */
  #outcome: Outcome | undefined = undefined;
  #killed: readonly number[] = [];
  #steps: KillStep[] = [];
  #stepMs = 0;
  #limit: NodeJS.Timeout | undefined = undefined;
  #pipes: NodeJS.Timeout | undefined = undefined;

  constructor(options: PoolOptions, owner: ChildOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#spawned = spawnChild(options);
    const { process: child, channel } = this.#spawned;
    channel.on("data", (chunk: Buffer) => this.#read(chunk));
    channel.on("end", () => this.#closed());
    // That it can't be written to is found out with its end.
    channel.on("error", () => {});
    child.on("error", (error) => this.#gone({ code: null, signal: null, lastWords: error.message }));
    child.once("exit", () => {
      killGroup(this.pid);
      clearTimeout(this.#pipes);
      // What it has said last lies in its pipes still; of one that we have killed we know what it says.
      if (this.#outcome !== undefined) this.#exited();
      else this.#pipes = setTimeout(() => this.#exited(), PIPES_MS);
    });
    child.once("close", () => this.#exited());
  }

  get pid(): number {
    return this.#spawned.process.pid ?? 0;
  }

  get task(): Task | undefined {
    return this.#task;
  }

  info(): ThreadInfo {
    const { pid, state } = this;
    const shown = state === "gone" ? "killing" : state;
    return { threadId: pid, pid, state: shown, running: this.#task?.id, queued: 0 };
  }

  run(task: Task, { name, url }: JobModule): void {
    this.state = "busy";
    this.hadTask = true;
    this.#task = task;
    this.#taken = false;
    this.#told = undefined;
    this.#givenMs = performance.now();
    const { id, partition, queue, attempt, maxExecutionTimeMs, argsText } = task;
    this.#send(["run", name, url, id, partition, queue, attempt, maxExecutionTimeMs, argsText]);
    if (maxExecutionTimeMs > 0) this.#expect("timeout", LOAD_MS + maxExecutionTimeMs);
  }

  warm({ name, url }: JobModule): void {
    this.#send(["warm", name, url]);
  }

  abort(reason: ToldReason): void {
    if (this.state !== "busy") return;
    this.#told = reason;
    this.#send(["abort", reason]);
    this.#expect(reason, 0);
  }

  /** Ends it, for no fault of its own. */
  end(because: string): void {
    this.retired = true;
    this.#kill(because);
  }

  /** The child's own ladder ends its body by then; a child that does not even say so is stopped, or thrashing. */
  #expect(reason: ToldReason | "timeout", inMs: number): void {
    clearTimeout(this.#limit);
    const ms = inMs + this.#options.graceMs[reason] + ANSWER_MS;
    this.#limit = setTimeout(() => this.#silent(reason), Math.min(ms, 2 ** 31 - 1));
  }

  #silent(reason: ToldReason | "timeout"): void {
    const task = this.#task;
    if (task === undefined || this.state !== "busy") return;
    const ranMs = performance.now() - this.#givenMs;
    this.#outcome = silent(reason, task.maxExecutionTimeMs, ranMs, { ...inspectProcess(this.pid) });
    this.#kill(`${reason} of job ${task.id}`);
  }

  #send(message: ToChild): void {
    if (this.state !== "gone") this.#spawned.channel.write(frame(message));
  }

  #read(chunk: Buffer): void {
    try {
      for (const message of this.#frames.push(chunk)) this.#hear(message as FromChild);
    } catch (error) {
      this.#spawned.channel.removeAllListeners("data").resume();
      this.#kill(`it said what cannot be read: ${(error as Error).message}`);
    }
  }

  #hear(message: FromChild): void {
    const task = this.#task;
    switch (message[0]) {
      case "ready":
        return this.#ready();
      case "taken":
        this.#taken = true;
        return;
      case "started":
        if (task !== undefined && task.maxExecutionTimeMs > 0)
          this.#expect("timeout", task.maxExecutionTimeMs);
        return guarded(() => task?.started?.(this.pid, message[1]));
      case "progress":
        return guarded(() => task?.progress?.(message[1]));
      case "log":
        return guarded(() => task?.log?.(message[1], message[2], message[3]));
      case "ended":
        return this.#ended(message[1]);
      case "kill":
        if (this.state !== "busy") return;
        this.#outcome = message[1];
        return this.#kill(`the end of job ${task?.id}`);
      case "hung":
        return this.#owner.onLoadHung({ name: message[1], url: message[2] });
      case "spent":
        return this.#isSpent(message[1]);
      case "blamed": {
        const [, jobId, failure] = message;
        return guarded(() =>
          this.#options.event?.({ type: "thread.blamed", threadId: this.pid, jobId, failure }),
        );
      }
      case "ask":
        return answerService(this.#options, message, (answer) => this.#send(answer));
    }
  }

  #ready(): void {
    if (this.state !== "starting") return;
    this.#idle();
    this.#owner.onReady(this);
  }

  #idle(): void {
    this.state = "idle";
    this.idleSinceMs = performance.now();
  }

  #isSpent(reason: string): void {
    this.#spent ??= reason;
    if (this.#task === undefined) this.#kill(this.#spent);
  }

  #ended(outcome: Outcome): void {
    // One that ended in the moment of its kill was killed: it was told to end.
    if (this.state !== "busy") return;
    const task = this.#take();
    const whole = this.#spent === undefined;
    if (whole) this.#idle();
    else this.#kill(this.#spent ?? "");
    if (task === undefined) return;
    if (outcome.kind === "returned") this.#owner.onUnstarted(task);
    else {
      this.served = true;
      endTask(task, outcome);
    }
    if (whole) this.#owner.onFree(this);
  }

  #take(): Task | undefined {
    clearTimeout(this.#limit);
    const task = this.#task;
    this.#task = undefined;
    return task;
  }

  /** The process dies, as a rule; what has only closed its channel takes no further body, and is not waited for. */
  #closed(): void {
    if (this.state === "killing" || this.state === "gone") return;
    this.state = "killing";
    this.#pipes = setTimeout(() => this.#end("its channel was closed"), PIPES_MS);
  }

  #kill(because: string): void {
    if (this.state === "killing" || this.state === "gone") return;
    this.state = "killing";
    this.#end(because);
  }

  #end(because: string): void {
    clearTimeout(this.#limit);
    this.#because = because;
    this.#stepMs = performance.now();
    this.#killed = killFamily(this.pid);
    this.#step("sigkill", "sent");
    this.#step("children", `${this.#killed.length} killed`);
  }

  /** Who runs the job again is not to meet what it had started, which was killed and may take its time to die. */
  #exited(): void {
    if (this.state === "gone") return;
    clearTimeout(this.#pipes);
    if (this.#killed.some(isRunning) && performance.now() - this.#stepMs < DYING_MS) {
      this.#pipes = setTimeout(() => this.#exited(), LOOK_AGAIN_MS);
      return;
    }
    const { exitCode, signalCode } = this.#spawned.process;
    this.#gone({ code: exitCode, signal: signalCode, lastWords: this.#spawned.lastWords() });
  }

  #gone(exit: ProcessExit): void {
    if (this.state === "gone") return;
    this.state = "gone";
    clearTimeout(this.#pipes);
    const { process: child, channel } = this.#spawned;
    for (const stream of [channel, child.stdout, child.stderr]) stream?.destroy();
    const task = this.#take();
    if (task !== undefined) this.#settle(task, exit);
    this.#owner.onGone(this, howItEnded(exit, this.#because));
  }

  #settle(task: Task, exit: ProcessExit): void {
    this.#step("exit", "gone");
    const ranMs = performance.now() - this.#givenMs;
    if (this.#outcome !== undefined) endTask(task, withSteps(this.#outcome, this.#steps, this.#killed));
    else if (this.#told !== undefined)
      endTask(task, { kind: "aborted", reason: this.#told, report: undefined });
    else if (!this.#taken) this.#owner.onUnstarted(task);
    else if (this.#spent !== undefined) endTask(task, { kind: "rescued", reason: this.#spent });
    else endTask(task, crashOf(exit, this.#because, ranMs));
  }

  #step(step: KillStep["step"], outcome: string): void {
    const now = performance.now();
    this.#steps.push({ step, ms: Math.round((now - this.#stepMs) * 100) / 100, outcome });
    this.#stepMs = now;
  }
}
