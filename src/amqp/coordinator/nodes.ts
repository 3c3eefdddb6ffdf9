/**
 * The list of nodes: whose word is awaited after an election, whose leases live.
 *
 * Owns the rules; the data is the state's. A name that comes back as another process is the end of the one before. The end
 * of a node that may run under keys is remembered: whoever is elected next does not know under which.
 */
import { type CoordinatorOut, commit } from "./apply.ts";
import type { NodeId, Roll } from "./requests.ts";
import { type CoordinatorState, LAPSE_MS } from "./state.ts";
import { nodeEnded } from "./suspects.ts";

export function nodeThere(
  s: CoordinatorState,
  { node, boot }: NodeId,
  now: number,
  out: CoordinatorOut,
): void {
  const before = s.nodes.get(node);
  if (before === boot) return;
  if (before !== undefined) nodeGone(s, { node, boot: before }, false, now, out);
  commit(s, { c: "node", node, boot, there: true, at: now }, out);
  s.leases.join({ node, boot });
  // what it asked for before it was listed, or before it was given up, is not known
  out.notice({ t: "announce", to: { node, boot } });
  out.notice({ t: "roll", roll: rollOf(s) });
}

/** Without a farewell its process may have died, with a body that does that to whoever runs it. */
export function nodeGone(
  s: CoordinatorState,
  id: NodeId,
  farewell: boolean,
  now: number,
  out: CoordinatorOut,
): void {
  if (!s.isListed(id)) return;
  nodeEnded(s, id, farewell, now, out);
  const until = now + s.regrantMs;
  // in this order: where only the first becomes durable the node is listed still, and its word is awaited
  if (s.leases.mayHold(id)) commit(s, { c: "closed", until }, out);
  commit(s, { c: "node", ...id, there: false, at: now }, out);
  s.leases.leave(id, until, now, out);
  out.notice({ t: "roll", roll: rollOf(s) });
}

/** Who is on the list now, and when somebody was last gone without a word. */
export function rollOf(s: CoordinatorState): Roll {
  return { nodes: [...s.nodes], crashedAt: s.crashedAt };
}

/** What was read from the journal is this node's to rule. */
export function elected(s: CoordinatorState, epoch: number, now: number, out: CoordinatorOut): void {
  s.epoch = epoch;
  sortByTime(s.ended, ({ at }) => at);
  sortByTime(s.marks, (at) => at);
  lapseOrphans(s, now, out);
  sortByTime(s.suspects, ({ at }) => at);
  s.lapses.sorted(
    [...s.reserved.values()].flatMap((item) =>
      item.lapsesAt === undefined ? [] : [{ at: item.lapsesAt, item }],
    ),
  );
  const nodes = [...s.nodes].map(([node, boot]) => ({ node, boot }));
  s.leases.elect(nodes, s.closedUntil, now, out);
  out.notice({ t: "announce" });
}

/** With a persister a node's end may be durable before what it has reserved is: nobody will speak of that any more. */
function lapseOrphans(s: CoordinatorState, now: number, out: CoordinatorOut): void {
  for (const { key, id, by, lapsesAt } of s.reserved.values())
    if (lapsesAt === undefined && !s.isListed(by))
      commit(s, { c: "lapses", key, id, at: now + LAPSE_MS }, out);
}

/** Slices of a snapshot and changes between them bring entries out of order; what expires is looked for at the front. */
function sortByTime<T>(map: Map<string, T>, at: (value: T) => number): void {
  const entries = [...map].sort(([, a], [, b]) => at(a) - at(b));
  map.clear();
  for (const [id, value] of entries) map.set(id, value);
}
