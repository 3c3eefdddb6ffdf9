/**
 * The state as changes, in slices, while it goes on changing between them.
 *
 * Pure. A slice is read when it is asked for, and is true at that moment. Applied at its place among the changes, or all
 * slices first and then every change since before the first, both give the state again: what was freed after its slice
 * is freed by a later change; what comes in where a slice has passed comes by its own change; what is in two slices, or in
 * a slice and a change, is set twice to the same. A slice MUST NOT be durable before the changes that preceded it.
 */
import type { Change } from "./requests.ts";
import type { CoordinatorState } from "./state.ts";

const SLICE_CHANGES = 2_000;
const SLICE_BYTES = 1_000_000;
/** What JSON adds to the texts of one change at most, names of nodes included. */
const FRAME_BYTES = 200;

/** `nodes`: what is in the journal whatever the persister, suspects too; `kept`: all else. */
export type Part = "all" | "nodes" | "kept";

/** Each at most 2,000 changes and 1 MiB of JSON. */
export function* snapshotOf(
  s: CoordinatorState,
  sliceChanges = SLICE_CHANGES,
  part: Part = "all",
): Generator<Change[], void, undefined> {
  let slice: Change[] = [];
  let bytes = 0;
  for (const change of changesOf(s, part)) {
    slice.push(change);
    bytes += bytesOf(change);
    if (slice.length < sliceChanges && bytes < SLICE_BYTES) continue;
    yield slice;
    slice = [];
    bytes = 0;
  }
  if (slice.length > 0) yield slice;
}

/** Maps may change while they are walked: what was taken out is not met, what is put in is met at the end. */
function* changesOf(s: CoordinatorState, part: Part): Generator<Change, void, undefined> {
  if (part !== "kept") yield* nodesOf(s);
  if (part !== "nodes") yield* keptOf(s);
}

function* nodesOf(s: CoordinatorState): Generator<Change, void, undefined> {
  for (const [node, boot] of s.nodes) yield { c: "node", node, boot, there: true, at: 0 };
  if (s.closedUntil > 0) yield { c: "closed", until: s.closedUntil };
  if (s.crashedAt > 0) yield { c: "crash", at: s.crashedAt };
  for (const suspect of s.suspects.values()) yield { c: "suspect", ...suspect };
}

function* keptOf(s: CoordinatorState): Generator<Change, void, undefined> {
  for (const queue of s.paused) yield { c: "pause", queue, paused: true };
  for (const [queue, at] of s.purged) yield { c: "purged", queue, at };
  for (const [id, at] of s.marks) yield { c: "mark", id, at };
  for (const { lapsesAt, ...reserved } of s.reserved.values())
    yield lapsesAt === undefined ? { c: "key", ...reserved } : { c: "key", ...reserved, lapsesAt };
  for (const [key, id] of s.kept) yield { c: "kept", key, id, attempt: s.attempts.get(key) ?? 0 };
  for (const [id, end] of s.ended) yield { c: "ended", id, ...end };
}

/** From above: a character has at most three bytes in UTF-8, and two where JSON escapes it. */
function bytesOf(change: Change): number {
  switch (change.c) {
    case "key":
      return 3 * (change.key.length + change.id.length + change.by.node.length) + FRAME_BYTES;
    case "kept":
      return 3 * (change.key.length + change.id.length) + FRAME_BYTES;
    case "ended":
    case "mark":
    case "suspect":
      return 3 * change.id.length + FRAME_BYTES;
    default:
      return 3 * FRAME_BYTES;
  }
}
