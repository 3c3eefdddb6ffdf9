/**
 * A line into threads that do not answer: one inspector session, attached to some of this process's threads.
 *
 * Owns the session for the length of one question. Commands reach a thread in the middle of `for (;;) {}`, in
 * `Atomics.wait` and in a runaway regular expression; not in a native call. A thread is found by the number in its title
 * (`workerId` counts by session). Only on the main thread of the process: elsewhere `start` rejects.
 */
import { Session } from "node:inspector";
import { isMainThread } from "node:worker_threads";

/** What a thread answers, or tells by itself. */
export interface InspectorMessage {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
}

export interface InspectorListener {
  attached(threadId: number): void;
  told(threadId: number, message: InspectorMessage): void;
}

/** Whether threads can be asked at all from here. */
export const canInspect = isMainThread;

const TITLE = /^\[worker (\d+)\]/;

export class Inspector {
  readonly #session = new Session();
  readonly #sessionIds = new Map<number, string>();
  readonly #threadIds = new Map<string, number>();
  readonly #wanted: ReadonlySet<number>;
  readonly #listener: InspectorListener;
  #messages = 0;

  constructor(threadIds: Iterable<number>, listener: InspectorListener) {
    this.#wanted = new Set(threadIds);
    this.#listener = listener;
  }

  /** Rejects when it can't be done; threads that are not there are never attached. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#session.connect();
      this.#session.on("NodeWorker.attachedToWorker", ({ params }) => {
        const threadId = Number(TITLE.exec(params.workerInfo.title)?.[1]);
        if (!this.#wanted.has(threadId)) return;
        this.#sessionIds.set(threadId, params.sessionId);
        this.#threadIds.set(params.sessionId, threadId);
        this.#listener.attached(threadId);
      });
      this.#session.on("NodeWorker.receivedMessageFromWorker", ({ params }) => {
        const threadId = this.#threadIds.get(params.sessionId);
        if (threadId !== undefined) this.#listener.told(threadId, JSON.parse(params.message));
      });
      this.#session.post("NodeWorker.enable", { waitForDebuggerOnStart: false }, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  /** The number that the answer to the next command will have: it may be heard before `send` returns. */
  get next(): number {
    return this.#messages + 1;
  }

  send(threadId: number, method: string, params?: object): void {
    const id = ++this.#messages;
    const message = JSON.stringify({ id, method, ...(params === undefined ? {} : { params }) });
    const sessionId = this.#sessionIds.get(threadId) ?? "";
    this.#session.post("NodeWorker.sendMessageToWorker", { sessionId, message });
  }

  /**
   * In a turn of its own: whoever has heard what he wanted stands within the session's own call, and a session that is
   * disconnected there leaves freed memory behind, on which a later one falls (SIGSEGV in `NodeWorker.enable`, Node 20.20).
   */
  async close(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    try {
      for (const sessionId of this.#sessionIds.values())
        this.#session.post("NodeWorker.detach", { sessionId });
    } finally {
      this.#session.disconnect();
    }
  }
}
