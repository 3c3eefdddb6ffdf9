/**
 * A look at what stands in a queue on the broker, which can only be had by taking it in hand for a moment.
 *
 * Owns the turns: two looks at one queue would hide its jobs from each other. Looks where nobody can be overtaken meanwhile:
 * nobody takes from the queue, or only this node does, and it has all that it may have and acknowledges nothing until the
 * look is over. What is put back is flagged as redelivered, keeps its order, and counts towards no burial.
 */
import type { ConsumeMessage } from "amqplib";
import type { Look, QueuedJob } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { copyOf } from "./handed.ts";
import { parcelOf } from "./parcel.ts";
import type { Parts } from "./parts.ts";
import type { QueueReader } from "./queue-reader.ts";
import { Turns } from "./turns.ts";
import { type Verdict, visit } from "./visit.ts";

interface Looked {
  readonly jobs: readonly QueuedJob[];
  readonly complete: boolean;
}

/** What is looked at. */
interface Sight {
  readonly name: string;
  readonly reader: QueueReader | undefined;
  readonly jobIn: (message: ConsumeMessage) => Promise<Envelope | undefined> | Envelope | undefined;
}

const ALL_SEEN: Looked = { jobs: [], complete: true };
const UNSEEN: Looked = { jobs: [], complete: false };
/** Nobody else takes what is waited for. */
const STILL_MS = 2_000;
/** Below what a visit can hold: nothing is published again for a look. */
const MOST = 9_000;
const MOST_BYTES = 32 * 1024 * 1024;
/** A quorum queue has what was put back a moment later. */
const BACK_MS = 10;
const BACK_TRIES = 100;
const MOVING_TRIES = 30;

export class Looks {
  readonly #parts: Parts;
  readonly #turns = new Turns();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  list(sight: Sight, limit: number, how: Look): Promise<Looked> {
    return this.#turns.take(sight.name, () => this.#list(sight, limit, how));
  }

  async #list(sight: Sight, limit: number, how: Look): Promise<Looked> {
    const { ready, consumers } = await this.#parts.count(sight.name);
    if (ready === undefined || ready === 0) return ALL_SEEN;
    if (limit <= 0) return UNSEEN;
    if (how === "deep") return this.#lookAtMoving(sight, limit, ready);
    // quorum queues count a consumer that is cancelled until all that it has brought is settled
    if (how === "careful" && consumers > 0) return UNSEEN;
    const still = () => this.#lookAtStill(sight, limit, ready);
    const { reader } = sight;
    if (reader?.takes !== true) return still();
    return (await reader.whileFull(still)) ?? UNSEEN;
  }

  async #lookAtStill(sight: Sight, limit: number, ready: number): Promise<Looked> {
    const looked = await this.#look(sight, limit, ready, STILL_MS);
    await this.#isBack(sight.name, ready, BACK_TRIES);
    return looked;
  }

  /** Others may have all of it before it is seen to be back. */
  async #lookAtMoving(sight: Sight, limit: number, ready: number): Promise<Looked> {
    const looked = await this.#look(sight, limit, ready);
    if (looked.jobs.length > 0) await this.#isBack(sight.name, 1, MOVING_TRIES);
    return looked;
  }

  /** Whoever looks next would see an empty queue before. */
  async #isBack(name: string, most: number, tries: number): Promise<void> {
    const { clock, count } = this.#parts;
    for (let tried = 0; tried < tries; tried++) {
      if (((await count(name)).ready ?? most) >= most) return;
      await new Promise<void>((resolve) => clock.timer(BACK_MS, resolve));
    }
  }

  async #look(sight: Sight, limit: number, ready: number, quietMs?: number): Promise<Looked> {
    const { visits, names, custody } = this.#parts;
    const jobs: QueuedJob[] = [];
    let [seen, bytes, hidden] = [0, 0, 0];
    const look = async (message: ConsumeMessage): Promise<Verdict> => {
      seen += 1;
      bytes += message.content.length;
      const envelope = await sight.jobIn(message);
      if (envelope !== undefined) jobs.push({ envelope, state: "available", dueAt: undefined });
      else if (parcelOf(message, names) !== undefined) hidden += 1;
      if (envelope !== undefined && !message.fields.redelivered)
        custody.looked(copyOf(envelope, envelope.enqueuedAt));
      return jobs.length >= limit || seen >= MOST || bytes >= MOST_BYTES ? "stop" : "keep";
    };
    await visit(visits, sight.name, look, quietMs);
    return { jobs, complete: seen >= ready && hidden === 0 };
  }
}
