/**
 * The last failures of a job, as they travel with it: at most 5, at most 16 KiB of JSON in all.
 *
 * Owns what is given up when they grow: first the longest stack is halved, then dropped, then messages are cut, then
 * the oldest entry goes. The newest failure is always told, if only by its kind and the beginning of its message.
 */
import type { HistoryEntry } from "./envelope.ts";
import type { Failure } from "./failure.ts";

export const HISTORY_ENTRIES_MAX = 5;
export const HISTORY_BYTES_MAX = 16 * 1024;
/** Cut before anything is measured, so that a message of a gigabyte costs nothing. */
const MESSAGE_MAX = 2000;
const STACK_MAX = 8000;
const STACK_MIN = 200;

/** Bytes that a history takes in the header. */
export function historyBytes(history: readonly HistoryEntry[]): number {
  return history.length === 0 ? 2 : Buffer.byteLength(JSON.stringify(history));
}

/** The history with one more failure, within both limits. Whatever `history` held before. */
export function withFailure(
  history: readonly HistoryEntry[],
  attempt: number,
  failure: Failure,
  at: number,
): readonly HistoryEntry[] {
  const kept = [...history.slice(1 - HISTORY_ENTRIES_MAX), entryOf(attempt, failure, at)];
  while (historyBytes(kept) > HISTORY_BYTES_MAX) shrink(kept);
  return kept;
}

function entryOf(attempt: number, failure: Failure, at: number): HistoryEntry {
  const message = failure.message.slice(0, MESSAGE_MAX);
  const entry = { attempt, at, kind: failure.kind, message };
  return failure.stack === undefined ? entry : { ...entry, stack: failure.stack.slice(0, STACK_MAX) };
}

/** One step nearer to the limit: each call makes the list smaller, so the loop above ends. */
function shrink(kept: HistoryEntry[]): void {
  let longest = 0;
  kept.forEach((entry, index) => {
    if ((entry.stack?.length ?? 0) > (kept[longest]?.stack?.length ?? 0)) longest = index;
  });
  const victim = kept[longest];
  if (victim?.stack !== undefined && victim.stack !== "") {
    const { stack, ...rest } = victim;
    const length = Math.floor(stack.length / 2);
    kept[longest] = length < STACK_MIN ? rest : { ...rest, stack: stack.slice(0, length) };
  } else if (kept.length > 1) {
    kept.shift();
  } else if (victim !== undefined) {
    kept[0] = { ...victim, message: victim.message.slice(0, Math.floor(victim.message.length / 2)) };
  }
}
