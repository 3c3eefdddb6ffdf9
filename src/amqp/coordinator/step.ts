/**
 * The coordinator of one partition: what it does with one request, a node that comes or goes, its time, its election.
 *
 * Pure: no I/O, no clock, no timers. Who carries it out makes the changes durable in their order, and sends an answer and
 * notices when all changes up to theirs are; it calls with `tick` at `nextTick`. It dies with everything that was not
 * durable and not answered: such requests come again, to the next one.
 */
import type { CoordinatorOut } from "./apply.ts";
import { expireMarks, mark, pause, purge, unmark } from "./marks.ts";
import { elected, nodeGone, nodeThere, rollOf } from "./nodes.ts";
import {
  assertKey,
  dropped,
  endKey,
  forgetEnded,
  isOver,
  lapseKeys,
  published,
  releaseQueued,
  reserve,
} from "./queue-keys.ts";
import type { Answer, NodeId, Request } from "./requests.ts";
import { type CoordinatorState, ENDED_KEPT_MS } from "./state.ts";
import { cleared, crashed, expireSuspects, started } from "./suspects.ts";

export type CoordinatorInput =
  | { readonly t: "request"; readonly from: NodeId; readonly request: Request }
  /** First heard of (this node too), or gone, with or without a farewell. */
  | {
      readonly t: "node";
      readonly node: string;
      readonly boot: string;
      readonly there: boolean;
      readonly farewell?: boolean;
    }
  | { readonly t: "tick" }
  /** All of the journal has been applied. Comes first. */
  | { readonly t: "elected"; readonly epoch: number };

/** What expires by the hour or later is looked for so often. */
const SWEEP_MS = 60_000;

export function stepCoordinator(
  s: CoordinatorState,
  m: CoordinatorInput,
  now: number,
  out: CoordinatorOut,
): void {
  switch (m.t) {
    case "request":
      return answer(s, m.from, m.request, now, out);
    case "node":
      return node(s, m, now, out);
    case "tick":
      return tick(s, now, out);
    case "elected":
      return elected(s, m.epoch, now, out);
  }
}

function node(
  s: CoordinatorState,
  { node: name, boot, there, farewell = false }: CoordinatorInput & { t: "node" },
  now: number,
  out: CoordinatorOut,
): void {
  const id = { node: name, boot };
  if (there) nodeThere(s, id, now, out);
  else nodeGone(s, id, farewell, now, out);
}

/** When `tick` has something to do; it may come later, or for nothing. */
export function nextTick(s: CoordinatorState): number | undefined {
  if (s.epoch === 0) return undefined;
  const sweep = s.ended.size + s.marks.size + s.suspects.size > 0 ? s.sweepAt : undefined;
  const due = [s.lapses.next, s.leases.due, sweep].filter((at) => at !== undefined);
  return due.length === 0 ? undefined : Math.min(...due);
}

function tick(s: CoordinatorState, now: number, out: CoordinatorOut): void {
  lapseKeys(s, now, out);
  s.leases.tick(now, out);
  if (now < s.sweepAt) return;
  s.sweepAt = now + SWEEP_MS;
  while (forgetEnded(s, now - ENDED_KEPT_MS, out));
  while (expireMarks(s, now, out));
  expireSuspects(s, now, out);
}

function answer(s: CoordinatorState, from: NodeId, m: Request, now: number, out: CoordinatorOut): void {
  switch (m.t) {
    case "reserve":
      return reserve(s, from, m, now, out);
    case "published":
      return published(s, m, now, out);
    case "begin":
      return out.answer(begin(s, from, m, now, out));
    case "withdraw":
      s.leases.withdraw(from, m, now, out);
      return out.answer({ ok: true });
    case "end":
      return end(s, from, m, now, out);
    case "dropped":
      return dropped(s, m.ids, out);
    case "mark":
      return mark(s, m.id, now, out);
    case "unmark":
      return unmark(s, m.ids, out);
    case "pause":
      return pause(s, m.queue, m.paused, out);
    case "purge":
      return purge(s, m.queue, now, out);
    case "started":
      return started(s, from, m, now, out);
    case "crashed":
      return crashed(s, m.id, now, out);
    case "cleared":
      return cleared(s, m, now, out);
    case "announce":
      // of one that was meant for a former coordinator it is not known what has been granted since
      if (m.epoch === s.epoch) s.leases.announce(from, m, now, out);
      return out.answer({ ok: true });
    case "release-queued":
      return releaseQueued(s, m.key, out);
    case "release-executing":
      return releaseExecuting(s, m.key, now, out);
    default:
      return out.answer(told(s, m));
  }
}

type Question = Extract<
  Request,
  { readonly t: "replica" | "holders" | "is-queued" | "is-executing" | "suspect" }
>;

function told(s: CoordinatorState, m: Question): Answer {
  switch (m.t) {
    case "replica":
      return {
        replica: {
          marks: [...s.marks.keys()],
          paused: [...s.paused],
          purged: [...s.purged],
          roll: rollOf(s),
        },
      };
    case "suspect":
      return { crashes: s.suspects.get(m.id)?.crashes ?? 0 };
    case "is-queued":
      return { holder: s.holderOf(m.key) ?? null };
    case "is-executing":
      return { holder: s.leases.holderOf(m.key) ?? null };
    case "holders":
      return { holders: s.leases.holders() };
  }
}

/** What is over is not run, what is another job's is buried: neither asks for its execution key. */
function begin(
  s: CoordinatorState,
  from: NodeId,
  m: Request & { t: "begin" },
  now: number,
  out: CoordinatorOut,
): Answer {
  const { id, executionKey, token } = m;
  const refused = refusalOf(s, m, now);
  // an announcement may have asked for it already
  if (refused !== undefined && executionKey !== undefined)
    s.leases.withdraw(from, { executionKey, id, token }, now, out);
  if (refused !== undefined) return refused;
  const isOutdated = m.queueKey !== undefined && assertKey(s, m.queueKey, id, m.attempt, out);
  const outdated = isOutdated ? { outdated: true as const } : {};
  if (executionKey === undefined) return { ok: true, ...outdated };
  return { ...s.leases.ask(from, { executionKey, id, token }, now), ...outdated };
}

function refusalOf(
  s: CoordinatorState,
  { id, hop, queueKey }: Request & { t: "begin" },
  now: number,
): Answer | undefined {
  if (isOver(s, id, hop, now)) return { ended: true };
  const holder = queueKey === undefined ? undefined : s.holderOf(queueKey);
  return holder === undefined || holder === id ? undefined : { duplicate: "queueKey", holder };
}

function end(
  s: CoordinatorState,
  from: NodeId,
  m: Request & { t: "end" },
  now: number,
  out: CoordinatorOut,
): void {
  endKey(s, m, now, out);
  const { executionKey, id, token } = m;
  if (executionKey !== undefined && m.round === true)
    s.leases.goesRound(from, { executionKey, id, token }, now, out);
  else if (executionKey !== undefined) s.leases.end(from, { executionKey, id, token }, m.ended, now, out);
  out.answer({ ok: true });
}

function releaseExecuting(s: CoordinatorState, key: string, now: number, out: CoordinatorOut): void {
  const id = s.leases.release(key, now, out);
  if (id !== undefined) out.notice({ t: "released", kind: "executionKey", key, id });
  out.answer({ holder: id ?? null });
}
