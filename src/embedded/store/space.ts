/**
 * Room on the disk: refuses enqueues before it runs out, and keeps a ballast to give back when it does.
 *
 * Owns the file `ballast`. With a full disk even deletes fail, so the ballast is removed then and written
 * again when there is room; if it cannot be written the store works without.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Tuning } from "./protocol.ts";

const CHUNK_BYTES = 1 << 20;

export class Space {
  readonly #folder: string;
  readonly #ballast: string;
  readonly #tuning: Tuning;
  readonly #tell: (low: boolean, freeBytes: number) => void;
  #low = false;

  constructor(folder: string, tuning: Tuning, tell: (low: boolean, freeBytes: number) => void) {
    this.#folder = folder;
    this.#ballast = join(folder, "ballast");
    this.#tuning = tuning;
    this.#tell = tell;
  }

  /** Bytes free when enqueues are to be refused, else `undefined`. */
  refuse(): number | undefined {
    const free = this.#free();
    this.#note(free < this.#tuning.reserveBytes, free);
    return this.#low ? free : undefined;
  }

  /** The disk is full: gives the ballast back. Returns what is free now. */
  giveBack(): number {
    rmSync(this.#ballast, { force: true });
    const free = this.#free();
    this.#note(true, free);
    return free;
  }

  /** Every now and then: is there room again, and room for the ballast? */
  look(): void {
    const free = this.#free();
    if (this.#low) this.#note(free < this.#tuning.reserveBytes, free);
    if (this.#tuning.ballastBytes === 0 || existsSync(this.#ballast)) return;
    if (free >= this.#tuning.restoreBytes) this.#write();
  }

  /** Really written, in bytes that no file system stores as a hole. */
  #write(): void {
    const chunk = Buffer.alloc(
      CHUNK_BYTES,
      "spillway ballast: room to complete jobs when the disk is full\n",
    );
    let file: number | undefined;
    try {
      file = openSync(this.#ballast, "w");
      for (let left = this.#tuning.ballastBytes; left > 0; left -= CHUNK_BYTES) {
        writeSync(file, chunk, 0, Math.min(left, CHUNK_BYTES));
      }
      fsyncSync(file);
    } catch {
      rmSync(this.#ballast, { force: true });
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  #free(): number {
    const { bavail, bsize } = statfsSync(this.#folder);
    return bavail * bsize;
  }

  #note(low: boolean, free: number): void {
    if (low === this.#low) return;
    this.#low = low;
    this.#tell(low, free);
  }
}
