/**
 * The memory limit of a child process: all of its memory, V8's heaps, buffers and what native code has taken.
 *
 * Owns one timer while a body runs. It looks once a second, and more often the nearer the limit is: at 2 GB a second it
 * would still be seen in time. A body above the limit goes down the kill ladder without grace; its process goes with it,
 * so the memory is given back whatever holds it.
 */
const LOOK_EVERY_MS = 1_000;
const LOOK_AT_MOST_EVERY_MS = 10;
const BYTES_A_MS = 2_000_000;

export class MemoryWatch {
  readonly #limitBytes: number;
  readonly #over: (because: string) => void;
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(limitBytes: number, over: (because: string) => void) {
    this.#limitBytes = limitBytes;
    this.#over = over;
  }

  /** A body runs from now on, until `end`. */
  begin(): void {
    const bytes = process.memoryUsage.rss();
    const left = this.#limitBytes - bytes;
    if (left < 0)
      this.#over(`${megabytes(bytes)} in its process, the limit is ${megabytes(this.#limitBytes)}`);
    // Again even then: what it was told about may have been the end of the body before.
    const ms = Math.min(LOOK_EVERY_MS, Math.max(LOOK_AT_MOST_EVERY_MS, left / BYTES_A_MS));
    this.#timer = setTimeout(() => this.begin(), ms);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MB`;
