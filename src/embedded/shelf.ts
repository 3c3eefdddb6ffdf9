/**
 * Jobs that wait for an execution key in the store: put aside without a write, and read again when their turn is near.
 *
 * Owns no list of its own: a lane knows the numbers of what was put aside, who asks has them in order. After a loss of the
 * store nothing is aside, and all of it is handed out again in its order.
 */
import type { Delivery, KeyRoom, QueueRef, Shelved, Subscription } from "../broker/contract.ts";
import { decodeEnvelope } from "../jobs/codec.ts";
import { type Arriving, buryUndecodable } from "./arrivals.ts";
import { type EmbeddedLane, Row } from "./embedded-lane.ts";
import type { FoundRow } from "./store/protocol.ts";
import { AVAILABLE } from "./store/schema.ts";
import { Consumer, Handed } from "./subscription.ts";
import { TUNING } from "./tuning.ts";

type Room = KeyRoom & { readonly kind: "shelf" };

export class Shelf implements Room {
  readonly kind = "shelf";
  readonly #to: Arriving;

  constructor(to: Arriving) {
    this.#to = to;
  }

  put(delivery: Delivery): Shelved | undefined {
    if (!(delivery instanceof Handed) || !(delivery.job instanceof Row)) return undefined;
    const row = delivery.job;
    if (!row.lane.outlet.settle(delivery)) return undefined;
    row.lane.putAside(row);
    return row.rid;
  }

  async take(subscription: Subscription, jobs: readonly Shelved[]): Promise<readonly Delivery[]> {
    if (!(subscription instanceof Consumer)) return [];
    const lane = this.#to.lanes.find(subscription.queue);
    if (lane === undefined) return [];
    const rids = jobs.filter((rid) => lane.aside.delete(rid));
    const since = lane.losses;
    const rows = await this.#rows(lane, rids);
    if (lane.losses !== since) return []; // all of it is read anew
    return rows.map((row) => {
      lane.handed.push(row);
      return lane.outlet.handTo(subscription as Consumer<Row>, row);
    });
  }

  giveBack(queue: QueueRef, jobs: readonly Shelved[]): void {
    const lane = this.#to.lanes.find(queue);
    if (lane === undefined) return;
    const back = jobs.filter((rid) => lane.aside.delete(rid));
    // by their numbers: as they were published
    lane.back = [...lane.back, ...back].sort((a, b) => a - b);
    lane.outlet.wake();
  }

  /** The next of what was given back is read, before anything else of its queue goes out. */
  async fetch(lane: EmbeddedLane): Promise<void> {
    const { back, losses } = lane;
    lane.fetching = true;
    const rids = back.slice(0, TUNING.takeJobs);
    const rows = await this.#rows(lane, rids).catch(() => []); // a store that is opened anew has all of them
    lane.fetching = false;
    if (lane.losses !== losses) return;
    const read = new Set(rids);
    lane.back = lane.back.filter((rid) => !read.has(rid));
    for (const row of rows) lane.putInFront(row);
    lane.outlet.wake();
  }

  async #rows(lane: EmbeddedLane, rids: number[]): Promise<Row[]> {
    if (rids.length === 0) return [];
    const found = await this.#to.pipeline.ask<FoundRow[]>({ read: "rows", rids });
    return found.flatMap((row) => {
      if (row.state !== AVAILABLE || row.lane !== lane.number) return [];
      const { rid, ord, id, body, big, crashes } = row;
      const decoded = decodeEnvelope(body);
      if (decoded.ok)
        return new Row(
          lane,
          rid,
          ord,
          decoded.envelope,
          body.length,
          big,
          crashes,
          ord <= lane.suspectUpTo,
          true,
        );
      buryUndecodable(this.#to, lane, rid, id, decoded.reason);
      return [];
    });
  }
}
