/**
 * A line into threads that do not answer: one inspector session, attached to every thread of this process, for good.
 *
 * Owns the session, from the start of the first pool on. Node tells a new session of each thread that is there within one loop
 * over them, and runs JavaScript in it: a thread that starts or ends just then is taken out under the loop, and the
 * process falls (SIGSEGV in `SetAutoAttach`, Node 20.20). So there is one, and it is there before the threads are.
 * Commands reach a thread in the middle of `for (;;) {}`, in `Atomics.wait` and in a runaway regular expression; not in a
 * native call. Only on the main thread of the process.
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
  /** It can be asked: at once, or when it is there. */
  attached(threadId: number): void;
  /** Answers to one's own commands, and what the thread tells by itself. */
  told(threadId: number, message: InspectorMessage): void;
}

/** Whether threads can be asked at all from here. */
export const canInspect = isMainThread;

/** `workerId` counts by session. */
const TITLE = /^\[worker (\d+)\]/;

class ThreadSession {
  readonly listeners = new Set<Inspector>();
  readonly #session = new Session();
  readonly #sessionIds = new Map<number, string>();
  readonly #threadIds = new Map<string, number>();
  #messages = 0;

  constructor() {
    this.#session.connect();
    this.#session.on("NodeWorker.attachedToWorker", ({ params: { sessionId, workerInfo } }) => {
      const threadId = Number(TITLE.exec(workerInfo.title)?.[1]);
      this.#sessionIds.set(threadId, sessionId);
      this.#threadIds.set(sessionId, threadId);
      for (const one of this.listeners) one.attached(threadId);
    });
    this.#session.on("NodeWorker.detachedFromWorker", ({ params: { sessionId } }) => {
      this.#sessionIds.delete(this.#threadIds.get(sessionId) ?? 0);
      this.#threadIds.delete(sessionId);
    });
    this.#session.on("NodeWorker.receivedMessageFromWorker", ({ params: { sessionId, message } }) => {
      const threadId = this.#threadIds.get(sessionId);
      if (threadId === undefined || this.listeners.size === 0) return;
      const heard = JSON.parse(message) as InspectorMessage;
      for (const one of this.listeners) one.told(threadId, heard);
    });
    this.#session.post("NodeWorker.enable", { waitForDebuggerOnStart: false });
  }

  has(threadId: number): boolean {
    return this.#sessionIds.has(threadId);
  }

  get next(): number {
    return this.#messages + 1;
  }

  send(threadId: number, method: string, params: object | undefined): void {
    const id = ++this.#messages;
    const message = JSON.stringify({ id, method, ...(params === undefined ? {} : { params }) });
    const sessionId = this.#sessionIds.get(threadId) ?? "";
    this.#session.post("NodeWorker.sendMessageToWorker", { sessionId, message });
  }
}

let session: ThreadSession | undefined;

/** To be called before the first thread is started that may have to be asked. Does nothing the second time. */
export function openInspector(): void {
  if (canInspect) session ??= new ThreadSession();
}

/** Questions to some threads, for the length of one matter. */
export class Inspector {
  readonly #wanted: ReadonlySet<number>;
  readonly #listener: InspectorListener;
  readonly #asked = new Set<number>();

  constructor(threadIds: Iterable<number>, listener: InspectorListener) {
    this.#wanted = new Set(threadIds);
    this.#listener = listener;
  }

  /** Threads that are not there are never attached. */
  start(): void {
    openInspector();
    session?.listeners.add(this);
    for (const threadId of this.#wanted)
      if (session?.has(threadId) === true) this.#listener.attached(threadId);
  }

  attached(threadId: number): void {
    if (this.#wanted.has(threadId)) this.#listener.attached(threadId);
  }

  told(threadId: number, message: InspectorMessage): void {
    if (!this.#wanted.has(threadId)) return;
    if (message.id === undefined || this.#asked.delete(message.id)) this.#listener.told(threadId, message);
  }

  /** Its answer may be heard before this returns; it will have the number `next`. */
  send(threadId: number, method: string, params?: object): void {
    this.#asked.add(this.next);
    session?.send(threadId, method, params);
  }

  get next(): number {
    return session?.next ?? 0;
  }

  /** Hears no more. */
  close(): void {
    session?.listeners.delete(this);
  }
}
