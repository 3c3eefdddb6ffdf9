/**
 * Marks and pauses of a broker of one process, kept by a persister; with `"none"` by nobody.
 *
 * Owns them, partition by partition, from the first time that one is needed. What the broker has itself from a time before
 * the persister is taken over once: when that has never stored anything. After a failure a partition is loaded anew before
 * anything else is done: nobody knows what has been stored.
 */
import type { QueueRef } from "../broker/contract.ts";
import type { Persister } from "../broker/persister.ts";
import { toError } from "../kernel/exit.ts";
import type { Clock } from "../kernel/types.ts";
import { closePersister } from "../persist/close.ts";
import type { KeptChange } from "../persist/lines.ts";
import { Vault } from "../persist/vault.ts";
import type { Keeping, PausableLane } from "./keeping.ts";
import { Marks } from "./marks.ts";

export interface PersistedParts {
  readonly persister: Persister | "none";
  readonly clock: Clock;
  /** The queues of a partition that are there. */
  readonly lanes: (partition: string) => readonly PausableLane[];
  /** What the broker has kept itself. */
  readonly own: (partition: string) => {
    readonly marks: ReadonlyMap<string, number>;
    readonly paused: readonly string[];
  };
}

/** The words are those of RabbitMQ's coordinator: a partition may move there with its state. */
type Change =
  | { readonly c: "mark"; readonly id: string; readonly at: number }
  | { readonly c: "unmark"; readonly ids: readonly string[] }
  | { readonly c: "pause"; readonly queue: string; readonly paused: boolean };

interface Book {
  paused: Set<string>;
  readonly vault: Vault | undefined;
  /** Under way, or done. */
  loaded: Promise<void> | undefined;
}

export class PersistedKeeping implements Keeping {
  readonly #parts: PersistedParts;
  readonly #books = new Map<string, Book>();
  readonly #marks = new Marks();

  constructor(parts: PersistedParts) {
    this.#parts = parts;
  }

  async ready(partition: string): Promise<void> {
    await this.#book(partition);
    this.shown();
  }

  isMarked(partition: string, id: string): boolean {
    return this.#marks.has(partition, id);
  }

  async mark(partition: string, id: string): Promise<void> {
    const { clock } = this.#parts;
    await this.#book(partition);
    if (this.#marks.has(partition, id)) return;
    const at = clock.now();
    this.#marks.add(partition, id, at);
    await this.#keep(partition, { c: "mark", id, at });
  }

  async unmark(partition: string, id: string): Promise<void> {
    await this.#book(partition);
    if (!this.#marks.has(partition, id)) return;
    this.#marks.delete(partition, id);
    await this.#keep(partition, { c: "unmark", ids: [id] });
  }

  /** A pause holds at once, a resume when it is durable. */
  async setPaused({ partition, queue }: QueueRef, isPaused: boolean): Promise<void> {
    const { paused } = await this.#book(partition);
    const lane = this.#parts.lanes(partition).find(({ ref }) => ref.queue === queue);
    if (isPaused && lane !== undefined) lane.paused = true;
    if (paused.has(queue) !== isPaused) {
      if (isPaused) paused.add(queue);
      else paused.delete(queue);
      await this.#keep(partition, { c: "pause", queue, paused: isPaused });
    }
    if (lane !== undefined) show(lane, paused.has(queue));
  }

  /** The lanes were made anew from what the broker has itself. */
  shown(): void {
    for (const [partition, { paused }] of this.#books)
      for (const lane of this.#parts.lanes(partition)) show(lane, paused.has(lane.ref.queue));
  }

  async close(): Promise<void> {
    const { persister, clock } = this.#parts;
    await Promise.all([...this.#books.values()].map(({ vault }) => vault?.idle()));
    await closePersister(persister, clock);
  }

  /** What it holds is what the persister has. @throws PersisterFailed */
  async #book(partition: string): Promise<Book> {
    const book = this.#books.get(partition) ?? this.#made(partition);
    this.#books.set(partition, book);
    const loading = book.loaded ?? this.#load(partition, book);
    book.loaded = loading;
    await loading.catch((error: unknown) => {
      if (book.loaded === loading) book.loaded = undefined;
      throw error;
    });
    return book;
  }

  #made(partition: string): Book {
    const { persister, clock } = this.#parts;
    const snapshot = () => snapshotOf(this.#marks.of(partition), book.paused);
    const vault = persister === "none" ? undefined : new Vault({ partition, persister, clock, snapshot });
    const book: Book = { paused: new Set(), vault, loaded: undefined };
    return book;
  }

  /** What was known before holds until all of it is there. */
  async #load(partition: string, book: Book): Promise<void> {
    const { vault } = book;
    if (vault === undefined) return;
    const marks = new Map<string, number>();
    const paused = new Set<string>();
    const found = await vault.load((change) => apply(marks, paused, change as Change));
    if (found === undefined) {
      const own = this.#parts.own(partition);
      for (const [id, at] of own.marks) marks.set(id, at);
      for (const queue of own.paused) paused.add(queue);
    }
    this.#marks.replace(partition, marks);
    book.paused = paused;
    await vault.begin(0);
  }

  /** Where it fails, the change is taken back, and what the persister has is read before anything else is done. */
  async #keep(partition: string, change: Change): Promise<void> {
    const book = this.#books.get(partition);
    const loaded = book?.loaded;
    try {
      await book?.vault?.append([change]);
    } catch (error) {
      if (book !== undefined) this.#takeBack(partition, book, change);
      if (book !== undefined && book.loaded === loaded) book.loaded = undefined;
      throw toError(error);
    }
  }

  #takeBack(partition: string, book: Book, m: Change): void {
    if (m.c === "mark") this.#marks.delete(partition, m.id);
    if (m.c === "pause") {
      if (m.paused) book.paused.delete(m.queue);
      else book.paused.add(m.queue);
      for (const lane of this.#parts.lanes(partition)) show(lane, book.paused.has(lane.ref.queue));
    }
  }
}

function apply(marks: Map<string, number>, paused: Set<string>, m: Change): void {
  switch (m.c) {
    case "mark":
      marks.set(m.id, m.at);
      return;
    case "unmark":
      for (const id of m.ids) marks.delete(id);
      return;
    case "pause":
      if (m.paused) paused.add(m.queue);
      else paused.delete(m.queue);
      return;
    default:
      throw new Error(`it holds "${(m as KeptChange).c}", which this broker would drop`);
  }
}

function show(lane: PausableLane, paused: boolean): void {
  const isNew = lane.paused !== paused;
  lane.paused = paused;
  if (isNew || !paused) lane.outlet.wake();
}

function* snapshotOf(
  marks: ReadonlyMap<string, number>,
  paused: ReadonlySet<string>,
): Generator<readonly Change[]> {
  for (const queue of paused) yield [{ c: "pause", queue, paused: true }];
  for (const [id, at] of marks) yield [{ c: "mark", id, at }];
}
