/**
 * Changes applied to the state: the only way in which what is in the journal changes, while it rules and when it is read.
 *
 * Pure. Each change says what is from now on (or takes away what it names), so that one that comes twice, or after a
 * snapshot that has it already, leaves the same state behind. What a later version wrote and this one does not know is
 * passed over.
 */
import type { Answer, Change, Notice } from "./requests.ts";
import { type CoordinatorState, LAPSE_MS, type Reservation } from "./state.ts";

/**
 * What a step wants done, in this order: the changes made durable, then the answer and the notices sent. An answer
 * without a change of its own waits for the changes of earlier steps too: it may rest on them.
 */
export interface CoordinatorOut {
  change(change: Change): void;
  /** Once for each request. */
  answer(answer: Answer): void;
  notice(notice: Notice): void;
}

/** What the rules use. */
export function commit(s: CoordinatorState, change: Change, out: CoordinatorOut): void {
  applyChange(s, change);
  out.change(change);
}

export function applyChange(s: CoordinatorState, m: Change): void {
  switch (m.c) {
    case "key":
      return reserve(s, m);
    case "kept":
      return keep(s, m.key, m.id, m.attempt);
    case "lapses":
      return lapse(s, s.reserved.get(m.key), m.id, m.at);
    case "free":
      return free(s, m.key, m.id);
    case "ended":
      s.ended.delete(m.id); // so that they stay in the order of their times
      s.ended.set(m.id, { hop: m.hop, at: m.at, buried: m.buried });
      return;
    case "forgotten":
      for (const id of m.ids) s.ended.delete(id);
      return;
    case "mark":
      if (!s.marks.has(m.id)) s.marks.set(m.id, m.at);
      return;
    case "unmark":
      for (const id of m.ids) s.marks.delete(id);
      return;
    case "pause":
      if (m.paused) s.paused.add(m.queue);
      else s.paused.delete(m.queue);
      return;
    case "suspect": {
      const { c: _, ...suspect } = m;
      s.suspects.delete(m.id); // so that they stay in the order of their times
      s.suspects.set(m.id, suspect);
      return;
    }
    case "purged":
      s.purged.set(m.queue, Math.max(m.at, s.purged.get(m.queue) ?? 0));
      return;
    case "cleared":
      for (const id of m.ids) s.suspects.delete(id);
      return;
    case "crash":
      s.crashedAt = Math.max(s.crashedAt, m.at);
      return;
    case "node":
      if (m.there) s.nodes.set(m.node, m.boot);
      else gone(s, m);
      return;
    case "closed":
      s.closedUntil = Math.max(s.closedUntil, m.until);
      return;
    case "elsewhere":
      return;
  }
}

function reserve(s: CoordinatorState, { key, id, by, at, lapsesAt }: Change & { c: "key" }): void {
  free(s, key, s.holderOf(key));
  set(s, { key, id, by, at, lapsesAt });
}

function set(s: CoordinatorState, reservation: Reservation): void {
  s.reserved.set(reservation.key, reservation);
  if (reservation.lapsesAt !== undefined) s.lapses.push(reservation.lapsesAt, reservation);
}

function keep(s: CoordinatorState, key: string, id: string, attempt: number): void {
  s.reserved.delete(key);
  s.kept.set(key, id);
  if (attempt > 0) s.attempts.set(key, attempt);
  else s.attempts.delete(key);
}

function lapse(s: CoordinatorState, known: Reservation | undefined, id: string, lapsesAt: number): void {
  if (known?.id === id) set(s, { ...known, lapsesAt });
}

function free(s: CoordinatorState, key: string, id: string | undefined): void {
  if (s.holderOf(key) !== id) return;
  s.reserved.delete(key);
  s.kept.delete(key);
  s.attempts.delete(key);
}

/** What it has reserved lapses: nobody will say any more whether that was published. */
function gone(s: CoordinatorState, { node, boot, at }: Change & { c: "node" }): void {
  if (s.nodes.get(node) === boot) s.nodes.delete(node);
  for (const one of s.reserved.values())
    if (one.by.node === node && one.by.boot === boot && one.lapsesAt === undefined)
      lapse(s, one, one.id, at + LAPSE_MS);
}
