/**
 * Buried jobs of the embedded broker: pages, re-queue, drop.
 *
 * Owns no state: buried jobs live in the store only, and are decoded when somebody looks at them.
 */
import type { BuriedJob, BuriedPage, RequeueOutcome } from "../broker/contract.ts";
import { decodeEnvelope, encodeEnvelope } from "../jobs/codec.ts";
import { DuplicateJob, InvalidJob } from "../jobs/errors.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import { requeued } from "../jobs/retry.ts";
import type { EmbeddedLane } from "./embedded-lane.ts";
import type { Pipeline } from "./pipeline.ts";
import type { FoundRow } from "./store/protocol.ts";

const PAGE = 1_000;

export class Graves {
  readonly #pipeline: Pipeline;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  async page(lane: EmbeddedLane, page: BuriedPage | undefined): Promise<BuriedJob[]> {
    const limit = Math.min(PAGE, Math.max(1, page?.limit ?? 100));
    const rows = await this.#rows(lane, limit, page?.after, undefined);
    return rows.map(asBuried);
  }

  async requeue(
    lane: EmbeddedLane,
    ids: readonly string[] | "all",
    argsText: string | undefined,
  ): Promise<RequeueOutcome[]> {
    const outcomes: RequeueOutcome[] = [];
    for await (const rows of this.#chosen(lane, ids)) {
      outcomes.push(...(await Promise.all(rows.map((row) => this.#requeueOne(row, argsText)))));
    }
    return outcomes.filter((outcome) => !(outcome.error instanceof Gone));
  }

  async drop(lane: EmbeddedLane, ids: readonly string[] | "all"): Promise<string[]> {
    const dropped: string[] = [];
    for await (const rows of this.#chosen(lane, ids)) {
      const rids = rows.map((row) => row.rid);
      dropped.push(...(await this.#pipeline.chore<string[]>(() => ({ do: "drop", rids }))));
    }
    return dropped;
  }

  async #requeueOne(row: FoundRow, argsText: string | undefined): Promise<RequeueOutcome> {
    const { id, rid } = row;
    const decoded = decodeEnvelope(row.body);
    if (!decoded.ok) {
      return {
        id,
        error: new InvalidJob(id, `its bytes are no job (${decoded.reason}); it can only be dropped`),
      };
    }
    const next = requeued(decoded.envelope, argsText);
    const key = next.queueKey ?? null;
    const body = encodeEnvelope(next);
    const result = await this.#pipeline.chore<{ gone?: boolean; holder?: string }>(() => ({
      do: "requeue",
      rid,
      key,
      body,
    }));
    if (result.gone === true) return { id, error: new Gone() };
    const { holder } = result;
    return { id, error: holder === undefined ? undefined : new DuplicateJob(id, holder, "queueKey") };
  }

  /** In pages; "all" is what lay there when it began. */
  async *#chosen(lane: EmbeddedLane, ids: readonly string[] | "all"): AsyncGenerator<FoundRow[]> {
    if (ids !== "all") {
      for (let at = 0; at < ids.length; at += PAGE) {
        yield await this.#rows(lane, PAGE, undefined, ids.slice(at, at + PAGE));
      }
      return;
    }
    let left = lane.buried;
    let after = -1;
    while (left > 0) {
      const rows: FoundRow[] = await this.#pipeline.ask({
        read: "buried",
        lane: lane.number,
        limit: Math.min(PAGE, left),
        after,
        ids: undefined,
      });
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.ord;
      left -= rows.length;
      yield rows;
    }
  }

  #rows(
    lane: EmbeddedLane,
    limit: number,
    after: string | undefined,
    ids: string[] | undefined,
  ): Promise<FoundRow[]> {
    return this.#pipeline.ask({ read: "buried", lane: lane.number, limit, after, ids });
  }
}

/** It was re-queued or dropped by somebody else meanwhile. */
class Gone extends Error {}

function asBuried({ id, reason, body }: FoundRow): BuriedJob {
  const record = JSON.parse(reason ?? "{}") as BuriedRecord;
  const decoded = decodeEnvelope(body);
  if (decoded.ok) return { id, envelope: decoded.envelope, record, raw: undefined };
  return { id, envelope: undefined, record, raw: typeof body === "string" ? Buffer.from(body) : body };
}
