/**
 * Admission, one a node: slots, the watermark, the waiting queue.
 *
 * Owns how many bodies run at once and in which order the rest goes. A finished job admits waiting ones until the
 * watermark is met. Short bodies are handed to the threads ahead of their slot (at most 16 a thread), since one
 * message a job costs more than a short job; they still count as waiting. When it dies with its jobs in the queue,
 * the tree restarts the partitions, whose consumers hand everything back to the broker: nothing is lost.
 */
import type { Behaviour, From, Out, Ref } from "../kernel/types.ts";
import { Lanes } from "./lanes.ts";

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
  readonly to: Ref<AdmissionAnswer<E>>;
  readonly entry: E;
  /** The number of its job type; admission learns which types are short. */
  readonly type: number;
  /** May be handed ahead: nothing has to happen on the main thread between slot and body. */
  readonly ahead: boolean;
  /** Must run with nothing beside it in the process (a suspect). */
  readonly alone: boolean;
  /** Grows with each job of its supervisor: where it stands in its queue. */
  readonly place: number;
  /** It had a slot and gave it up: it goes back to its place. */
  readonly again: boolean;
  /** Written by admission when it grants the slot: what a `withdraw` that crosses the grant gives back. */
  slot?: "short" | "long" | undefined;
}

export interface Done {
  readonly t: "done";
  readonly type: number;
  /** As `start` said. */
  readonly short: boolean;
  readonly alone: boolean;
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
    }
  /** A slot comes back. */
  | Done
  /** A body with a slot hangs in a native call; its thread has been replaced. */
  | { readonly t: "wedged" }
  /** Takes the ask back: out of the waiting queue, or with the slot that is under way to who no longer wants it. */
  | { readonly t: "withdraw"; readonly ask: Ask<E> }
  /** What runs alone has run so long that others may start beside it. */
  | { readonly t: "let-others-in" }
  | { readonly t: "drained-enough" }
  | { readonly t: "drain-again" }
  | { readonly t: "counts"; readonly from: From<AdmissionCounts> };

/** What admission casts to whoever asked. */
export type AdmissionAnswer<E = unknown> =
  /** The slot is there; `short` goes back with `done`. */
  | { readonly t: "start"; readonly entry: E; readonly short: boolean }
  | { readonly t: "waiting"; readonly entry: E; readonly size: number };

export interface AdmissionArgs {
  readonly watermark: number;
  readonly threads: number;
  /** Wedged bodies that hold up no other; what hangs beyond keeps its slot, so that threads do not pile up. */
  readonly maxWedged: number;
  /** Most jobs a thread is handed ahead; 16. */
  readonly handAhead: number;
  /** Whether somebody listens to `job.waiting`. */
  readonly announceWaiting: () => boolean;
}

/** A type is short after this many short runs in a row, and no longer after one that was not. */
const SHORT_RUNS = 3;
const SHORT_MS = 1;
/** How long everything else waits so that a suspect can run alone; then they take turns. */
const DRAIN_MS = 10_000;

export interface AdmissionState<E = unknown> {
  readonly watermark: number;
  readonly threads: number;
  readonly maxWedged: number;
  readonly handAhead: number;
  readonly announceWaiting: () => boolean;
  readonly lanes: Lanes<Ask<E>>;
  readonly suspects: Ask<E>[];
  /** Short runs in a row, by type. */
  readonly shortRuns: number[];
  /** Admitted and not done: all, and those that were admitted as short. */
  used: number;
  usedShort: number;
  /** Of those used: bodies that hang in native calls. */
  wedged: number;
  accepted: number;
  /** A suspect runs alone. */
  exclusive: boolean;
  /** Nothing new starts, so that a suspect gets the process for itself. */
  draining: boolean;
}

export function admissionState<E>(args: AdmissionArgs): AdmissionState<E> {
  return {
    ...args,
    lanes: new Lanes(),
    suspects: [],
    shortRuns: [],
    used: 0,
    usedShort: 0,
    wedged: 0,
    accepted: 0,
    exclusive: false,
    draining: false,
  };
}

export function stepAdmission<E>(
  s: AdmissionState<E>,
  m: AdmissionMessage<E>,
  _now: number,
  out: Out<AdmissionMessage<E>, never>,
): void {
  switch (m.t) {
    case "ask":
      return ask(s, m, out);
    case "done":
      return done(s, m, out);
    case "open":
      return s.lanes.open(m.lane, m.partition, m.queue, m.concurrency);
    case "wedged":
      s.wedged++;
      return admit(s, out);
    case "withdraw":
      withdraw(s, m.ask);
      return admit(s, out);
    case "let-others-in":
      s.exclusive = false;
      if (s.suspects.length > 0 && !s.draining) out.timer("drain", DRAIN_MS, { t: "drain-again" });
      return admit(s, out);
    case "drained-enough":
      s.draining = false;
      if (s.suspects.length > 0) out.timer("drain", DRAIN_MS, { t: "drain-again" });
      return admit(s, out);
    case "drain-again":
      return drain(s, out);
    case "counts":
      return out.reply(m.from, counts(s));
  }
}

function ask<E>(s: AdmissionState<E>, m: Ask<E>, out: Out<AdmissionMessage<E>, never>): void {
  if (!m.again) s.accepted++;
  if (m.alone) {
    s.suspects.push(m);
    if (s.suspects.length === 1 && !s.exclusive) return drain(s, out);
    return admit(s, out);
  }
  if (s.lanes.size === 0 && admissible(s, m)) return start(s, m, out);
  if (m.again) s.lanes.putBack(m.lane, m);
  else s.lanes.push(m.lane, m);
  if (s.announceWaiting()) out.cast(m.to, { t: "waiting", entry: m.entry, size: s.lanes.size });
  admit(s, out);
}

function drain<E>(s: AdmissionState<E>, out: Out<AdmissionMessage<E>, never>): void {
  s.draining = true;
  out.timer("drain", DRAIN_MS, { t: "drained-enough" });
  admit(s, out);
}

/** A slot that was granted and not taken comes back here: its asker will not look at the grant, or is gone. */
function withdraw<E>(s: AdmissionState<E>, ask: Ask<E>): void {
  if (ask.slot === undefined) {
    if (!s.lanes.remove(ask.lane, ask)) removeSuspect(s, ask);
    return;
  }
  s.used--;
  if (ask.slot === "short") s.usedShort--;
  if (ask.alone) s.exclusive = false;
  ask.slot = undefined;
}

function done<E>(s: AdmissionState<E>, m: Done, out: Out<AdmissionMessage<E>, never>): void {
  s.used--;
  if (m.short) s.usedShort--;
  if (m.wedged === true) s.wedged--;
  if (m.alone) s.exclusive = false;
  if (m.ran) learn(s, m.type, m.durationMs);
  if (s.lanes.size > 0 || s.suspects.length > 0) admit(s, out);
}

function learn<E>(s: AdmissionState<E>, type: number, durationMs: number): void {
  const runs = durationMs < SHORT_MS ? (s.shortRuns[type] ?? 0) + 1 : 0;
  s.shortRuns[type] = Math.min(runs, SHORT_RUNS);
}

function isShort<E>(s: AdmissionState<E>, m: Ask<E>): boolean {
  return m.ahead && (s.shortRuns[m.type] ?? 0) >= SHORT_RUNS;
}

/** Below the watermark anything; above it only short types, as long as no thread gets more than its share ahead. */
function admissible<E>(s: AdmissionState<E>, m: Ask<E>): boolean {
  if (s.exclusive || s.draining) return false;
  const used = s.used - Math.min(s.wedged, s.maxWedged);
  if (used < s.watermark) return true;
  const long = used - s.usedShort;
  return isShort(s, m) && s.watermark >= s.threads && s.usedShort < s.handAhead * (s.threads - long);
}

function start<E>(s: AdmissionState<E>, m: Ask<E>, out: Out<AdmissionMessage<E>, never>): void {
  const short = isShort(s, m);
  s.used++;
  if (short) s.usedShort++;
  if (m.alone) s.exclusive = true;
  m.slot = short ? "short" : "long";
  out.cast(m.to, { t: "start", entry: m.entry, short });
}

/** Suspects first, when nothing runs; else whoever's turn it is. A job that must wait is not overtaken. */
function admit<E>(s: AdmissionState<E>, out: Out<AdmissionMessage<E>, never>): void {
  if (s.suspects.length > 0 && s.used === 0 && !s.exclusive) {
    const suspect = s.suspects.shift();
    if (suspect !== undefined) start(s, suspect, out);
    if (s.suspects.length === 0) endDrain(s, out);
    return;
  }
  if (s.suspects.length === 0 && s.draining) endDrain(s, out);
  for (let next = s.lanes.peek(); next !== undefined && admissible(s, next); next = s.lanes.peek()) {
    s.lanes.shift();
    start(s, next, out);
  }
}

function endDrain<E>(s: AdmissionState<E>, out: Out<AdmissionMessage<E>, never>): void {
  s.draining = false;
  out.cancelTimer("drain");
}

function removeSuspect<E>(s: AdmissionState<E>, ask: Ask<E>): void {
  const at = s.suspects.indexOf(ask);
  if (at >= 0) s.suspects.splice(at, 1);
}

function counts<E>(s: AdmissionState<E>): AdmissionCounts {
  const running = Math.min(s.used, s.watermark);
  return {
    watermark: s.watermark,
    running,
    waiting: s.lanes.size + s.suspects.length + (s.used - running),
    accepted: s.accepted,
  };
}

export const admission: Behaviour<AdmissionState, AdmissionMessage, never, AdmissionArgs> = {
  kind: "admission",
  init: (args) => admissionState(args),
  step: stepAdmission,
  describe: (s) => ({ ...counts(s) }),
};
