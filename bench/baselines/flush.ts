/**
 * What the disk takes for one durable write: 4 KiB and `fdatasync`, nothing else.
 *
 * Owns one file, written over in place, as a write-ahead log is once it has its size.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";

const BLOCK = 4_096;
const BLOCKS = 256;

export class FlushProbe {
  readonly #file: number;
  readonly #block = Buffer.alloc(BLOCK, 1);
  #next = 0;

  constructor(path: string) {
    this.#file = openSync(path, "w");
    for (let block = 0; block < BLOCKS; block++) writeSync(this.#file, this.#block, 0, BLOCK, block * BLOCK);
    fdatasyncSync(this.#file);
  }

  flushMs(): number {
    const before = performance.now();
    writeSync(this.#file, this.#block, 0, BLOCK, this.#next * BLOCK);
    fdatasyncSync(this.#file);
    this.#next = (this.#next + 1) % BLOCKS;
    return performance.now() - before;
  }

  close(): void {
    closeSync(this.#file);
  }
}
