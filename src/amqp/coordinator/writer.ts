/**
 * Writes the journal of one term: changes in groups, snapshots in slices, and nothing older than it takes.
 *
 * Owns the changes that wait for their record, and when the journal is compacted: by number, by size, and by time, since
 * the broker takes back what is held for long. Changes go on while a snapshot is written. It names the sequence at which
 * it began, and what follows from there on is applied after it: so changes must be absolute ("this key is that id's"),
 * and whoever makes them applies them before `append`, or as soon as it resolves. Ends with its tape.
 */
import type { Clock } from "../../kernel/types.ts";
import { type Base, changesBytes, type Head, NOTHING, sliceBytes } from "./records.ts";
import type { Change } from "./requests.ts";
import type { Tape } from "./tape.ts";

export interface JournalLimits {
  /** Records since the snapshot that make a new one worth while, if they are larger than it. */
  readonly compactAt: number;
  /** The same in bytes. */
  readonly compactAtBytes: number;
  /** That make one, whatever its size. */
  readonly compactAtLatest: number;
  /** From so many records in the journal on changes wait; the rest of 20,000 is room for the snapshot's slices. */
  readonly most: number;
  readonly everyMs: number;
  /** Of a record; a single `append` that is larger is one record all the same. */
  readonly recordBytes: number;
  /** Of the event loop, at a time, for a snapshot; the writing of a full record comes on top. */
  readonly turnMs: number;
}

export const JOURNAL_LIMITS: JournalLimits = {
  compactAt: 10_000,
  compactAtBytes: 32 * 1024 * 1024,
  compactAtLatest: 15_000,
  most: 19_000,
  everyMs: 10 * 60_000,
  recordBytes: 256 * 1024,
  turnMs: 5,
};

export interface WriterParts {
  readonly tape: Tape;
  readonly clock: Clock;
  readonly head: Head;
  readonly limits: JournalLimits;
  readonly snapshot: () => Iterable<readonly Change[]>;
  /** What a snapshot has replaced. */
  readonly letGo: (tags: readonly number[]) => void;
  readonly failed: (error: Error) => void;
}

interface Waiting {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Slices on the way, at most. */
const WINDOW = 8;

export class Writer {
  readonly #parts: WriterParts;
  #waiting: Waiting[] = [];
  /** Sequences of records with changes that are on the way, in order. One, but while a snapshot is written. */
  readonly #onTheWay = new Set<number>();
  #compaction: Promise<void> | undefined;
  #stopTimer: () => void = () => {};
  /** Of the newest complete snapshot: where its changes begin, how many slices it has, how large they are. */
  #from = 1;
  #slices = 0;
  #sliceBytes = 0;
  #changeBytes = 0;
  #error: Error | undefined;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /** The snapshot that opens the epoch. */
  open(base: Base): Promise<void> {
    return this.#snapshot(base);
  }

  append(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      const text = changes.map((change) => JSON.stringify(change)).join(",");
      this.#waiting.push({ text, resolve, reject });
      this.#flush();
    });
  }

  /** One at a time; never rejects: where it cannot be done the term ends. */
  compact(): Promise<void> {
    this.#compaction ??= this.#compacted();
    return this.#compaction;
  }

  end(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#stopTimer();
    this.#parts.tape.end(error);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  /** What comes while a record is on the way goes into the next. */
  #flush(): void {
    const { tape, limits } = this.#parts;
    if (this.#onTheWay.size > 0 || this.#waiting.length === 0 || this.#error !== undefined) return;
    if (tape.size < limits.most) this.#writeGroup();
  }

  #writeGroup(): void {
    const { tape, head } = this.#parts;
    const group = this.#group();
    const texts = group.map(({ text }) => text);
    const at = tape.next;
    this.#onTheWay.add(at);
    tape
      .write((seq) => this.#counted(changesBytes(head, seq, texts)))
      .then(
        () => this.#written(at, group),
        (error: Error) => {
          for (const waiting of group) waiting.reject(error);
        },
      );
  }

  #group(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { text } of this.#waiting) {
      bytes += Buffer.byteLength(text) + 1;
      if (count > 0 && bytes > this.#parts.limits.recordBytes) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  #counted(bytes: Buffer): Buffer {
    this.#changeBytes += bytes.length;
    return bytes;
  }

  #written(seq: number, group: readonly Waiting[]): void {
    this.#onTheWay.delete(seq);
    for (const { resolve } of group) resolve();
    if (this.#error !== undefined) return;
    this.#flush();
    if (this.#isDue()) void this.compact();
  }

  #isDue(): boolean {
    const { tape, limits } = this.#parts;
    const records = tape.next - this.#from - this.#slices;
    if (records >= limits.compactAtLatest || tape.size >= limits.most) return true;
    const many = records >= limits.compactAt || this.#changeBytes >= limits.compactAtBytes;
    return many && this.#changeBytes > this.#sliceBytes;
  }

  async #compacted(): Promise<void> {
    try {
      await this.#turn(); // whoever was told of a stored change has applied it by then
      await this.#snapshot(NOTHING);
    } catch (error) {
      if (this.#error === undefined) this.#parts.failed(error as Error);
    } finally {
      this.#compaction = undefined;
    }
    this.#flush();
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.turn(resolve));
  }

  async #snapshot(base: Base): Promise<void> {
    const { tape, letGo, clock, limits } = this.#parts;
    // a record on the way may not be in the state that is read now
    const [oldest] = this.#onTheWay;
    const from = oldest ?? tape.next;
    this.#changeBytes = 0;
    const { slices, bytes } = await this.#writeSlices(from, base);
    if (this.#error !== undefined) throw this.#error;
    this.#from = from;
    this.#slices = slices;
    this.#sliceBytes = bytes;
    letGo(tape.letGoBefore(from));
    this.#stopTimer();
    this.#stopTimer = clock.timer(limits.everyMs, () => void this.compact());
  }

  /** Resolves when all are stored: only then is anything older let go of. */
  async #writeSlices(from: number, base: Base): Promise<{ slices: number; bytes: number }> {
    const { tape, head, snapshot, clock, limits } = this.#parts;
    const slices: Promise<void>[] = [];
    let texts: string[] = [];
    let [size, bytes] = [0, 0];
    const write = (last: boolean) => {
      // a snapshot may show a change that waits for its record: it never stands without that, and those before it
      while (this.#waiting.length > 0) this.#writeGroup();
      const written = tape.write((seq) => sliceBytes(head, seq, { from, last, base }, texts));
      written.catch(() => {}); // all are awaited below
      slices.push(written);
      bytes += size;
      [texts, size] = [[], 0];
    };
    let began = clock.now();
    for (const changes of snapshot()) {
      for (const change of changes) {
        const text = JSON.stringify(change);
        const more = Buffer.byteLength(text) + 1;
        const isFull = size > 0 && size + more > limits.recordBytes;
        if (isFull) {
          write(false);
          await slices.at(-WINDOW);
        }
        texts.push(text);
        size += more;
        if (!isFull && clock.now() - began < limits.turnMs) continue;
        await this.#turn();
        if (this.#error !== undefined) throw this.#error;
        began = clock.now();
      }
    }
    write(true);
    await Promise.all(slices);
    return { slices: slices.length, bytes };
  }
}
