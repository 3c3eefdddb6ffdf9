/**
 * What a heap of the journal's records amounts to: all of the state, nothing at all, or a part that nobody may rule from.
 *
 * Pure. The order of arrival counts for nothing: what several holders gave back comes mixed. Records of a lower epoch
 * behind a newer snapshot are left out. What it cannot see is a missing end; that is what the marker is for.
 */
import { type Base, NOTHING, type SliceRecord, type StateRecord } from "./records.ts";
import type { Change } from "./requests.ts";

export type Verdict =
  /** No state was ever in it. `highest`: epoch that was seen, 0 for none. */
  | { readonly t: "fresh"; readonly base: Base; readonly highest: number }
  /** In the order in which they are applied. */
  | {
      readonly t: "complete";
      readonly base: Base;
      readonly highest: number;
      readonly records: readonly StateRecord[];
    }
  | { readonly t: "partial"; readonly why: string };

type Partial = Extract<Verdict, { t: "partial" }>;

/** All of one writer in one epoch, by sequence. */
type Run = readonly StateRecord[];

/** What one epoch amounts to. */
type Found =
  | { readonly t: "whole"; readonly records: Run; readonly end: number }
  /** Its writers died before their opening snapshots were complete: what those were made from is still there. */
  | { readonly t: "cut"; readonly bases: readonly Base[] }
  | Partial;

export function judge(records: Iterable<StateRecord>): Verdict {
  const epochs = byEpoch(records);
  const highest = epochs[0]?.[0] ?? 0;
  const cut: Base[] = [];
  for (const [epoch, runs] of epochs) {
    const found = foundIn(epoch, runs);
    if (found.t === "partial") return found;
    if (found.t === "cut") cut.push(...found.bases);
    else {
      const base = { epoch, seq: found.end };
      return missing(cut, base) ?? { t: "complete", base, highest, records: found.records };
    }
  }
  return missing(cut, NOTHING) ?? { t: "fresh", base: NOTHING, highest };
}

/** The state again, when they are applied in this order: the snapshot's slices, then what followed from its beginning on. */
export function* changesOf(records: readonly StateRecord[]): Generator<Change> {
  for (const record of records) yield* record.changes;
}

/** Highest epoch first; in each the records of its writers, by sequence and once each. */
function byEpoch(records: Iterable<StateRecord>): [epoch: number, runs: Run[]][] {
  const epochs = new Map<number, Map<string, Map<number, StateRecord>>>();
  for (const record of records) {
    const writers = made(epochs, record.epoch, () => new Map<string, Map<number, StateRecord>>());
    made(writers, record.writer, () => new Map<number, StateRecord>()).set(record.seq, record);
  }
  const sorted = [...epochs].sort(([a], [b]) => b - a);
  return sorted.map(([epoch, writers]) => [epoch, [...writers.values()].map(bySequence)]);
}

function made<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const there = map.get(key) ?? make();
  map.set(key, there);
  return there;
}

const bySequence = (records: ReadonlyMap<number, StateRecord>): Run =>
  [...records.values()].sort((a, b) => a.seq - b.seq);

/**
 * Two writers have one epoch when the network parted the broker's nodes between their elections. Only the one whose
 * records came back to it has served anybody; where none has, what they opened with is the same state.
 */
function foundIn(epoch: number, runs: readonly Run[]): Found {
  const [run, rival] = runs.filter(hasServed);
  if (rival !== undefined) return { t: "partial", why: `two have written in epoch ${epoch}` };
  const found = (run === undefined ? runs : [run]).map((one) => read(epoch, one));
  const best = found.find(({ t }) => t === "whole") ?? found.find(({ t }) => t === "partial");
  return best ?? { t: "cut", bases: found.flatMap((one) => (one.t === "cut" ? one.bases : [])) };
}

const hasServed = (run: Run) => run.some((one) => one.kind === "changes" || one.from > 1);

function read(epoch: number, run: Run): Found {
  const last = run.findLast((one): one is SliceRecord => one.kind === "slice" && one.last);
  if (last === undefined) return opening(epoch, run);
  const { from } = last;
  const since = run.filter(({ seq }) => seq >= from);
  const gap = gapIn(since, from);
  if (gap !== undefined) return { t: "partial", why: `epoch ${epoch} lacks record ${gap}` };
  const slices = since.filter((one) => one.kind === "slice" && one.from === from);
  const changes = since.filter(({ kind }) => kind === "changes");
  return { t: "whole", records: [...slices, ...changes], end: run.at(-1)?.seq ?? 0 };
}

/** Nothing but the beginning of an opening snapshot may stand without an end. */
function opening(epoch: number, run: Run): Found {
  const gap = gapIn(run, 1);
  if (gap !== undefined) return { t: "partial", why: `epoch ${epoch} lacks record ${gap}` };
  const bases = run.flatMap((one) => (one.kind === "slice" && one.from === 1 ? [one.base] : []));
  if (bases.length < run.length) return { t: "partial", why: `epoch ${epoch} lacks its snapshot` };
  return { t: "cut", bases };
}

/** The first sequence from `from` on that is not there. */
function gapIn(run: Run, from: number): number | undefined {
  const at = run.findIndex(({ seq }, index) => seq !== from + index);
  return at === -1 ? undefined : from + at;
}

/** An opening that was cut short tells what there was before it. */
function missing(cut: readonly Base[], base: Base): Partial | undefined {
  const lost = cut.find(({ epoch, seq }) => epoch !== base.epoch || seq > base.seq);
  if (lost === undefined) return undefined;
  return { t: "partial", why: `epoch ${lost.epoch} lacks record ${lost.seq}` };
}
