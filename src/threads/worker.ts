/**
 * One Piscina of exactly one thread, with the job host as its only and endless task.
 *
 * Owns the Piscina, both ports and their closing. The thread is gone at its Worker's `exit` event and at nothing
 * earlier (`run()` rejects before that, so what it says is ignored). Piscina would start another thread when one
 * dies by itself; it is told to stop before it can. After `exit` no port, listener or timer of it is left.
 */
import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads";
import { expose, type Remote, releaseProxy, wrap } from "comlink/dist/esm/comlink.mjs";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { Piscina } from "piscina";
import { cellsOn } from "./cells.ts";
import { hostEntry } from "./compiled.ts";
import type { PoolOptions } from "./types.ts";
import type { HostCalls, HostStart, MainCalls } from "./wire.ts";

export interface WorkerListener {
  /** Something lies on the plain port. */
  onMessage(message: unknown): void;
  /** Something came that cannot be deserialized here. */
  onUnreadable(error: Error): void;
  /** The thread is gone; `error` is what it died of, if it said so. */
  onExit(code: number, error: Error | undefined): void;
}

/** Linking takes milliseconds, on an overloaded machine some hundred; a loop at a module's top level takes for ever. */
const LOADING_MOST_MS = 5_000;
const LOADING_LOOK_MS = 2;

export class HostWorker {
  readonly port: MessagePort;
  readonly threadId: number;
  readonly #callPort: MessagePort;
  readonly #calls: Remote<HostCalls>;
  readonly #pool: Piscina;
  readonly #worker: Worker | undefined;
  readonly #gone: Promise<undefined>;
  readonly #loading: Int32Array;
  #error: Error | undefined = undefined;
  #waiting: NodeJS.Timeout | undefined = undefined;
  /** It has ended by itself: nothing is loaded in it any more. */
  #dead = false;

  constructor(options: PoolOptions, cells: SharedArrayBuffer, listener: WorkerListener) {
    this.#loading = cellsOn(cells).loading;
    const plain = new MessageChannel();
    const calls = new MessageChannel();
    this.port = plain.port1;
    this.#callPort = calls.port1;
    const endpoint = nodeEndpoint(calls.port1);
    expose(mainCalls(options), endpoint);
    this.#calls = wrap<HostCalls>(endpoint);
    this.port.on("message", (message: unknown) => listener.onMessage(message));
    this.port.on("messageerror", (error: Error) => listener.onUnreadable(error));
    this.#pool = onePiscina(options);
    this.#worker = this.#pool.threads[0];
    this.threadId = this.#worker?.threadId ?? -1;
    this.#gone = this.#watchExit(listener);
    const { resultLimitBytes } = options;
    const memoryLimited = options.memoryLimitBytes !== undefined;
    const start: HostStart = {
      port: plain.port2,
      calls: calls.port2,
      cells,
      resultLimitBytes,
      jobsPerThread: options.jobsPerThread ?? 1,
      memoryLimited,
    };
    this.#pool.run(start, { transferList: [plain.port2, calls.port2] }).catch(() => {});
  }

  /**
   * Begins the end of the thread once no module is being loaded in it, and calls back when it has; `onExit` says when
   * it is gone. A module that never finishes loading is waited for so long that only its own code can be what runs.
   */
  terminate(begun: () => void = () => {}, waitedMs = 0): void {
    if (Atomics.load(this.#loading, 0) === 1 && waitedMs < LOADING_MOST_MS && !this.#dead) {
      this.#waiting ??= setTimeout(() => {
        this.#waiting = undefined;
        this.terminate(begun, waitedMs + LOADING_LOOK_MS);
      }, LOADING_LOOK_MS);
      return;
    }
    this.#destroy();
    begun();
  }

  #destroy(): void {
    if (this.#waiting !== undefined) clearTimeout(this.#waiting);
    this.#pool.destroy().catch(() => {});
  }

  /** Main no longer waits for this thread when the process wants to end. */
  unref(): void {
    this.#worker?.unref();
    this.port.unref();
    this.#callPort.unref();
  }

  /** Loads a type ahead; what kept it from loading, or undefined (also when the thread went away). */
  load(type: number): Promise<string | undefined> {
    return Promise.race([this.#calls.load(type), this.#gone]);
  }

  /** Undefined when the thread went away: a Comlink call into a dead thread would never settle. */
  heap(): Promise<ReturnType<HostCalls["heap"]> | undefined> {
    return Promise.race([this.#calls.heap(), this.#gone]);
  }

  #watchExit(listener: WorkerListener): Promise<undefined> {
    return new Promise((resolve) => {
      // Before Piscina's own listeners: destroying it first keeps it from refilling itself.
      this.#worker?.prependListener("error", (error: Error) => {
        this.#error = error;
        this.#dead = true;
        this.#destroy();
      });
      this.#worker?.prependOnceListener("exit", (code: number) => {
        this.#dead = true;
        this.#destroy();
        resolve(undefined);
        listener.onExit(code, this.#error);
        this.#close();
      });
    });
  }

  #close(): void {
    this.#calls[releaseProxy]();
    this.port.removeAllListeners();
    this.port.close();
    this.#callPort.removeAllListeners();
    this.#callPort.close();
  }
}

function onePiscina(options: PoolOptions): Piscina {
  const pool = new Piscina({
    filename: hostEntry(),
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    // Its blocking wait between tasks would stop the timers of the thread.
    atomics: "disabled",
    recordTiming: false,
    ...(options.resourceLimits === undefined ? {} : { resourceLimits: options.resourceLimits }),
  });
  pool.on("error", () => {});
  return pool;
}

function mainCalls({ services = {} }: PoolOptions): MainCalls {
  return {
    async ask(name, args) {
      const service = Object.hasOwn(services, name) ? services[name] : undefined;
      if (service === undefined) throw new Error(`no service "${name}" is given in the pool's options`);
      return service(...args);
    },
  };
}
