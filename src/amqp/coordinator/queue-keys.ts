/**
 * Queue keys: who has one, when it is free again, and which ids have ended a short while ago.
 *
 * Owns the rules; the data is the state's. A key is reserved before the publish and kept from the first sign that the job
 * is there, until the job has ended. An id that has ended under a key is remembered with its hop: a copy of that hop or a
 * lower one is over. Every rule gives the same answer when its request comes twice.
 */
import { type CoordinatorOut, commit } from "./apply.ts";
import type { NodeId, Request } from "./requests.ts";
import { type CoordinatorState, ENDED_KEPT_MS, LAPSE_MS, MOST_ENDED } from "./state.ts";

type Of<T extends Request["t"]> = Request & { readonly t: T };

/** So many are forgotten at once when there is no room: a change for each end would double the journal. */
const FORGOTTEN_AT_ONCE = 1_000;

export function reserve(
  s: CoordinatorState,
  by: NodeId,
  { key, id, hop = 0 }: Of<"reserve">,
  now: number,
  out: CoordinatorOut,
): void {
  if (isOver(s, id, hop, now)) return out.answer({ duplicate: "id", holder: id });
  const holder = s.holderOf(key);
  if (holder !== undefined && holder !== id) return out.answer({ duplicate: "queueKey", holder });
  // it was stored: whoever did not know learns it so
  if (s.kept.has(key)) return out.answer({ duplicate: "id", holder: id });
  const known = s.reserved.get(key);
  out.answer(known === undefined ? { ok: true } : { ok: true, again: true });
  const isListed = s.isListed(by);
  const isMine = known?.by.node === by.node && known.by.boot === by.boot;
  if (isMine && (known.lapsesAt === undefined || !isListed)) return;
  // nobody will tell of the end of a node that is not listed
  const change = { c: "key", key, id, by, at: now } as const;
  commit(s, isListed ? change : { ...change, lapsesAt: now + LAPSE_MS }, out);
}

export function published(
  s: CoordinatorState,
  { key, id, ok, hop = 0 }: Of<"published">,
  now: number,
  out: CoordinatorOut,
): void {
  out.answer({ ok: true });
  const known = s.reserved.get(key);
  // said late of one that has ended: what is reserved by now is the same job, queued again
  if (known?.id !== id || isOver(s, id, hop, now)) return;
  if (ok) commit(s, { c: "kept", key, id, attempt: 0 }, out);
  else if (known.lapsesAt === undefined) commit(s, { c: "lapses", key, id, at: now + LAPSE_MS }, out);
}

/** Its key is free, or its own. True when this copy is older than the one for which it is kept. */
export function assertKey(
  s: CoordinatorState,
  key: string,
  id: string,
  attempt: number,
  out: CoordinatorOut,
): boolean {
  const isKept = s.kept.has(key);
  const known = s.attempts.get(key) ?? 0;
  if (!isKept || attempt > known) commit(s, { c: "kept", key, id, attempt }, out);
  return isKept && attempt < known;
}

/** Nothing of a copy that is over already: its key may be that of the same job, queued again. */
export function endKey(s: CoordinatorState, m: Of<"end">, now: number, out: CoordinatorOut): void {
  const { queueKey: key, id, hop, attempt, buried } = m;
  if (key === undefined || isOver(s, id, hop, now)) return;
  const isHolder = s.holderOf(key) === id;
  if (!m.ended) {
    if (isHolder) assertKey(s, key, id, attempt, out);
    return;
  }
  // in this order: where only the first becomes durable the end comes again, and must not be taken for known
  if (isHolder) commit(s, { c: "free", key, id }, out);
  if (s.ended.size >= MOST_ENDED) forgetEnded(s, Number.POSITIVE_INFINITY, out);
  commit(s, { c: "ended", id, hop, at: now, buried }, out);
}

export function dropped(s: CoordinatorState, ids: readonly string[], out: CoordinatorOut): void {
  const buried = ids.filter((id) => s.ended.get(id)?.buried === true);
  if (buried.length > 0) commit(s, { c: "forgotten", ids: buried }, out);
  out.answer({ ok: true });
}

export function releaseQueued(s: CoordinatorState, key: string, out: CoordinatorOut): void {
  const id = s.holderOf(key);
  if (id !== undefined) {
    commit(s, { c: "free", key, id }, out);
    out.notice({ t: "released", kind: "queueKey", key, id });
  }
  out.answer({ holder: id ?? null });
}

/** This hop of the job, or a later one, has ended. */
export function isOver(s: CoordinatorState, id: string, hop: number, now: number): boolean {
  const end = s.ended.get(id);
  return end !== undefined && end.hop >= hop && end.at > now - ENDED_KEPT_MS;
}

/** What lapses by now and has not been confirmed meanwhile. */
export function lapseKeys(s: CoordinatorState, now: number, out: CoordinatorOut): void {
  for (let one = s.lapses.take(now); one !== undefined; one = s.lapses.take(now))
    if (s.reserved.get(one.key) === one) commit(s, { c: "free", key: one.key, id: one.id }, out);
}

/** Those that ended before, a thousand at most; true when there may be more. */
export function forgetEnded(s: CoordinatorState, before: number, out: CoordinatorOut): boolean {
  const ids: string[] = [];
  for (const [id, { at }] of s.ended) {
    if (at >= before || ids.length >= FORGOTTEN_AT_ONCE) break;
    ids.push(id);
  }
  if (ids.length > 0) commit(s, { c: "forgotten", ids }, out);
  return ids.length >= FORGOTTEN_AT_ONCE;
}
