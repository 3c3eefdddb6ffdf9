/**
 * At most so many buried jobs a queue: the oldest are dropped, each with an event.
 *
 * Owns which queues are being looked at: one look at a time a queue, and one more when something was buried meanwhile. What
 * cannot be looked at now is so at the next burial. Nothing of it is stored; when the node dies the next burial anywhere
 * brings the queue to its limit.
 */
import type { Broker, QueueRef } from "../broker/contract.ts";
import { toError } from "../kernel/exit.ts";
import type { EventHub } from "./events.ts";
import type { Logger } from "./services.ts";

export interface BuriedLimitParts {
  readonly broker: Broker;
  readonly events: EventHub;
  readonly logger: Logger;
  /** `undefined`: as many as there are. */
  readonly most: number | undefined;
}

/** Dropped in one look. */
const PAGE = 1_000;

export class BuriedLimit {
  readonly #parts: BuriedLimitParts;
  /** Queues that are looked at now; true: once more. */
  readonly #looking = new Map<string, boolean>();

  constructor(parts: BuriedLimitParts) {
    this.#parts = parts;
  }

  /** A job of this queue was buried. */
  buried({ partition, queue }: QueueRef): void {
    if (this.#parts.most === undefined) return;
    const name = `${partition}.${queue}`;
    if (this.#looking.has(name)) this.#looking.set(name, true);
    else void this.#look(name, { partition, queue }, this.#parts.most);
  }

  async #look(name: string, ref: QueueRef, most: number): Promise<void> {
    try {
      do {
        this.#looking.set(name, false);
        while ((await this.#dropOldest(ref, most)) === PAGE);
      } while (this.#looking.get(name) === true);
    } catch (error) {
      this.#parts.logger.warn(
        `buried jobs above maxBuried stay in ${name} for now: ${toError(error).message}`,
      );
    } finally {
      this.#looking.delete(name);
    }
  }

  async #dropOldest(ref: QueueRef, most: number): Promise<number> {
    const { broker, events } = this.#parts;
    const excess = ((await broker.count(ref))?.buried ?? 0) - most;
    if (excess <= 0) return 0;
    const oldest = await broker.listBuried(ref, { limit: Math.min(excess, PAGE) });
    const dropped = await broker.dropBuried(
      ref,
      oldest.map(({ id }) => id),
    );
    for (const id of dropped) events.emit("buried.dropped", { ...ref, id });
    return dropped.length;
  }
}
