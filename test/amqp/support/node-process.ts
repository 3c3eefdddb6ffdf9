/**
 * A node in a process of its own, for what a test kills: what it tells, and how it ends.
 *
 * Owns the process until somebody ends it: a test says so when it is over, by `kill` or `stop`. What is waited for and was
 * not told when the process ends is an error.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What a fixture says on its channel; each has a type. */
export interface Told {
  readonly type: string;
  readonly other?: string;
  readonly id?: string;
}

/** What every fixture reads from its command line. */
export interface Given {
  readonly url: string;
  readonly prefix: string;
  readonly name: string;
}

export class NodeProcess<T extends { readonly type: string } = Told> {
  readonly told: T[] = [];
  /** The signal that ended it, or `code N`. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #listeners = new Set<(message: T) => void>();

  /** Runs a file of `test/amqp/fixtures`. */
  constructor(fixture: string, given: Given) {
    const file = fileURLToPath(new URL(`../fixtures/${fixture}`, import.meta.url));
    this.#child = fork(file, [JSON.stringify(given)]);
    this.#child.on("message", (message) => {
      this.told.push(message as T);
      for (const listener of [...this.#listeners]) listener(message as T);
    });
    this.ended = new Promise((resolve) =>
      this.#child.once("exit", (code, signal) => resolve(signal ?? `code ${code}`)),
    );
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Hears all that it tells from now on. */
  listen(listener: (message: T) => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves with the first message that fits, one that has been told included. */
  async hears(type: T["type"], fits: (message: T) => boolean = () => true): Promise<void> {
    await this.until(() => this.told.some((one) => one.type === type && fits(one)));
  }

  /** Resolves when this holds after something that it has told, or holds already. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!holds()) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
      void this.ended.then((how) => reject(new Error(`it ended (${how}) before it told that`)));
      look();
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  /** In order: a fixture stops its node when its channel is closed. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.ended;
  }
}
