/**
 * The queues of an embedded store by name and by number.
 *
 * Owns the lanes; they outlive a loss of the store, so subscriptions do too.
 */
import type { QueueRef } from "../broker/contract.ts";
import { UnknownPartition, UnknownQueue } from "../broker/errors.ts";
import { EmbeddedLane, type Needs } from "./embedded-lane.ts";
import type { LaneRow } from "./store/protocol.ts";
import type { Pump } from "./subscription.ts";

export class LaneBook {
  readonly #partitions = new Map<string, Map<string, EmbeddedLane>>();
  readonly #numbers: EmbeddedLane[] = [];
  readonly #pump: Pump;
  readonly #needs: Needs;

  constructor(pump: Pump, needs: Needs) {
    this.#pump = pump;
    this.#needs = needs;
  }

  get all(): EmbeddedLane[] {
    return this.#numbers.filter((lane) => lane !== undefined);
  }

  find({ partition, queue }: QueueRef): EmbeddedLane | undefined {
    return this.#partitions.get(partition)?.get(queue);
  }

  /** @throws UnknownPartition, UnknownQueue */
  need(ref: QueueRef): EmbeddedLane {
    const lane = this.find(ref);
    if (lane === undefined) throw this.unknown(ref);
    return lane;
  }

  unknown({ partition, queue }: QueueRef): Error {
    return this.#partitions.has(partition)
      ? new UnknownQueue(partition, queue)
      : new UnknownPartition(partition);
  }

  numbered(number: number): EmbeddedLane {
    const lane = this.#numbers[number];
    if (lane === undefined) throw new Error(`no lane ${number}`);
    return lane;
  }

  /** A lane that the store has made. */
  add({ lane: number, partition, queue }: Pick<LaneRow, "lane" | "partition" | "queue">): EmbeddedLane {
    const known = this.#numbers[number];
    if (known !== undefined) return known;
    const lane = new EmbeddedLane(number, { partition, queue }, this.#pump, this.#needs);
    // nothing is in it yet
    lane.atEnd = true;
    this.#numbers[number] = lane;
    const queues = this.#partitions.get(partition) ?? new Map<string, EmbeddedLane>();
    this.#partitions.set(partition, queues.set(queue, lane));
    return lane;
  }

  /** What the store says at open, and how it was left: what may have been handed out before comes again. */
  load(rows: readonly LaneRow[], left: "closed" | "crashed" | "lost"): void {
    for (const row of rows) {
      const lane = this.add(row);
      const { available, scheduled, buried, next, frontier, paused } = row;
      Object.assign(lane, { available, scheduled, buried, next, frontier, paused, atEnd: available === 0 });
      if (left === "crashed") lane.suspectUpTo = frontier;
      if (left === "lost") lane.redeliveredUpTo = frontier;
    }
  }

  /** Six numbers a lane, as a commit answers. */
  update(numbers: readonly number[]): Set<EmbeddedLane> {
    const changed = new Set<EmbeddedLane>();
    for (let i = 0; i < numbers.length; i += 6) {
      const lane = this.numbered(numbers[i] ?? 0);
      lane.available = numbers[i + 1] ?? 0;
      lane.scheduled = numbers[i + 2] ?? 0;
      lane.buried = numbers[i + 3] ?? 0;
      const next = numbers[i + 4] ?? 0;
      // the store gave places of its own: jobs that became due or were re-queued are behind the last one read
      if (next > lane.next) lane.atEnd = false;
      lane.next = next;
      lane.frontier = numbers[i + 5] ?? -1;
      changed.add(lane);
    }
    return changed;
  }
}
