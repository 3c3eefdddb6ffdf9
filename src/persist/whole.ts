/**
 * The whole of a partition's state as the bytes that a persister stores, made in slices of the event loop's time.
 *
 * Owns nothing that lasts. The state may change while it is read; whoever reads it puts those changes behind it.
 */
import type { Clock } from "../kernel/types.ts";
import { endLine, type Head, headLine, type KeptChange, sliceLine } from "./lines.ts";

export interface WholeParts {
  readonly clock: Clock;
  readonly head: Head;
  readonly snapshot: () => Iterable<readonly KeptChange[]>;
  readonly turnMs: number;
}

/** Of a line; small ones can be checked, and written, in a fraction of a millisecond. */
const LINE_BYTES = 128 * 1024;
/** Copied between two turns. */
const COPIED_AT_ONCE = 1024 * 1024;

/** Lines that are put together at the end, so that no moment has to hold still for all of them. */
export class Whole {
  readonly #clock: Clock;
  readonly #lines: Buffer[] = [];
  #size = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  push(line: Buffer): void {
    this.#lines.push(line);
    this.#size += line.length;
  }

  async joined(): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(this.#size);
    let [at, copied] = [0, 0];
    for (const line of this.#lines.splice(0)) {
      line.copy(bytes, at);
      at += line.length;
      copied += line.length;
      if (copied < COPIED_AT_ONCE) continue;
      copied = 0;
      await turn(this.#clock);
    }
    return bytes;
  }
}

/** Head, slices and end. */
export async function gather({ clock, head, snapshot, turnMs }: WholeParts): Promise<Whole> {
  const whole = new Whole(clock);
  whole.push(headLine(head));
  let texts: string[] = [];
  let [size, slices] = [0, 0];
  const cut = () => {
    whole.push(sliceLine(texts));
    slices += 1;
    [texts, size] = [[], 0];
  };
  let began = clock.now();
  for (const changes of snapshot()) {
    for (const change of changes) {
      const text = JSON.stringify(change);
      texts.push(text);
      size += text.length;
      if (size >= LINE_BYTES) cut();
      if (clock.now() - began < turnMs) continue;
      await turn(clock);
      began = clock.now();
    }
  }
  if (texts.length > 0) cut();
  whole.push(endLine(slices));
  return whole;
}

function turn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.turn(resolve));
}
