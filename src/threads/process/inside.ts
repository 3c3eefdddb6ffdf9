/**
 * A child process from within: one thread with the job host, as everywhere, and this on the main thread beside it.
 *
 * Owns the pool of one thread and the pipe to our parent. The thread is never ended here: what has to be killed is told
 * to the parent, who ends the process. It runs no code of any job, so it hears at once that the pipe has closed, and
 * then ends itself and all that its bodies have started.
 */
import type { Duplex } from "node:stream";
import { inspect } from "node:util";
import { Pool } from "../pool.ts";
import type { LogLevel, Outcome, PoolEvent, Task } from "../types.ts";
import { killOurselves } from "./family.ts";
import { Frames, frame } from "./frames.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { AskedServices } from "./services.ts";
import type { ChildStart, FromChild, ToChild } from "./wire.ts";

/** Lines and progress that the pipe has not taken; more would only fill this process's memory. */
const MOST_UNSENT = 1_000;

export class Inside {
  readonly #pool: Pool;
  readonly #channel: Duplex;
  readonly #frames = new Frames();
  readonly #services: AskedServices;
  readonly #memory: MemoryWatch | undefined;
  #task: Task | undefined = undefined;
  #unsent = 0;
  #dropped = 0;

  constructor(start: ChildStart, channel: Duplex) {
    this.#channel = channel;
    channel.on("data", (chunk: Buffer) => this.#read(chunk));
    for (const end of ["end", "close", "error"] as const) channel.on(end, killOurselves);
    this.#services = new AskedServices(start.services, (question) => this.#send(question));
    const { graceMs, captureStack, resourceLimits, resultLimitBytes } = start;
    const { memoryLimitBytes, processLimitBytes, recycle, loadLimitMs } = start;
    this.#pool = new Pool({
      threads: 1,
      spares: 0,
      graceMs,
      captureStack,
      maxWedged: 0,
      resultLimitBytes,
      services: this.#services.functions,
      event: (event) => this.#heard(event),
      kill: (_, outcome) => this.#send(["kill", outcome]),
      ...(loadLimitMs === undefined ? {} : { loadLimitMs }),
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
      ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
      // A thread that retires takes its process along.
      ...(recycle === undefined ? {} : { recycle }),
    });
    if (processLimitBytes !== undefined)
      this.#memory = new MemoryWatch(processLimitBytes, (because) => this.#overMemory(because));
    this.#pool.start().then(
      () => this.#send(["ready"]),
      (error) => this.#send(["spent", (error as Error).message]),
    );
  }

  #read(chunk: Buffer): void {
    for (const message of this.#frames.push(chunk)) this.#hear(message as ToChild);
  }

  #hear(message: ToChild): void {
    switch (message[0]) {
      case "run":
        return this.#run(message);
      case "abort":
        if (this.#task !== undefined) this.#pool.abort(this.#task, message[1]);
        return;
      case "warm": {
        const type = this.#pool.register({ name: message[1], url: message[2] });
        for (const thread of this.#pool.inService) thread.warm([type]);
        return;
      }
      case "answer":
        return this.#services.answered(message);
    }
  }

  #run([, name, url, id, partition, queue, attempt, maxExecutionTimeMs, argsText]: ToChild & { 0: "run" }) {
    this.#send(["taken"]);
    const task: Task = {
      type: this.#pool.register({ name, url }),
      id,
      partition,
      queue,
      attempt,
      argsText,
      maxExecutionTimeMs,
      started: (_, at) => this.#send(["started", at]),
      progress: (value) => this.#tell(["progress", value]),
      log: (level, text, data) => this.#log(level, text, data),
      ended: (outcome) => this.#ended(outcome),
    };
    this.#task = task;
    this.#memory?.begin();
    this.#pool.give(task);
  }

  #ended(outcome: Outcome): void {
    this.#task = undefined;
    this.#memory?.end();
    this.#tellDropped();
    try {
      this.#send(["ended", outcome]);
    } catch (error) {
      const message = `the result cannot be cloned: ${(error as Error).message}`;
      const { name } = error as Error;
      const failure = { kind: "result", name, message, stack: undefined, final: false } as const;
      this.#send(["ended", { kind: "failed", failure, durationMs: 0 }]);
    }
  }

  #overMemory(because: string): void {
    const [thread] = this.#pool.inService;
    const slot = thread?.ring.running() ?? -1;
    const task = thread?.ring.at(slot);
    if (thread !== undefined && task !== undefined) this.#pool.overrun(thread, slot, task, "memory", because);
  }

  /** The process is as good as its one thread. */
  #heard(event: PoolEvent): void {
    if (event.type === "module.hung") this.#send(["hung", event.module.name, event.module.url]);
    if (event.type === "thread.blamed") this.#send(["blamed", event.jobId, event.failure]);
    if (event.type !== "thread.ended" && event.type !== "thread.wedged") return;
    const reason = event.type === "thread.ended" ? event.reason : "it hangs in a native call";
    // Once all has been said about it. What had not started would start in the thread that is built now.
    queueMicrotask(() => {
      this.#send(["spent", reason]);
      if (this.#task !== undefined) this.#pool.revoke(this.#task);
    });
  }

  #log(level: LogLevel, text: string, data: unknown): void {
    this.#tellDropped();
    try {
      this.#tell(["log", level, text, data]);
    } catch {
      this.#tell(["log", level, text, inspect(data, { depth: 4, maxStringLength: 1_024 })]);
    }
  }

  #tellDropped(): void {
    if (this.#dropped === 0 || this.#unsent >= MOST_UNSENT) return;
    const text = `${this.#dropped} lines were dropped: they came faster than they could be read`;
    this.#dropped = 0;
    this.#tell(["log", "warn", text, undefined]);
  }

  /** For what may be lost when there is too much of it. */
  #tell(message: FromChild): void {
    if (this.#unsent >= MOST_UNSENT) {
      this.#dropped++;
      return;
    }
    const bytes = frame(message);
    this.#unsent++;
    this.#channel.write(bytes, () => {
      this.#unsent--;
    });
  }

  #send(message: FromChild): void {
    this.#channel.write(frame(message));
  }
}
