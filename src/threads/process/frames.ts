/**
 * A pipe cut into values: four bytes of length, then the value as V8 serializes it.
 *
 * Owns what has come of a frame that is not whole yet. Plain V8 serialization clones buffers, dates, maps and errors as
 * a thread's port does; what it can't take throws where it is written. What can't be read throws here and nowhere else.
 */
import { Deserializer, Serializer } from "node:v8";

const HEAD = 4;
/** Above any result's limit: a length like that is no length. */
const MOST_BYTES = 1 << 30;

/** @throws Error for a value that cannot be cloned. */
export function frame(value: unknown): Buffer {
  const serializer = new Serializer();
  serializer.writeRawBytes(Buffer.alloc(HEAD));
  serializer.writeHeader();
  serializer.writeValue(value);
  const bytes = serializer.releaseBuffer();
  bytes.writeUInt32LE(bytes.length - HEAD);
  return bytes;
}

export class Frames {
  #chunks: Buffer[] = [];
  #have = 0;
  /** Bytes that the frame at hand takes, its length included; `HEAD` while that is not known. */
  #wanted = HEAD;

  /** The values that have become whole. @throws Error for what is no frame. */
  *push(chunk: Buffer): Generator<unknown> {
    this.#chunks.push(chunk);
    this.#have += chunk.length;
    while (this.#have >= this.#wanted) {
      const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? chunk) : Buffer.concat(this.#chunks);
      const end = HEAD + all.readUInt32LE();
      if (end > MOST_BYTES) throw new Error(`a frame of ${end} bytes`);
      const whole = all.length >= end;
      this.#chunks = [whole ? all.subarray(end) : all];
      this.#have = whole ? all.length - end : all.length;
      this.#wanted = whole ? HEAD : end;
      if (whole) yield read(all.subarray(HEAD, end));
    }
  }
}

function read(bytes: Buffer): unknown {
  const deserializer = new Deserializer(bytes);
  deserializer.readHeader();
  return deserializer.readValue();
}
