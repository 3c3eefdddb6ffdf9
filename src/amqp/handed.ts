/**
 * A delivery in this node's hands, and all of them by id.
 *
 * Owns the tie between a job and the channel that can acknowledge it. The tie is cut when the channel dies and made
 * anew when the job comes again: for whoever runs it nothing has happened meanwhile. A job leaves these hands when its
 * end is durable, or when it has been handed back, and not before: until then this node answers for it.
 */
import type { Delivery, QueueRef } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { InHand } from "./adoption.ts";
import type { Copy } from "./ended.ts";
import type { ForeignJob } from "./foreign.ts";
import type { LaneSubscription } from "./lane.ts";
import type { QueueChannel } from "./queue-channel.ts";
import type { QueueReader } from "./queue-reader.ts";

export class Handed implements Delivery, InHand {
  /** False once it was settled, by whoever has it. */
  live = true;
  /** It may have taken a process down: set before it is handed out. */
  suspect: Delivery["suspect"] = undefined;
  /** It came when this node was too young to know who is gone. */
  cameEarly = false;
  /** It came through a retry or delay queue for the first time, and was put there then. */
  putOffAt: number | undefined;
  /** Set when it is handed out. */
  subscription: LaneSubscription = NOBODY;
  /** The node was cut off for longer than others wait for it while this was here, and is back. */
  doubted = false;

  constructor(
    readonly envelope: Envelope,
    readonly redelivered: boolean,
    public reader: QueueReader,
    /** The channel it came by, while that lives. */
    public source: QueueChannel | undefined,
    public tag: number,
    /** Set for a message of another system that runs as it is. */
    readonly foreign?: ForeignJob,
  ) {
    this.copy = copyOf(envelope, foreign?.discriminator ?? envelope.enqueuedAt);
  }

  /** What tells it from other jobs, and from other copies of itself. */
  readonly copy: Copy;

  /** Another node may have started it meanwhile. */
  get doubtful(): boolean {
    return this.doubted || (this.source === undefined && this.reader.isCutOff);
  }

  get attached(): boolean {
    return this.source !== undefined;
  }

  /** By the order of the queue: channels one after the other, tags within them. */
  get place(): number {
    return (this.source?.serial ?? 0) * 2 ** 32 + this.tag;
  }
}

const NOBODY = undefined as unknown as LaneSubscription;

/** `enqueuedAt`: or what else tells one message of other systems from the next. */
export function copyOf({ partition, id, attempt, hop }: Envelope, enqueuedAt: number): Copy {
  return { id: refOf(partition, id), attempt, hop, enqueuedAt };
}

/** An id is its partition's. No partition has a slash in its name. */
export const refOf = (partition: string, id: string) => `${partition}/${id}`;

/** Jobs in this node's hands, by partition and id (`refOf`). */
export class Hands {
  readonly #byId = new Map<string, Handed>();

  get(ref: string): Handed | undefined {
    return this.#byId.get(ref);
  }

  add(handed: Handed): void {
    this.#byId.set(handed.copy.id, handed);
  }

  /** Of one queue, what nobody has settled yet, in its order. What a lost connection has cut off goes first: it is oldest. */
  of({ partition, queue }: QueueRef): readonly Handed[] {
    const all = [...this.#byId.values()].filter(
      ({ live, envelope }) => live && envelope.partition === partition,
    );
    return all.filter(({ envelope }) => envelope.queue === queue).sort((a, b) => a.place - b.place);
  }

  /** Unless another delivery of that id is here by now. */
  remove(handed: Handed): void {
    const { id } = handed.copy;
    if (this.#byId.get(id) === handed) this.#byId.delete(id);
  }

  get size(): number {
    return this.#byId.size;
  }

  /** The channel is gone: what it brought and somebody has stays in hand, untied. */
  untie(source: QueueChannel): void {
    for (const handed of this.#byId.values()) if (handed.source === source) handed.source = undefined;
  }

  /** The node was cut off for too long: whoever has something must ask before it tells the outcome. */
  doubtAll(): void {
    for (const handed of this.#byId.values()) if (!handed.attached) handed.doubted = true;
  }
}
