/**
 * SIGINT and SIGTERM while a command runs in the foreground.
 *
 * Owns the process's listeners from its making to `close`, and keeps the process alive as long: timers and idle threads of a
 * node do not, nor does anything between two lives of the last worker. The first signal is what the command waits for; those
 * that follow are answered with a line, and change nothing.
 */
import type { Terminal } from "./terminal.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
const KEEP_ALIVE_MS = 2 ** 30;
export type Signal = (typeof SIGNALS)[number];

/** SIGINT and SIGTERM, from before the start to the end. */
export class Signals {
  readonly first: Promise<Signal>;
  seen = false;
  #resolve: (signal: Signal) => void = () => {};
  readonly #terminal: Terminal;
  readonly #meanwhile: string;
  readonly #alive = setInterval(() => {}, KEEP_ALIVE_MS);

  /** `meanwhile`: what is still done, for whoever asks a second time. */
  constructor(terminal: Terminal, meanwhile: string) {
    this.#terminal = terminal;
    this.#meanwhile = meanwhile;
    this.first = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const signal of SIGNALS) process.on(signal, this.#on);
  }

  readonly #on = (signal: Signal): void => {
    const again = this.seen;
    this.seen = true;
    this.#terminal.line(again ? `${signal}: already stopping; ${this.#meanwhile}` : `${signal}: stopping`);
    this.#terminal.record({ type: again ? "stopping.already" : "stopping", at: Date.now(), signal });
    this.#resolve(signal);
  };

  close(): void {
    clearInterval(this.#alive);
    for (const signal of SIGNALS) process.off(signal, this.#on);
  }
}
