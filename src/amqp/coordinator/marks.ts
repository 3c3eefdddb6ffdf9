/**
 * Marks of cancelled ids, and pauses: what every node has a replica of.
 *
 * Owns the rules; the data is the state's. No mark is dropped for room: above 100,000 the next is refused. Whoever marks,
 * unmarks or pauses twice changes nothing, and nobody is told again.
 */
import { type CoordinatorOut, commit } from "./apply.ts";
import { type CoordinatorState, MARK_KEPT_MS, MOST_MARKS } from "./state.ts";

/** One change is one record's worth at most. */
const UNMARKED_AT_ONCE = 1_000;

export function mark(s: CoordinatorState, id: string, now: number, out: CoordinatorOut): void {
  if (!s.marks.has(id)) {
    if (s.marks.size >= MOST_MARKS) expireMarks(s, now, out);
    if (s.marks.size >= MOST_MARKS) return out.answer({ tooMany: MOST_MARKS });
    commit(s, { c: "mark", id, at: now }, out);
    out.notice({ t: "marked", ids: [id] });
  }
  out.answer({ ok: true });
}

export function unmark(s: CoordinatorState, ids: readonly string[], out: CoordinatorOut): void {
  remove(
    s,
    ids.filter((id) => s.marks.has(id)),
    out,
  );
  out.answer({ ok: true });
}

export function pause(s: CoordinatorState, queue: string, paused: boolean, out: CoordinatorOut): void {
  if (s.paused.has(queue) !== paused) {
    commit(s, { c: "pause", queue, paused }, out);
    out.notice({ t: "paused", queue, paused });
  }
  out.answer({ ok: true });
}

/** Whatever was put off by now is purged when it comes back; one that is put off later is not. */
export function purge(s: CoordinatorState, queue: string, now: number, out: CoordinatorOut): void {
  if ((s.purged.get(queue) ?? 0) < now) {
    commit(s, { c: "purged", queue, at: now }, out);
    out.notice({ t: "purged", queue, at: now });
  }
  out.answer({ ok: true });
}

/** Those that are too old, a thousand at most; true when there may be more. */
export function expireMarks(s: CoordinatorState, now: number, out: CoordinatorOut): boolean {
  const ids: string[] = [];
  for (const [id, at] of s.marks) {
    if (at > now - MARK_KEPT_MS || ids.length >= UNMARKED_AT_ONCE) break;
    ids.push(id);
  }
  remove(s, ids, out);
  return ids.length >= UNMARKED_AT_ONCE;
}

function remove(s: CoordinatorState, ids: readonly string[], out: CoordinatorOut): void {
  if (ids.length === 0) return;
  commit(s, { c: "unmark", ids }, out);
  out.notice({ t: "unmarked", ids });
}
