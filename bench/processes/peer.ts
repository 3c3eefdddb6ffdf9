/**
 * A process beside the bench, that runs a file of this folder and does what it is told.
 *
 * Owns the process until `stop` or `kill`, and kills it when the bench exits: one that was frozen would stay for ever.
 * What was asked of one that has ended rejects.
 */
import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { fileURLToPath } from "node:url";

/** What a peer says unasked. `at`: on the clock that all processes of the machine share. */
export interface Told {
  readonly event: string;
  readonly epoch?: number;
  readonly at?: number;
}

interface Answer {
  readonly serial: number;
  readonly value?: unknown;
  readonly error?: string;
}

interface Asked {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** That clock, in milliseconds: a child's `hrtime` and ours have one origin. */
export const sharedNow = (): number => Number(process.hrtime.bigint()) / 1e6;

const STOP_MS = 10_000;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Peer {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, Asked>();
  readonly #told = new EventEmitter();
  readonly #exited: Promise<unknown>;
  #serial = 0;

  private constructor(file: string, options: object) {
    const path = fileURLToPath(new URL(`./${file}.mjs`, import.meta.url));
    // without our own options: what it runs is compiled already, and loaded as users load it
    this.#child = fork(path, [JSON.stringify(options)], { execArgv: [], stdio: ["ignore", 2, 2, "ipc"] });
    this.#exited = once(this.#child, "exit");
    running.add(this.#child);
    this.#child.on("message", (message: Answer | Told) => this.#heard(message));
    this.#child.once("exit", () => this.#ended(file));
  }

  /** Resolves when it can be asked. */
  static async start(file: string, options: object, onTold: (told: Told) => void = () => {}): Promise<Peer> {
    const peer = new Peer(file, options);
    peer.#told.on("told", onTold);
    await new Promise<void>((resolve, reject) => {
      peer.#asked.set(0, { resolve: () => resolve(), reject });
      peer.#told.once("told", () => {
        peer.#asked.delete(0);
        resolve();
      });
    });
    return peer;
  }

  ask(command: string, args?: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const serial = ++this.#serial;
      this.#asked.set(serial, { resolve, reject });
      this.#child.send({ serial, command, args }, (error) => error !== null && reject(error));
    });
  }

  signal(signal: "SIGKILL" | "SIGSTOP"): void {
    this.#child.kill(signal);
  }

  /** Frozen or not. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  /** In order, or by force after a while. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const late = setTimeout(() => void this.#child.kill("SIGKILL"), STOP_MS);
    await this.ask("stop").catch(() => {}); // it is killed all the same
    if (this.#child.connected) this.#child.disconnect();
    await this.#exited;
    clearTimeout(late);
  }

  #heard(message: Answer | Told): void {
    if ("event" in message) return void this.#told.emit("told", message);
    const asked = this.#asked.get(message.serial);
    this.#asked.delete(message.serial);
    if (message.error === undefined) asked?.resolve(message.value);
    else asked?.reject(new Error(message.error));
  }

  #ended(file: string): void {
    running.delete(this.#child);
    const { exitCode, signalCode } = this.#child;
    const error = new Error(`the process of processes/${file}.mjs has ended: ${signalCode ?? exitCode}`);
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
  }
}
