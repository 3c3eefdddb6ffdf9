/**
 * `filesystem({ path })`: a partition's state in a file of its own, flushed to disk before anybody is answered.
 *
 * Owns the thread that does it, from the first call to `close`; while nothing is asked it does not keep the process alive.
 * A thread that ends fails what it had been asked; the next call starts another.
 */
import { resolve } from "node:path";
import { Worker } from "node:worker_threads";
import { InvalidOptions } from "../broker/errors.ts";
import { unknownKeys } from "../broker/options.ts";
import type { Persister } from "../broker/persister.ts";
import type { FilesConfig, FilesRequest, FromFiles } from "./protocol.ts";

export interface FilesystemOptions {
  /** A folder; made if it is not there. */
  readonly path: string;
  /** Every node that may run the partition sees this folder under `path`. Without it RabbitMQ refuses it. Default false. */
  readonly shared?: boolean;
}

/** Compiled, also when this file is run as TypeScript: threads have no loader of their own. */
const ENTRY = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/persist/entry.cjs" : "./entry.cjs",
  import.meta.url,
);

const PIECE_BYTES = 1024 * 1024;

interface Asked {
  readonly worker: Worker;
  readonly resolve: (bytes: Uint8Array | undefined) => void;
  readonly reject: (error: Error) => void;
}

export class FilesystemPersister implements Persister {
  readonly path: string;
  readonly shared: boolean;
  readonly #asked = new Map<number, Asked>();
  #worker: Worker | undefined;
  #serials = 0;

  constructor({ path, shared = false }: FilesystemOptions) {
    this.path = resolve(path);
    this.shared = shared;
  }

  /** One with a thread of its own: each runtime has one, and closes it. */
  own(): FilesystemPersister {
    return new FilesystemPersister(this);
  }

  async init(partition: string): Promise<void> {
    await this.#ask({ t: "init", partition });
  }

  load(partition: string): Promise<Uint8Array | undefined> {
    return this.#ask({ t: "load", partition });
  }

  async store(partition: string, bytes: Uint8Array): Promise<void> {
    const parts = [this.#ask({ t: "begin", partition })];
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      if (at > 0) await new Promise((go) => setImmediate(go));
      parts.push(this.#ask({ t: "piece", partition, bytes: copyOf(bytes.subarray(at, at + PIECE_BYTES)) }));
    }
    parts.push(this.#ask({ t: "finish", partition }));
    const failed = (await Promise.allSettled(parts)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }

  async append(partition: string, bytes: Uint8Array): Promise<void> {
    await this.#ask({ t: "append", partition, bytes: copyOf(bytes) });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #ask(request: FilesRequest): Promise<Uint8Array | undefined> {
    this.#worker ??= this.#started();
    const worker = this.#worker;
    const serial = ++this.#serials;
    return new Promise((answered, reject) => {
      worker.ref();
      this.#asked.set(serial, { worker, resolve: answered, reject });
      worker.postMessage({ serial, request });
    });
  }

  #started(): Worker {
    const config: FilesConfig = { path: this.path };
    const worker = new Worker(ENTRY, { workerData: config, name: "spillway-persister", execArgv: [] });
    let last: Error | undefined;
    worker.on("message", (answer: FromFiles) => this.#answered(worker, answer));
    worker.on("error", (error: Error) => {
      last = error;
    });
    worker.on("exit", (code) => this.#gone(worker, last ?? new Error(`its thread ended with code ${code}`)));
    return worker;
  }

  #answered(worker: Worker, answer: FromFiles): void {
    const asked = this.#asked.get(answer.serial);
    this.#asked.delete(answer.serial);
    if (this.#asked.size === 0) worker.unref();
    if ("problem" in answer) asked?.reject(new Error(answer.problem));
    else asked?.resolve(answer.bytes);
  }

  #gone(worker: Worker, error: Error): void {
    if (this.#worker === worker) this.#worker = undefined;
    for (const [serial, asked] of this.#asked) {
      if (asked.worker !== worker) continue;
      this.#asked.delete(serial);
      asked.reject(error);
    }
  }
}

/** A message would take the whole of what lies under a view along. */
const copyOf = (bytes: Uint8Array) => new Uint8Array(bytes);

/**
 * Keeps marks and pauses (on RabbitMQ queue keys too) in a folder. On RabbitMQ it must be one that every node sees.
 * @throws InvalidOptions
 */
export function filesystem(options: FilesystemOptions): FilesystemPersister {
  const problems = unknownKeys(options, ["path", "shared"], "filesystem.");
  const { path, shared } = (options ?? {}) as Partial<FilesystemOptions>;
  if (typeof path !== "string" || path === "") problems.push("filesystem.path: expected a folder");
  if (shared !== undefined && typeof shared !== "boolean")
    problems.push("filesystem.shared: expected true or false");
  if (problems.length > 0) throw new InvalidOptions(problems);
  return new FilesystemPersister(options);
}
