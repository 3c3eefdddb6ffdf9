/**
 * Valid envelopes out of a seed, for the codec's tests: every field at its limits now and then.
 *
 * Owns a small seeded generator (mulberry32), so that 10⁶ inputs are made in seconds and any of them again.
 */
import { Envelope, type FailureKind, type HistoryEntry } from "../../src/jobs/envelope.ts";
import { HISTORY_BYTES_MAX, historyBytes } from "../../src/jobs/history.ts";

export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** 0 ≤ x < 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  /** A whole number, 0 … `below` - 1. */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }
  chance(share: number): boolean {
    return this.next() < share;
  }
  pick<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new Error("picked from an empty list");
    return item;
  }
  text(characters: readonly string[], least: number, most: number): string {
    let text = "";
    for (let left = least + this.below(most - least + 1); left > 0; left--) text += this.pick(characters);
    return text;
  }
}

const NAME = [..."abcxyzABCXYZ0189_-"];
const KEY = [..."abc:/ \"\\{}[],'%é日😀  "];
const LOOSE = [...KEY, "\n", "\u0000", "\ud800", "\udfff", "\u007f", "\t"];
const KINDS: readonly FailureKind[] = ["error", "timeout", "crash", "memory", "exit", "result", "cancelled"];
const COUNTS = [0, 0, 0, 1, 2, 77, 2 ** 31 - 1];
const TIMES = [0, 1, 1_700_000_000_000, 8.64e15];
const ARGS = [
  "null",
  "{}",
  "[]",
  "1",
  '{"id":17,"name":"größe 😀"}',
  `"${"x".repeat(300)}"`,
  '{"v":1}',
  "no json",
];

/** One valid envelope; what it holds survives the wire. */
export function envelopeFrom(random: Random): Envelope {
  return new Envelope({
    id: random.text(KEY, 1, 40),
    job: random.text(KEY, 1, random.chance(0.05) ? 32 : 12),
    partition: random.text(NAME, 1, random.chance(0.1) ? 64 : 8),
    queue: random.text(NAME, 1, random.chance(0.1) ? 64 : 8),
    queueKey: random.chance(0.4) ? random.text(KEY, 1, 60) : undefined,
    executionKey: random.chance(0.4) ? random.text(KEY, 1, 60) : undefined,
    attempt: random.pick(COUNTS),
    hop: random.pick(COUNTS),
    levels: random.chance(0.3)
      ? Array.from({ length: random.below(65) }, () => 1 + random.below(2000))
      : undefined,
    history: historyFrom(random),
    maxExecutionTimeMs: random.pick([...TIMES, Number.MAX_SAFE_INTEGER]),
    enqueuedAt: random.pick(TIMES),
    startedAt: random.pick(TIMES),
    replyTo: random.chance(0.2) ? random.text(NAME, 1, 40) : undefined,
    trace: random.chance(0.2) ? random.text(KEY, 1, 300) : undefined,
    argsText: random.pick(ARGS),
  });
}

function historyFrom(random: Random): readonly HistoryEntry[] {
  const history = Array.from({ length: random.chance(0.3) ? random.below(6) : 0 }, (): HistoryEntry => {
    const entry = { attempt: random.pick(COUNTS), at: random.pick(TIMES), kind: random.pick(KINDS) };
    const message = random.text(LOOSE, 0, 60);
    return random.chance(0.5)
      ? { ...entry, message }
      : { ...entry, message, stack: random.text(LOOSE, 0, 400) };
  });
  return historyBytes(history) > HISTORY_BYTES_MAX ? [] : history;
}

const TOKENS = [
  ...'{}[]",:\\\n0159-. ',
  "null",
  "1e400",
  "-0",
  "-1",
  "1.5",
  '"__proto__":{"id":"x"},',
  '"id":"other",',
  '"v":2',
  "\u0000",
  "\ud800",
  "\ufeff",
  "\u2028",
  "99999999999999999999",
  '"hop":"1"',
  "true",
];

/** The message, damaged in 1 to 4 places: cut, doubled, overwritten, swapped, sprinkled with what hurts parsers. */
export function mutated(random: Random, message: string): string {
  let text = message;
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(text.length + 1);
    const length = random.below(random.chance(0.2) ? 60 : 4);
    const part = text.slice(at, at + length);
    const rest = text.slice(at + length);
    switch (random.below(6)) {
      case 0:
        text = text.slice(0, at) + rest;
        break;
      case 1:
        text = text.slice(0, at) + part + part + rest;
        break;
      case 2:
        text = text.slice(0, at) + random.pick(TOKENS) + rest;
        break;
      case 3:
        text = text.slice(0, at) + random.pick(TOKENS) + part + rest;
        break;
      case 4:
        text = text.slice(0, at) + String.fromCharCode(random.below(0x10000)) + rest;
        break;
      default:
        text = text.slice(0, at) + rest + part;
    }
  }
  return text;
}

/** The same on bytes: flips, cuts, and bytes that are no UTF-8. */
export function mutatedBytes(random: Random, message: string): Uint8Array {
  let bytes = Buffer.from(message);
  for (let left = 1 + random.below(3); left > 0 && bytes.length > 0; left--) {
    const at = random.below(bytes.length);
    if (random.chance(0.2))
      bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.below(9))]);
    else if (random.chance(0.5)) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    else bytes[at] = random.pick([0, 10, 34, 0x80, 0xc0, 0xed, 0xf5, 0xff]);
  }
  return bytes;
}

/** Nothing like a message at all. */
export function noise(random: Random): Uint8Array {
  const bytes = new Uint8Array(random.below(200));
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.chance(0.1) ? 10 : random.below(256);
  return bytes;
}
