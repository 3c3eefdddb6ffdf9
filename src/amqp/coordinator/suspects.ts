/**
 * Suspects: jobs that may have taken a process down, and how often that is counted against them.
 *
 * Owns the rules; the data is the state's. A suspect's start is recorded before it runs and taken back with its end. When
 * its node dies meanwhile, that is a crash of its own if no other suspect ran beside it there, else perhaps a
 * neighbour's: then it counts as one, once. What a node's farewell leaves behind counts nothing.
 */
import { type CoordinatorOut, commit } from "./apply.ts";
import type { NodeId, Request } from "./requests.ts";
import { type CoordinatorState, MOST_SUSPECTS, SUSPECT_KEPT_MS } from "./state.ts";

type Of<T extends Request["t"]> = Request & { readonly t: T };

/** One change is one record's worth at most. */
const CLEARED_AT_ONCE = 1_000;

export function started(
  s: CoordinatorState,
  by: NodeId,
  { id, alone }: Of<"started">,
  at: number,
  out: CoordinatorOut,
): void {
  const known = s.suspects.get(id);
  // one that finds no room runs uncounted: it hurts its own process alone
  if (known !== undefined || s.suspects.size < MOST_SUSPECTS)
    commit(s, { c: "suspect", id, crashes: known?.crashes ?? 0, at, by, alone }, out);
  out.answer({ ok: true });
}

export function crashed(s: CoordinatorState, id: string, at: number, out: CoordinatorOut): void {
  const crashes = (s.suspects.get(id)?.crashes ?? 0) + 1;
  commit(s, { c: "suspect", id, crashes, at }, out);
  out.answer({ crashes });
}

export function cleared(
  s: CoordinatorState,
  { id, kept }: Of<"cleared">,
  at: number,
  out: CoordinatorOut,
): void {
  const crashes = s.suspects.get(id)?.crashes;
  if (crashes !== undefined)
    commit(s, kept && crashes > 0 ? { c: "suspect", id, crashes, at } : { c: "cleared", ids: [id] }, out);
  out.answer({ ok: true });
}

/** Before it leaves the list: what becomes durable of this alone is done again with it. */
export function nodeEnded(
  s: CoordinatorState,
  { node, boot }: NodeId,
  farewell: boolean,
  at: number,
  out: CoordinatorOut,
): void {
  for (const { id, crashes, by, alone } of [...s.suspects.values()]) {
    if (by?.node !== node || by.boot !== boot) continue;
    const counted = farewell ? crashes : alone === true ? crashes + 1 : Math.max(crashes, 1);
    commit(s, { c: "suspect", id, crashes: counted, at }, out);
  }
  if (!farewell) commit(s, { c: "crash", at }, out);
}

/** Those whose job has not come for a day, a thousand at most. */
export function expireSuspects(s: CoordinatorState, now: number, out: CoordinatorOut): void {
  const ids: string[] = [];
  for (const { id, at, by } of s.suspects.values()) {
    if (at > now - SUSPECT_KEPT_MS || ids.length >= CLEARED_AT_ONCE) break;
    if (by === undefined) ids.push(id);
  }
  if (ids.length > 0) commit(s, { c: "cleared", ids }, out);
}
