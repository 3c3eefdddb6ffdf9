/**
 * What is seen while it runs: a line for each thing that happens, with its second, and below them how things stand.
 *
 * Owns the last line of the terminal, which is redrawn; elsewhere there are the lines only, plain.
 */
import { styleText } from "node:util";

const FRAME_MS = 250;

export class Screen {
  constructor(stream) {
    this.stream = stream;
    this.live = stream.isTTY === true && process.env.TERM !== "dumb";
    this.colour = this.live && process.env.NO_COLOR === undefined;
    this.columns = Math.max(60, Math.min(this.live ? stream.columns || 80 : 80, 120));
    this.zero = Date.now();
  }

  /** `format` as in util.styleText; plain where nobody would see it. */
  paint(format, text) {
    return this.colour ? styleText(format, text) : text;
  }

  /** Lines that stay. */
  print(text = "") {
    this.#wipe();
    this.stream.write(`${text}\n`);
    this.#draw();
  }

  /** Something has happened, now or at a moment that is known better. */
  event(colour, what, text, at = Date.now()) {
    this.print(`  ${seconds(at - this.zero)}  ${this.paint(colour, what.padEnd(8))} ${text}`);
  }

  /** From now on the last line is what `status` says. */
  begin(status) {
    if (!this.live) return;
    this.status = status;
    this.stream.write("\x1b[?25l");
    this.timer = setInterval(() => this.#draw(), FRAME_MS);
    this.timer.unref();
  }

  end() {
    if (this.timer === undefined) return;
    clearInterval(this.timer);
    this.#wipe();
    this.timer = undefined;
    this.stream.write("\x1b[?25h");
  }

  #wipe() {
    if (this.timer !== undefined) this.stream.write("\r\x1b[2K");
  }

  #draw() {
    if (this.timer === undefined) return;
    const text = `  ${seconds(Date.now() - this.zero)}  ${this.status()}`.slice(0, this.columns - 1);
    this.stream.write(`\r\x1b[2K${this.paint("dim", text)}`);
  }
}

export const seconds = (ms) => `${(ms / 1_000).toFixed(1).padStart(6)} s`;
