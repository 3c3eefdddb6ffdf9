/**
 * The stack of a thread that does not answer, through the inspector: works inside `for (;;) {}`.
 *
 * Owns the question, for the length of one capture. The thread is asked to tell its stack; where that says nothing of the
 * body (it was met between two microtasks, or is in TypeScript) the debugger pauses it and is asked. A thread that is
 * paused never exits, so every way out of here, also the one after the limit, disables the debugger before anyone
 * terminates.
 */
import type { Frame } from "../../jobs/failure.ts";
import { askHeap, type HeapUse, heapOf } from "../upkeep/heap.ts";
import { CpuShare, inspectThread, isIdle } from "./inspect.ts";
import { canInspect, Inspector, type InspectorMessage } from "./inspector.ts";
import { mapFrame } from "./source-map.ts";
import { ASK_STACK, framesTold, HOST_FRAME, MOST_FRAMES } from "./told-stack.ts";

/** Enough on a calm machine, where it takes 2 to 10 ms, and 45 to 70 by the debugger. */
const LIMIT_MS = 150;
/** For a thread that has begun to answer, or has had less than the limit in CPU time: the machine is busy then. */
const BUSY_LIMIT_MS = 5_000;
const ASK_AGAIN_MS = 25;
const LIMIT_LOOKS = LIMIT_MS / ASK_AGAIN_MS;

/** Said of a thread that has no stack. */
export const WAITS = "nothing runs: the body waits for something";

export interface Captured {
  readonly frames: readonly Frame[];
  /** What the thread used just before, where it said so. */
  readonly heap?: HeapUse | undefined;
  /** `captured`, or why there is nothing. */
  readonly outcome: string;
}

/**
 * Captures the stack of this thread (`tid`: the system's number for it, 0 = unknown). Never rejects; a thread that
 * could not be paused within 150 ms of its CPU time (5 s in all) gives no frames.
 */
export async function captureStack(threadId: number, tid: number): Promise<Captured> {
  if (!canInspect) return { frames: [], outcome: "not possible: the pool runs inside a worker thread" };
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
  readonly #threadId: number;
  readonly #tid: number;
  readonly #inspector: Inspector;
  readonly #scripts = new Map<string, Script>();
  #attached = false;
  #debugs = false;
  /** The number of the question for its stack. */
  #asked = 0;
  #heap: HeapUse | undefined = undefined;
  readonly #startMs = performance.now();
  /** Since the last question. */
  #cpu: CpuShare;
  #looks = 0;
  #timer: NodeJS.Timeout | undefined = undefined;
  #done: (captured: Captured) => void = () => {};

  constructor(threadId: number, tid: number) {
    this.#threadId = threadId;
    this.#tid = tid;
    this.#cpu = new CpuShare(tid);
    this.#inspector = new Inspector([threadId], {
      attached: () => this.#ask(),
      told: (_, message) => this.#received(message),
    });
  }

  run(): Promise<Captured> {
    return new Promise<Captured>((resolve) => {
      this.#timer = setTimeout(() => this.#look(), ASK_AGAIN_MS);
      this.#done = resolve;
      this.#inspector.start();
    });
  }

  /** A thread that is paused would stay so for ever. */
  close(): void {
    clearTimeout(this.#timer);
    try {
      if (this.#debugs) this.#inspector.send(this.#threadId, "Debugger.disable");
    } finally {
      this.#inspector.close();
    }
  }

  #look(): void {
    const ms = Math.round(performance.now() - this.#startMs);
    // It was busy when it was first looked at, perhaps with nothing but the signal.
    if (isIdle(inspectThread(this.#tid))) return this.#fail(WAITS);
    const busy = ms < BUSY_LIMIT_MS && (this.#scripts.size > 0 || this.#cpu.owed(LIMIT_MS));
    // Looks, not time: a turn of ours that comes late finds the answer behind it, not before.
    if (++this.#looks < LIMIT_LOOKS || busy) {
      this.#timer = setTimeout(() => this.#look(), ASK_AGAIN_MS);
      return;
    }
    const why = this.#attached ? "no JavaScript ran to be paused" : "the thread was not found";
    this.#fail(`${why} within ${ms} ms`);
  }

  #fail(outcome: string): void {
    this.#done({ frames: [], heap: this.#heap, outcome });
  }

  /** It had no question before: what it has done meanwhile, and how late we are, does not count. */
  #asks(): void {
    this.#cpu = new CpuShare(this.#tid);
    this.#looks = 0;
  }

  #ask(): void {
    this.#attached = true;
    this.#asks();
    this.#inspector.send(this.#threadId, "Runtime.evaluate", askHeap(false));
    this.#asked = this.#inspector.next;
    this.#inspector.send(this.#threadId, "Runtime.evaluate", ASK_STACK);
  }

  #told(message: InspectorMessage): void {
    const frames = framesTold(message);
    if (frames !== undefined) return this.#done({ frames, heap: this.#heap, outcome: "captured" });
    if (isIdle(inspectThread(this.#tid))) return this.#fail(WAITS);
    this.#debugs = true;
    this.#asks();
    this.#inspector.send(this.#threadId, "Debugger.enable");
    this.#inspector.send(this.#threadId, "Debugger.pause");
  }

  #received(message: InspectorMessage): void {
    const { method, params } = message;
    if (method === "Debugger.scriptParsed") {
      const script = params as Script & { scriptId: string };
      this.#scripts.set(script.scriptId, { url: script.url, sourceMapURL: script.sourceMapURL });
    } else if (method === "Debugger.paused") {
      const { callFrames } = params as { callFrames: readonly CallFrame[] };
      this.#done({ frames: this.#frames(callFrames), heap: this.#heap, outcome: "captured" });
    } else if (message.id === this.#asked) this.#told(message);
    else this.#heap ??= heapOf(message);
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
