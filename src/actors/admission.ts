/**
 * Admission, one a pool of threads: slots, the watermark, the waiting queue.
 *
 * Owns how many bodies run at once and in which order the rest goes. A finished job admits waiting ones until the
 * watermark is met. Short bodies are handed to the threads ahead of their slot (some milliseconds of work a thread), since
 * one message a job costs more than a short job; they still count as waiting. Suspects wait for one another and for no other
 * job, and no other job for them. Where there are other nodes, those are asked for room for what has waited here for two
 * seconds; a queue that gave way for that is called back when a body has ended. When it dies with its jobs in the queue,
 * the tree restarts the partitions, whose consumers hand everything back to the broker: nothing is lost.
 */
import type { From, Out, Ref } from "../kernel/types.ts";
import { Lanes } from "./lanes.ts";
import type { GivesWay, StuckQueue } from "./others.ts";

/** What a node's waiting queue looks like to people. */
export interface AdmissionCounts {
  readonly watermark: number;
  /** Bodies that have a slot. */
  readonly running: number;
  /** In the waiting queue, or handed ahead and not started. */
  readonly waiting: number;
  /** All that ever asked, since the node started. */
  readonly accepted: number;
}

/** A job that wants a slot. The message is the item that waits, so a job costs one object here. */
export interface Ask<E = unknown> {
  readonly t: "ask";
  readonly lane: number;
  /** The number of the pool whose slot it wants; 0 = the one without a name. */
  readonly pool?: number;
  readonly to: Ref<AdmissionAnswer<E>>;
  readonly entry: E;
  /** The number of its job type; admission learns which types are short. */
  readonly type: number;
  /** May be handed ahead: nothing has to happen on the main thread between slot and body. */
  readonly ahead: boolean;
  /** A suspect, which runs in a process of its own: with other suspects, or with none beside it on this node. */
  readonly suspect: "beside" | "alone" | undefined;
  /** Grows with each job of its supervisor: where it stands in its queue. */
  readonly place: number;
  /** It had a slot and gave it up: it goes back to its place. */
  readonly again: boolean;
  /** Written by admission when it grants the slot, as `aheadUs`: what a `withdraw` that crosses the grant gives back. */
  slot?: number | undefined;
}

export interface Done {
  readonly t: "done";
  /** As in its ask. */
  readonly pool?: number;
  readonly type: number;
  /** As `start` said, in µs. */
  readonly aheadUs: number;
  /** As it was asked for; `undefined` from `let-others-in` on. */
  readonly suspect: "beside" | "alone" | undefined;
  /** How long the body ran; `Infinity` when that is not known. */
  readonly durationMs: number;
  /** False: the slot was not used, and nothing is learned of the type. */
  readonly ran: boolean;
  /** Its body was wedged: it is so no more. */
  readonly wedged?: boolean;
}

export type AdmissionMessage<E = unknown> =
  | Ask<E>
  | {
      readonly t: "open";
      readonly lane: number;
      readonly partition: string;
      readonly queue: string;
      readonly concurrency: number;
      /** Who is told when it should give way, and when there may be a slot again. */
      readonly owner: Ref<GivesWay>;
    }
  /** What waited of it is the broker's again, and it takes nothing: it is told when a body has ended in this pool. */
  | { readonly t: "gave-way"; readonly lane: number; readonly pool: number }
  /** Two seconds are over in which something waited. */
  | { readonly t: "look"; readonly pool: number }
  /** A slot comes back. */
  | Done
  /** A body with a slot hangs in a native call; its thread has been replaced. */
  | { readonly t: "wedged"; readonly pool?: number }
  /** Takes the ask back: out of the waiting queue, or with the slot that is under way to who no longer wants it. */
  | { readonly t: "withdraw"; readonly ask: Ask<E> }
  /** A suspect has run so long that any other may start beside it. */
  | { readonly t: "let-others-in"; readonly suspect: "beside" | "alone" }
  /** From now on so many; what has a slot keeps it. */
  | { readonly t: "resize"; readonly watermark: number; readonly threads: number }
  | { readonly t: "counts"; readonly from: From<AdmissionCounts> };

/** What admission casts to whoever asked. */
export type AdmissionAnswer<E = unknown> =
  /** The slot is there. `aheadUs` goes back with `done`: what a short one is thought to take; 0 = it is not short. */
  | { readonly t: "start"; readonly entry: E; readonly aheadUs: number }
  | { readonly t: "waiting"; readonly entry: E; readonly size: number };

/** Other nodes may have room for what waits. */
export interface AdmissionEffect {
  readonly t: "ask-others";
  readonly queues: readonly StuckQueue[];
}

export interface AdmissionArgs {
  /** Its number among the pools. */
  readonly pool: number;
  /** There can be other nodes, which would run what waits here. */
  readonly shares: boolean;
  readonly watermark: number;
  readonly threads: number;
  /** Wedged bodies that hold up no other; what hangs beyond keeps its slot, so that threads do not pile up. */
  readonly maxWedged: number;
  /** Most jobs a thread is handed ahead. */
  readonly handAhead: number;
  /** Whether somebody listens to `job.waiting`. */
  readonly announceWaiting: () => boolean;
}

/** A type is short after this many short runs in a row, and no longer after one that was not. */
const SHORT_RUNS = 3;
const SHORT_MS = 1;
/** The last runs of a type weigh this much in what it is thought to take, one by one. */
const LAST_RUN = 1 / 8;
/** So much work may stand in a thread ahead of its slot: no more than a body that is called long. */
const MOST_AHEAD_US = 5_000;

/** What has waited so long is offered to others. */
const LOOK_MS = 2_000;
/** Queues of one question. */
const MOST_OFFERED = 100;

export interface AdmissionState<E = unknown> {
  readonly pool: number;
  readonly shares: boolean;
  watermark: number;
  threads: number;
  readonly maxWedged: number;
  readonly handAhead: number;
  readonly announceWaiting: () => boolean;
  readonly lanes: Lanes<Ask<E>>;
  readonly suspects: Ask<E>[];
  /** By type: short runs in a row, and what they took. */
  readonly shortRuns: number[];
  readonly meanMs: number[];
  /** Admitted and not done: all, and those that were admitted as short. */
  used: number;
  usedShort: number;
  /** What the short ones are thought to take, in whole microseconds. */
  aheadUs: number;
  /** Of those used: bodies that hang in native calls. */
  wedged: number;
  accepted: number;
  /** Suspects that run and have not let others in; and whether one of them runs alone. */
  suspectsRunning: number;
  aloneRuns: boolean;
  /** A `look` is under way. */
  looking: boolean;
  /** By lane. */
  readonly owners: Ref<GivesWay>[];
  /** Lanes that gave way and wait for an end here. */
  readonly away: Set<number>;
}

export function admissionState<E>(args: AdmissionArgs): AdmissionState<E> {
  return {
    ...args,
    lanes: new Lanes(),
    suspects: [],
    shortRuns: [],
    meanMs: [],
    used: 0,
    usedShort: 0,
    aheadUs: 0,
    wedged: 0,
    accepted: 0,
    suspectsRunning: 0,
    aloneRuns: false,
    looking: false,
    owners: [],
    away: new Set(),
  };
}

export function stepAdmission<E>(
  s: AdmissionState<E>,
  m: AdmissionMessage<E>,
  _now: number,
  out: Out<AdmissionMessage<E>, AdmissionEffect>,
): void {
  switch (m.t) {
    case "ask":
      return ask(s, m, out);
    case "done":
      return done(s, m, out);
    case "open":
      s.owners[m.lane] = m.owner;
      return s.lanes.open(m.lane, m.partition, m.queue, m.concurrency);
    case "gave-way":
      s.away.add(m.lane);
      return;
    case "look":
      return look(s, out);
    case "wedged":
      s.wedged++;
      admit(s, out);
      return callBack(s, out);
    case "withdraw":
      withdraw(s, m.ask);
      return admit(s, out);
    case "let-others-in":
      notRunning(s, m.suspect);
      return admit(s, out);
    case "resize":
      s.watermark = m.watermark;
      s.threads = m.threads;
      admit(s, out);
      return callBack(s, out);
    case "counts":
      return out.reply(m.from, countsOf(s));
  }
}

function ask<E>(s: AdmissionState<E>, m: Ask<E>, out: Out<AdmissionMessage<E>, AdmissionEffect>): void {
  if (!m.again) s.accepted++;
  if (m.suspect !== undefined) {
    s.suspects.push(m);
    return admit(s, out);
  }
  if (s.lanes.size === 0 && admissible(s, m)) return start(s, m, out);
  if (m.again) s.lanes.putBack(m.lane, m);
  else s.lanes.push(m.lane, m);
  if (s.shares && !s.looking) lookLater(s, out);
  if (s.announceWaiting()) out.cast(m.to, { t: "waiting", entry: m.entry, size: s.lanes.size });
  admit(s, out);
}

/** A slot that was granted and not taken comes back here: its asker will not look at the grant, or is gone. */
function withdraw<E>(s: AdmissionState<E>, ask: Ask<E>): void {
  if (ask.slot === undefined) {
    if (!s.lanes.remove(ask.lane, ask)) removeSuspect(s, ask);
    return;
  }
  s.used--;
  notAhead(s, ask.slot);
  notRunning(s, ask.suspect);
  ask.slot = undefined;
}

function done<E>(s: AdmissionState<E>, m: Done, out: Out<AdmissionMessage<E>, AdmissionEffect>): void {
  s.used--;
  notAhead(s, m.aheadUs);
  if (m.wedged === true) s.wedged--;
  notRunning(s, m.suspect);
  if (m.ran) learn(s, m.type, m.durationMs);
  if (s.lanes.size > 0 || s.suspects.length > 0) admit(s, out);
  if (s.away.size > 0 && (m.durationMs < Number.POSITIVE_INFINITY || s.used < s.watermark)) callBack(s, out);
}

// Other nodes

function lookLater<E>(s: AdmissionState<E>, out: Out<AdmissionMessage<E>, AdmissionEffect>): void {
  s.looking = true;
  s.lanes.stuck(0); // what is there now is what the next look goes by
  out.timer(`look ${s.pool}`, LOOK_MS, { t: "look", pool: s.pool });
}

function look<E>(s: AdmissionState<E>, out: Out<AdmissionMessage<E>, AdmissionEffect>): void {
  const stuck = s.lanes.stuck(MOST_OFFERED);
  s.looking = s.lanes.size > 0;
  if (s.looking) out.timer(`look ${s.pool}`, LOOK_MS, { t: "look", pool: s.pool });
  const queues = stuck.flatMap(({ id, partition, queue }) => {
    const owner = s.owners[id];
    return owner === undefined || s.away.has(id) ? [] : [{ partition, queue, pool: s.pool, owner }];
  });
  if (queues.length > 0) out.effect({ t: "ask-others", queues });
}

/** Whose turn it is among those that wait is theirs to settle when they have something again. */
function callBack<E>(s: AdmissionState<E>, out: Out<AdmissionMessage<E>, AdmissionEffect>): void {
  const lanes = [...s.away];
  s.away.clear();
  for (const id of lanes) {
    const owner = s.owners[id];
    const queue = s.lanes.lane(id)?.queue;
    if (owner !== undefined && queue !== undefined) out.cast(owner, { t: "room", queue });
  }
}

// Who is next

function learn<E>(s: AdmissionState<E>, type: number, durationMs: number): void {
  const before = s.shortRuns[type] ?? 0;
  const runs = durationMs < SHORT_MS ? before + 1 : 0;
  s.shortRuns[type] = Math.min(runs, SHORT_RUNS);
  const meanMs = s.meanMs[type] ?? durationMs;
  s.meanMs[type] = before === 0 ? durationMs : meanMs + (durationMs - meanMs) * LAST_RUN;
}

/** At least 1, so that 0 says that it is not short. */
function shortUs<E>(s: AdmissionState<E>, type: number): number {
  return Math.max(1, Math.ceil((s.meanMs[type] ?? 0) * 1_000));
}

function notAhead<E>(s: AdmissionState<E>, aheadUs: number): void {
  if (aheadUs === 0) return;
  s.usedShort--;
  s.aheadUs -= aheadUs;
}

function isShort<E>(s: AdmissionState<E>, m: Ask<E>): boolean {
  return m.ahead && (s.shortRuns[m.type] ?? 0) >= SHORT_RUNS;
}

/**
 * Below the watermark anything; above it only short types, as long as no thread gets more than its share ahead: in work, so
 * that whoever comes next waits no longer behind them than behind one long body, and in number.
 */
function admissible<E>(s: AdmissionState<E>, m: Ask<E>): boolean {
  const used = s.used - Math.min(s.wedged, s.maxWedged);
  if (used < s.watermark) return true;
  const long = used - s.usedShort;
  if (s.watermark < s.threads || !isShort(s, m)) return false;
  const free = s.threads - long;
  return s.usedShort < s.handAhead * free && s.aheadUs < MOST_AHEAD_US * free;
}

function start<E>(s: AdmissionState<E>, m: Ask<E>, out: Out<AdmissionMessage<E>, AdmissionEffect>): void {
  const aheadUs = isShort(s, m) ? shortUs(s, m.type) : 0;
  s.used++;
  if (aheadUs > 0) s.usedShort++;
  s.aheadUs += aheadUs;
  if (m.suspect !== undefined) s.suspectsRunning++;
  if (m.suspect === "alone") s.aloneRuns = true;
  m.slot = aheadUs;
  out.cast(m.to, { t: "start", entry: m.entry, aheadUs });
}

/** Suspects first, since they were first; else whoever's turn it is. A job that must wait is not overtaken. */
function admit<E>(s: AdmissionState<E>, out: Out<AdmissionMessage<E>, AdmissionEffect>): void {
  for (let next = s.suspects[0]; next !== undefined && suspectAdmissible(s, next); next = s.suspects[0]) {
    s.suspects.shift();
    start(s, next, out);
  }
  for (let next = s.lanes.peek(); next !== undefined && admissible(s, next); next = s.lanes.peek()) {
    s.lanes.shift();
    start(s, next, out);
  }
}

/** One that runs alone has no other suspect beside it: only then a crash of the whole process is surely its own. */
function suspectAdmissible<E>(s: AdmissionState<E>, m: Ask<E>): boolean {
  if (s.aloneRuns || !admissible(s, m)) return false;
  return m.suspect === "beside" || s.suspectsRunning === 0;
}

function notRunning<E>(s: AdmissionState<E>, suspect: Ask["suspect"]): void {
  if (suspect !== undefined) s.suspectsRunning--;
  if (suspect === "alone") s.aloneRuns = false;
}

function removeSuspect<E>(s: AdmissionState<E>, ask: Ask<E>): void {
  const at = s.suspects.indexOf(ask);
  if (at >= 0) s.suspects.splice(at, 1);
}

export function countsOf<E>(s: AdmissionState<E>): AdmissionCounts {
  // after the watermark was lowered more may run than it lets; what was handed ahead is no more than waiting
  const running = Math.min(s.used, Math.max(s.watermark, s.used - s.usedShort - s.wedged));
  return {
    watermark: s.watermark,
    running,
    waiting: s.lanes.size + s.suspects.length + (s.used - running),
    accepted: s.accepted,
  };
}
