/**
 * A user's own persister for tests: bytes in this process's heap, which outlive the runtimes that use them, and fail as
 * they are told.
 */
import type { Persister } from "../../src/broker/persister.ts";

type CallName = "init" | "load" | "store" | "append";

export class HeapPersister implements Persister {
  readonly kept = new Map<string, Uint8Array>();
  readonly calls: CallName[] = [];
  /** What a call does instead, before anything is changed. */
  readonly instead = new Map<CallName, () => unknown>();
  isClosed = false;

  init(): Promise<void> {
    return this.#call("init", () => undefined);
  }

  load(partition: string): Promise<Uint8Array | undefined> {
    return this.#call("load", () => this.kept.get(partition));
  }

  store(partition: string, bytes: Uint8Array): Promise<void> {
    return this.#call("store", () => void this.kept.set(partition, bytes));
  }

  append(partition: string, bytes: Uint8Array): Promise<void> {
    return this.#call("append", () => {
      this.kept.set(partition, Buffer.concat([this.kept.get(partition) ?? new Uint8Array(), bytes]));
    });
  }

  close(): void {
    this.isClosed = true;
  }

  /** The same bytes, by whole states only. */
  get withoutAppend(): Persister {
    return {
      init: () => this.init(),
      load: (partition) => this.load(partition),
      store: (partition, bytes) => this.store(partition, bytes),
    };
  }

  count(name: CallName): number {
    return this.calls.filter((call) => call === name).length;
  }

  async #call<T>(name: CallName, does: () => T): Promise<T> {
    this.calls.push(name);
    const instead = this.instead.get(name);
    return instead === undefined ? does() : ((await instead()) as T);
  }
}
