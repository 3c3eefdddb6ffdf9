/**
 * The list of nodes: whose word is awaited after an election, whose leases live.
 *
 * Owns the rules; the data is the state's. A name that comes back as another process is the end of the one before. The end
 * of a node that may run under keys is remembered: whoever is elected next does not know under which.
 */
import { type CoordinatorOut, commit } from "./apply.ts";
import type { NodeId } from "./requests.ts";
import type { CoordinatorState } from "./state.ts";

export function nodeThere(
  s: CoordinatorState,
  { node, boot }: NodeId,
  now: number,
  out: CoordinatorOut,
): void {
  const before = s.nodes.get(node);
  if (before === boot) return;
  if (before !== undefined) nodeGone(s, { node, boot: before }, now, out);
  commit(s, { c: "node", node, boot, there: true, at: now }, out);
  s.leases.join({ node, boot });
  // what it asked for before it was listed, or before it was given up, is not known
  out.notice({ t: "announce", to: { node, boot } });
}

export function nodeGone(s: CoordinatorState, id: NodeId, now: number, out: CoordinatorOut): void {
  if (!s.isListed(id)) return;
  const until = now + s.regrantMs;
  // in this order: where only the first becomes durable the node is listed still, and its word is awaited
  if (s.leases.mayHold(id)) commit(s, { c: "closed", until }, out);
  commit(s, { c: "node", ...id, there: false, at: now }, out);
  s.leases.leave(id, until, now, out);
}

/** What was read from the journal is this node's to rule. */
export function elected(s: CoordinatorState, epoch: number, now: number, out: CoordinatorOut): void {
  s.epoch = epoch;
  sortByTime(s.ended, ({ at }) => at);
  sortByTime(s.marks, (at) => at);
  s.lapses.sorted(
    [...s.reserved.values()].flatMap((item) =>
      item.lapsesAt === undefined ? [] : [{ at: item.lapsesAt, item }],
    ),
  );
  const nodes = [...s.nodes].map(([node, boot]) => ({ node, boot }));
  s.leases.elect(nodes, s.closedUntil, now, out);
  out.notice({ t: "announce" });
}

/** Slices of a snapshot and changes between them bring entries out of order; what expires is looked for at the front. */
function sortByTime<T>(map: Map<string, T>, at: (value: T) => number): void {
  const entries = [...map].sort(([, a], [, b]) => at(a) - at(b));
  map.clear();
  for (const [id, value] of entries) map.set(id, value);
}
