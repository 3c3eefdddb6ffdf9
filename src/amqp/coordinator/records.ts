/**
 * What a message of the journal says: a record, as JSON `[kind, epoch, sequence, writer, …]`.
 *
 * Pure. Changes and slices of snapshots share the sequence of their epoch, so that a gap shows; `writer` tells two seats
 * apart that took the same epoch in a partition of the network. Markers stand outside of it. Reading is total: what is
 * none of ours reads as nothing, and where it took a number's place the gap shows.
 */
import type { Change } from "./requests.ts";

/** "Whatever was in the queue has come before this": published by a candidate, for itself. */
export interface Marker {
  readonly kind: "marker";
  readonly nonce: string;
}

/** The end of what an opening snapshot was made from: epoch and sequence; of a fresh journal `NOTHING`. */
export interface Base {
  readonly epoch: number;
  readonly seq: number;
}

export const NOTHING: Base = { epoch: 0, seq: 0 };

interface Numbered {
  readonly epoch: number;
  /** From 1 on. */
  readonly seq: number;
  /** Nonce of the term that wrote it. */
  readonly writer: string;
  readonly changes: readonly Change[];
}

export interface ChangesRecord extends Numbered {
  readonly kind: "changes";
}

/** One of the numbered run that is a snapshot; changes may stand between them. */
export interface SliceRecord extends Numbered {
  readonly kind: "slice";
  /** The state is: all slices, then all changes from this sequence on. 1: it opens the epoch. */
  readonly from: number;
  readonly last: boolean;
  /** Of an opening one. */
  readonly base: Base;
}

export type StateRecord = ChangesRecord | SliceRecord;
export type JournalRecord = Marker | StateRecord;

export interface Head {
  readonly epoch: number;
  readonly writer: string;
}

export function markerBytes(nonce: string): Buffer {
  return Buffer.from(JSON.stringify(["marker", 0, 0, nonce]));
}

/** `texts`: changes, each as JSON already. */
export function changesBytes({ epoch, writer }: Head, seq: number, texts: readonly string[]): Buffer {
  return Buffer.from(`["changes",${epoch},${seq},${JSON.stringify(writer)},[${texts.join(",")}]]`);
}

export function sliceBytes(
  { epoch, writer }: Head,
  seq: number,
  { from, last, base }: Pick<SliceRecord, "from" | "last" | "base">,
  texts: readonly string[],
): Buffer {
  const head = `["slice",${epoch},${seq},${JSON.stringify(writer)},`;
  return Buffer.from(`${head}[${texts.join(",")}],${from},${last ? 1 : 0},${base.epoch},${base.seq}]`);
}

const isCount = (value: unknown, least: number): value is number =>
  Number.isSafeInteger(value) && Number(value) >= least;

/** Total: anybody may publish to a queue. */
export function readRecord(bytes: Buffer): JournalRecord | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts)) return undefined;
  const [kind, epoch, seq, writer, changes, ...rest] = parts as unknown[];
  if (typeof writer !== "string") return undefined;
  if (kind === "marker") return { kind, nonce: writer };
  if (!isCount(epoch, 1) || !isCount(seq, 1) || !areChanges(changes)) return undefined;
  if (kind === "changes") return { kind, epoch, seq, writer, changes };
  return kind === "slice" ? sliceOf({ epoch, seq, writer, changes }, rest) : undefined;
}

function sliceOf(numbered: Numbered, rest: readonly unknown[]): SliceRecord | undefined {
  const [from, last, epoch, seq] = rest;
  if (!isCount(from, 1) || from > numbered.seq || !isCount(epoch, 0) || !isCount(seq, 0)) return undefined;
  return { kind: "slice", ...numbered, from, last: last === 1, base: { epoch, seq } };
}

/** Their words are those of `requests.ts`; who applies them passes over what it does not know. */
function areChanges(value: unknown): value is readonly Change[] {
  return (
    Array.isArray(value) &&
    value.every((one: unknown) => typeof (one as { readonly c?: unknown } | null)?.c === "string")
  );
}
