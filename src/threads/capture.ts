/**
 * The stack of a thread that does not answer, through the inspector: works inside `for (;;) {}`.
 *
 * Owns one inspector session for the length of one capture. Two traps, both sure to bite: a thread is found by the
 * number in its title (`workerId` counts by session), and a thread that is paused never exits, so every way out of
 * here, also the one after the limit, disables the debugger, detaches and disconnects before anyone terminates.
 */
import { Session } from "node:inspector";
import { isMainThread } from "node:worker_threads";
import type { Frame } from "../jobs/failure.ts";
import { CpuShare } from "./inspect.ts";
import { mapFrame } from "./source-map.ts";

/** Enough on a calm machine, where it takes 45 to 70 ms. */
const LIMIT_MS = 150;
/** For a thread that has begun to answer, or has had less than the limit in CPU time: the machine is busy then. */
const BUSY_LIMIT_MS = 5_000;
const ASK_AGAIN_MS = 25;
const MOST_FRAMES = 32;
/** The host's own frames lie below the body's: they and what is under them say nothing. */
const HOST_FRAME = /threads\/host\/(host|body|entry)\.c?[jt]s$/;

export interface Captured {
  readonly frames: readonly Frame[];
  /** `captured`, or why there is nothing. */
  readonly outcome: string;
}

/**
 * Captures the stack of this thread (`tid`: the system's number for it, 0 = unknown). Never rejects; a thread that
 * could not be paused within 150 ms of its CPU time (5 s in all) gives no frames.
 */
export async function captureStack(threadId: number, tid: number): Promise<Captured> {
  if (!isMainThread) return { frames: [], outcome: "not possible: the pool runs inside a worker thread" };
  const capture = new Capture(threadId, tid);
  try {
    return await capture.run();
  } catch (error) {
    return { frames: [], outcome: `failed: ${(error as Error).message}` };
  } finally {
    capture.close();
  }
}

interface Script {
  readonly url: string;
  readonly sourceMapURL: string;
}

interface CallFrame {
  readonly functionName: string;
  readonly location: {
    readonly scriptId: string;
    readonly lineNumber: number;
    readonly columnNumber?: number;
  };
}

class Capture {
  readonly #session = new Session();
  readonly #title: string;
  readonly #scripts = new Map<string, Script>();
  #target: string | undefined = undefined;
  #messages = 0;
  readonly #startMs = performance.now();
  readonly #cpu: CpuShare;
  #timer: NodeJS.Timeout | undefined = undefined;
  #done: (captured: Captured) => void = () => {};

  constructor(threadId: number, tid: number) {
    this.#title = `[worker ${threadId}]`;
    this.#cpu = new CpuShare(tid);
  }

  run(): Promise<Captured> {
    return new Promise<Captured>((resolve, reject) => {
      this.#timer = setTimeout(() => this.#late(), LIMIT_MS);
      this.#done = resolve;
      this.#session.connect();
      this.#session.on("NodeWorker.attachedToWorker", ({ params }) => {
        if (params.workerInfo.title.startsWith(this.#title)) this.#attached(params.sessionId);
      });
      this.#session.on("NodeWorker.receivedMessageFromWorker", ({ params }) => {
        if (params.sessionId === this.#target) this.#received(params.message);
      });
      this.#session.post("NodeWorker.enable", { waitForDebuggerOnStart: false }, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  /** In this order: the other way round leaves the thread paused for ever. */
  close(): void {
    clearTimeout(this.#timer);
    try {
      if (this.#target !== undefined) {
        this.#send("Debugger.disable");
        this.#session.post("NodeWorker.detach", { sessionId: this.#target });
      }
    } finally {
      this.#session.disconnect();
    }
  }

  #late(): void {
    const ms = Math.round(performance.now() - this.#startMs);
    if (ms < BUSY_LIMIT_MS && (this.#scripts.size > 0 || this.#cpu.owed(LIMIT_MS))) {
      this.#timer = setTimeout(() => this.#late(), ASK_AGAIN_MS);
      return;
    }
    const why = this.#target === undefined ? "the thread was not found" : "no JavaScript ran to be paused";
    this.#done({ frames: [], outcome: `${why} within ${ms} ms` });
  }

  #attached(sessionId: string): void {
    this.#target = sessionId;
    this.#send("Debugger.enable");
    this.#send("Debugger.pause");
  }

  #send(method: string): void {
    const message = JSON.stringify({ id: ++this.#messages, method });
    this.#session.post("NodeWorker.sendMessageToWorker", { sessionId: this.#target ?? "", message });
  }

  #received(text: string): void {
    const { method, params } = JSON.parse(text) as { method?: string; params?: unknown };
    if (method === "Debugger.scriptParsed") {
      const script = params as Script & { scriptId: string };
      this.#scripts.set(script.scriptId, { url: script.url, sourceMapURL: script.sourceMapURL });
    } else if (method === "Debugger.paused") {
      const { callFrames } = params as { callFrames: readonly CallFrame[] };
      this.#done({ frames: this.#frames(callFrames), outcome: "captured" });
    }
  }

  #frames(callFrames: readonly CallFrame[]): Frame[] {
    const frames: Frame[] = [];
    for (const { functionName, location } of callFrames) {
      // The frame's own url is empty under tsx; the script's is not.
      const script = this.#scripts.get(location.scriptId);
      const url = script?.url ?? "";
      if (HOST_FRAME.test(url) || frames.length === MOST_FRAMES) break;
      frames.push(
        mapFrame({
          function: functionName,
          url,
          sourceMapUrl: script?.sourceMapURL ?? "",
          line: location.lineNumber,
          column: location.columnNumber ?? 0,
        }),
      );
    }
    return frames;
  }
}
