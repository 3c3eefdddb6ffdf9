/**
 * What is seen while it runs: a bar on a terminal, a plain line every tenth elsewhere; notes above it.
 *
 * Owns the last line of the terminal. The bar is redrawn ten times a second, and at the end stays where it is.
 */
import { styleText } from "node:util";

const FRAME_MS = 100;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const WIDEST = 40;

export class Screen {
  constructor(stream) {
    this.stream = stream;
    this.live = stream.isTTY === true && process.env.TERM !== "dumb";
    this.colour = this.live && process.env.NO_COLOR === undefined;
    this.done = 0;
    this.total = 0;
    this.tenth = 0;
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

  /** From now on there is a bar. */
  begin(done, total) {
    this.startedAt = performance.now();
    this.before = done;
    this.total = total;
    this.done = done;
    this.tenth = Math.floor((done * 10) / total);
    if (!this.live) return;
    this.stream.write("\x1b[?25l");
    this.timer = setInterval(() => this.#draw(), FRAME_MS);
    this.timer.unref();
    this.#draw();
  }

  progress(done) {
    this.done = done;
    if (this.live) return;
    const tenth = Math.floor((done * 10) / this.total);
    if (tenth <= this.tenth) return;
    this.tenth = tenth;
    this.stream.write(
      `  ${percent(done, this.total)}  ${count(done)} of ${count(this.total)}  ${this.#pace()}\n`,
    );
  }

  /** The bar stays as it is now. */
  end() {
    if (this.timer === undefined) return;
    clearInterval(this.timer);
    this.#draw();
    this.timer = undefined;
    this.stream.write("\n\x1b[?25h");
  }

  #wipe() {
    if (this.timer !== undefined) this.stream.write("\r\x1b[2K");
  }

  #draw() {
    if (this.timer === undefined) return;
    const columns = this.stream.columns || 80;
    const total = count(this.total);
    // Of one width from the first frame to the last, so that the bar does not change its own.
    const done = count(this.done).padStart(total.length);
    const text = `${percent(this.done, this.total)}  ${done} of ${total}  ${this.#pace()}`;
    const width = Math.min(WIDEST, columns - text.length - 5);
    const line = width < 8 ? text.slice(0, Math.max(0, columns - 1)) : `  ${this.#bar(width)} ${text}`;
    this.stream.write(`\r\x1b[2K${line}`);
  }

  #bar(width) {
    const filled = Math.min(width, (this.done / this.total) * width);
    const whole = Math.floor(filled);
    const part = EIGHTHS[Math.floor((filled - whole) * 8)];
    const rest = width - whole - part.length;
    return this.paint("cyan", "█".repeat(whole) + part) + this.paint("dim", "─".repeat(rest));
  }

  #pace() {
    const seconds = (performance.now() - this.startedAt) / 1000;
    const rate = seconds < 0.2 ? 0 : (this.done - this.before) / seconds;
    return `${count(Math.round(rate)).padStart(5)} jobs/s ${seconds.toFixed(1).padStart(6)} s`;
  }
}

export const count = (n) => n.toLocaleString("en-US");
const percent = (done, total) => `${Math.floor((done * 100) / total)} %`.padStart(5);
