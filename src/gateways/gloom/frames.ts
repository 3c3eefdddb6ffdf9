/**
 * Gloom's frames: a length of 32 bits, big-endian, and so many bytes of JSON.
 *
 * Owns what came of a frame that is not whole yet: the pieces as they came, put together once, so that a large frame in
 * small pieces costs no more than its bytes. Memory follows what has come, never what a length promises.
 */

const HEADER_BYTES = 4;

/** What a reader found: a whole payload, or a length above the limit, after which nothing is to be read. */
export type Found = { readonly payload: Buffer } | { readonly tooLarge: number };

export class FrameReader {
  /** Most bytes of a payload; may be changed between two frames. */
  limit: number;
  #pieces: Buffer[] = [];
  #held = 0;
  /** Bytes until there is something to look at: a header, or a payload. */
  #wanted = HEADER_BYTES;
  #inPayload = false;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes of a frame that is not whole. */
  get held(): number {
    return this.#held;
  }

  /** Gives each whole frame to `found`, in order, for as long as that returns true. */
  push(chunk: Buffer, found: (frame: Found) => boolean): void {
    let rest = chunk;
    while (this.#held + rest.length >= this.#wanted) {
      const missing = this.#wanted - this.#held;
      const whole = this.#whole(rest.subarray(0, missing));
      rest = rest.subarray(missing);
      if (!this.#next(whole, found)) return;
    }
    if (rest.length === 0) return;
    this.#pieces.push(rest);
    this.#held += rest.length;
  }

  #whole(last: Buffer): Buffer {
    if (this.#pieces.length === 0) return last;
    this.#pieces.push(last);
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#held = 0;
    return whole;
  }

  /** Turns from a header to its payload, or the other way; false = read no further. */
  #next(bytes: Buffer, found: (frame: Found) => boolean): boolean {
    if (this.#inPayload) {
      this.#inPayload = false;
      this.#wanted = HEADER_BYTES;
      return found({ payload: bytes });
    }
    const length = bytes.readUInt32BE(0);
    if (length > this.limit) {
      found({ tooLarge: length });
      return false;
    }
    this.#inPayload = true;
    this.#wanted = length;
    return true;
  }
}

/** A frame of this JSON text. */
export function frameOf(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.writeUInt32BE(length, 0);
  frame.write(text, HEADER_BYTES);
  return frame;
}
