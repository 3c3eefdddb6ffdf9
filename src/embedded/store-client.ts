/**
 * Main's end of the store thread: starts it, posts work, says when it is gone.
 *
 * Owns the worker. The thread keeps the process alive while it is open, as a connection would. When it ends
 * without having been asked, `gone` is called once, and whatever was in flight has no known outcome.
 */
import { Worker } from "node:worker_threads";
import { refusedOpen } from "./folder.ts";
import type { Done, Failed, FromStore, Opened, StoreConfig, Work } from "./store/protocol.ts";

export interface StoreListener {
  answered(answer: Done | Failed): void;
  taken(problem: string): void;
  space(low: boolean, freeBytes: number): void;
  gone(error: Error): void;
}

/** Compiled, also when this file is run as TypeScript: threads have no loader of their own. */
const ENTRY = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/embedded/store/entry.cjs" : "./store/entry.cjs",
  import.meta.url,
);

export class StoreClient {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #listener: StoreListener | undefined;
  #opening: { resolve: (opened: Opened) => void; reject: (error: Error) => void } | undefined;
  #closed: (() => void) | undefined;
  #error: Error | undefined;

  constructor(config: StoreConfig) {
    this.#worker = new Worker(ENTRY, { workerData: config, name: "spillway-store", execArgv: [] });
    this.#worker.on("message", (message: FromStore) => this.#heard(message, config.folder));
    this.#worker.on("error", (error: Error) => {
      this.#error = error;
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", (code) => {
        resolve();
        this.#gone(this.#error ?? new Error(`the store thread ended with code ${code}`));
      });
    });
  }

  /** Rejects with the refusal; the thread is gone then. */
  async opened(listener: StoreListener): Promise<Opened> {
    try {
      const opened = await new Promise<Opened>((resolve, reject) => {
        this.#opening = { resolve, reject };
      });
      this.#listener = listener;
      return opened;
    } catch (error) {
      await this.terminate();
      throw error;
    }
  }

  post(work: Work): void {
    this.#worker.postMessage(work);
  }

  /** Marks the file as closed and ends the thread. */
  async close(): Promise<void> {
    this.#listener = undefined;
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve;
    });
    this.#worker.postMessage({ kind: "close" });
    await Promise.race([closed, this.#exited]);
    await this.terminate();
  }

  /** Ends the thread as it is; what it had not committed is rolled back. */
  async terminate(): Promise<void> {
    this.#listener = undefined;
    await this.#worker.terminate();
    await this.#exited;
  }

  #heard(message: FromStore, folder: string): void {
    switch (message.kind) {
      case "opened":
        this.#opening?.resolve(message);
        return;
      case "refused":
        this.#opening?.reject(refusedOpen(folder, message));
        return;
      case "closed":
        this.#closed?.();
        return;
      case "taken":
        this.#listener?.taken(message.problem);
        return;
      case "space":
        this.#listener?.space(message.low, message.freeBytes);
        return;
      default:
        this.#listener?.answered(message);
    }
  }

  #gone(error: Error): void {
    this.#opening?.reject(error);
    this.#listener?.gone(error);
    this.#listener = undefined;
  }
}
