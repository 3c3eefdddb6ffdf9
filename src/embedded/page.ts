/**
 * Plain jobs of one queue and one commit: what the store keeps as one row of its journal.
 *
 * Owns the rule which jobs are plain: those that nobody will look for by a key or an id of his own, that are due at once, and
 * that go from memory to whoever takes them. Everything else is indexed. Numbers and places of a page's jobs follow each
 * other, so a page ends where another job of its queue gets in between.
 */
import type { PublishOptions } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { EmbeddedLane } from "./embedded-lane.ts";
import type { PlainRow } from "./store/protocol.ts";
import { INLINE_CHARACTERS } from "./store/schema.ts";
import { PAGE_CHARACTERS, PAGE_JOBS } from "./tuning.ts";

/** As long as `newId` makes them: a plain job's id has this length, so no other id can be one. */
export const ID_LENGTH = 27;

export class Page {
  readonly envelopes: Envelope[] = [];
  readonly texts: string[] = [];
  characters = 0;
  /** Number of its first job; −1 until the page is sealed. */
  seq = -1;
  /** Place of its first job; known when the batch is sent. */
  first = 0;
  constructor(
    readonly lane: EmbeddedLane,
    /** So many indexed jobs of its batch stand before it. */
    readonly before: number,
  ) {}

  get full(): boolean {
    return this.envelopes.length >= PAGE_JOBS || this.characters >= PAGE_CHARACTERS;
  }

  add(envelope: Envelope, text: string): void {
    this.envelopes.push(envelope);
    this.texts.push(text);
    this.characters += text.length;
  }

  toRow(): PlainRow {
    const { seq, lane, first, envelopes, texts } = this;
    return { seq, lane: lane.number, first, count: envelopes.length, body: texts.join("\n") };
  }
}

/** Whether a job needs no index; of its lane and its text more is asked (`isKept`, `isShort`). */
export function isPlain(envelope: Envelope, options: PublishOptions | undefined): boolean {
  return (
    options?.fresh === true &&
    options.dueAt === undefined &&
    envelope.queueKey === undefined &&
    envelope.executionKey === undefined &&
    envelope.attempt === 0 &&
    envelope.id.length === ID_LENGTH
  );
}

/** Two lines, short enough to stand beside others. */
export function isShort(envelope: Envelope, text: string): boolean {
  return text.length <= INLINE_CHARACTERS && !envelope.argsText.includes("\n");
}
