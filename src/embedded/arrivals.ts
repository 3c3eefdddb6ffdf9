/**
 * What main makes of a commit that is durable: counts, refusals, jobs that are ready to be handed out.
 *
 * Owns the rule what stays in memory: a job that was enqueued while nothing of its queue was unread, and what
 * was read. Everything else is left in the store until it is asked for.
 */
import type { Refusals } from "../broker/contract.ts";
import { decodeEnvelope } from "../jobs/codec.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { DuplicateJob } from "../jobs/errors.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import { type EmbeddedLane, Row } from "./embedded-lane.ts";
import type { Batch } from "./gather.ts";
import type { LaneBook } from "./lane-book.ts";
import type { Pipeline } from "./pipeline.ts";
import type { Done, Refused, Taken, Trouble, Tuning } from "./store/protocol.ts";
import { INLINE_CHARACTERS } from "./store/schema.ts";

export interface Arriving {
  readonly lanes: LaneBook;
  readonly pipeline: Pipeline;
  readonly tuning: Tuning;
  readonly now: () => number;
  readonly troubled: (trouble: Trouble) => Error;
  /** A row that could not be decoded was buried. */
  readonly buried: (lane: EmbeddedLane, id: string, record: BuriedRecord) => void;
}

/** Settles everything but the batch's own promises. */
export function arrive(to: Arriving, batch: Batch, done: Done): void {
  settleEnds(to.lanes, batch, -1);
  const refused = refusalsOf(batch, done.refused);
  if (done.full === undefined) keepPublished(to, batch, done.refused);
  const changed = to.lanes.update(done.lanes);
  for (const lane of batch.lanes) changed.add(lane);
  for (const { lane } of batch.pages) changed.add(lane);
  for (const taken of done.takes) changed.add(keepTaken(to, taken));
  batch.published(refused);
  for (const [at, { answer }] of batch.chores.entries()) answer.resolve(done.results[at]);
  for (const [at, { answer }] of batch.reads.entries()) {
    const given = done.answers[at];
    if (given === undefined) continue;
    if ("failed" in given) answer.reject(to.troubled(given.failed));
    else answer.resolve(given.value);
  }
  batch.committed();
  for (const lane of changed) lane.outlet.wake();
}

/** Counts what a batch ends: +1 when it is taken over by a new connection, −1 when it is durable. */
export function settleEnds(lanes: LaneBook, batch: Batch, by: 1 | -1): void {
  for (let i = 1; i < batch.ended.length; i += 2) lanes.numbered(batch.ended[i] ?? 0).ending += by;
  for (const move of batch.moves) lanes.numbered(move.lane).ending += by;
}

function refusalsOf(batch: Batch, refused: readonly Refused[]): Refusals | undefined {
  if (refused.length === 0) return undefined;
  const map = new Map<Batch["envelopes"][number], Error>();
  for (const { at, by, holder } of refused) {
    const envelope = batch.envelopes[at];
    if (envelope !== undefined) map.set(envelope, new DuplicateJob(envelope.id, holder, by));
  }
  return map;
}

/** Jobs of this commit that need not be read back. */
function keepPublished(to: Arriving, batch: Batch, refused: readonly Refused[]): void {
  const out = refused.length === 0 ? undefined : new Set(refused.map(({ at }) => at));
  batch.inOrder(
    (at) => {
      const lane = batch.lanes[at];
      const envelope = batch.envelopes[at];
      if (lane === undefined || envelope === undefined || batch.dues[at] !== 0 || out?.has(at)) return;
      keep(to, lane, batch.rids[at] ?? 0, batch.ords[at] ?? 0, envelope, batch.bodies[at]?.length ?? 0);
    },
    ({ lane, seq, first, envelopes, texts }) => {
      for (let at = 0; at < envelopes.length; at++) {
        const envelope = envelopes[at];
        if (envelope !== undefined) keep(to, lane, seq + at, first + at, envelope, texts[at]?.length ?? 0);
      }
    },
  );
}

/** What is not kept is unread, and so is all that follows it. */
function keep(
  { pipeline, tuning }: Arriving,
  lane: EmbeddedLane,
  rid: number,
  ord: number,
  envelope: Envelope,
  characters: number,
): void {
  if (!lane.atEnd || (lane.purging !== undefined && rid < lane.purging)) return;
  const room = lane.ready.size < tuning.keepJobs && pipeline.kept + characters <= tuning.keepCharacters;
  if (!room || !lane.outlet.consumed) lane.atEnd = false;
  else
    lane.add(new Row(lane, rid, ord, envelope, characters, characters > INLINE_CHARACTERS, 0, false, false));
}

/** Rows that were read. The first one that cannot be decoded does not stop the others. */
function keepTaken(to: Arriving, taken: Taken): EmbeddedLane {
  const lane = to.lanes.numbered(taken.lane);
  const { numbers, bodies, ids } = taken;
  for (let at = 0; at < ids.length; at++) {
    const rid = numbers[4 * at] ?? 0;
    const ord = numbers[4 * at + 1] ?? 0;
    const body = bodies[at] ?? "";
    lane.cursor = ord;
    if (lane.purging !== undefined && rid < lane.purging) continue;
    const decoded = decodeEnvelope(body);
    if (!decoded.ok) {
      buryUndecodable(to, lane, rid, ids[at] ?? "", decoded.reason);
      continue;
    }
    const crashes = numbers[4 * at + 2] ?? 0;
    const big = numbers[4 * at + 3] === 1;
    const suspect = ord <= lane.suspectUpTo;
    const again = suspect || ord <= lane.redeliveredUpTo;
    lane.add(new Row(lane, rid, ord, decoded.envelope, body.length, big, crashes, suspect, again));
  }
  lane.atEnd = taken.end;
  return lane;
}

export function buryUndecodable(
  to: Arriving,
  lane: EmbeddedLane,
  rid: number,
  id: string,
  reason: string,
): void {
  const error = {
    kind: "error",
    name: "Undecodable",
    message: reason,
    stack: undefined,
    final: true,
  } as const;
  const record: BuriedRecord = { reason: "undecodable", error, buriedAt: to.now() };
  const { batch } = to.pipeline;
  const text = JSON.stringify(record);
  batch.moves.push({ to: "buried", rid, id, lane: lane.number, attempt: 0, body: undefined, reason: text });
  batch.after.push(() => to.buried(lane, id, record));
  lane.ending += 1;
  to.pipeline.commitSoon();
}
