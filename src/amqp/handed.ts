/**
 * A delivery in this node's hands, and all of them by id.
 *
 * Owns the tie between a job and the channel that can acknowledge it. The tie is cut when the channel dies and made
 * anew when the job comes again: for whoever runs it nothing has happened meanwhile. A job leaves these hands when its
 * end is durable, or when it has been handed back, and not before: until then this node answers for it.
 */
import type { Delivery } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { InHand } from "./adoption.ts";
import type { LaneSubscription } from "./lane.ts";
import type { QueueChannel } from "./queue-channel.ts";
import type { QueueReader } from "./queue-reader.ts";

export class Handed implements Delivery, InHand {
  /** False once it was settled, by whoever has it. */
  live = true;
  readonly suspect = undefined;
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
  ) {}

  /** Another node may have started it meanwhile. */
  get doubtful(): boolean {
    return this.doubted || (this.source === undefined && this.reader.isCutOff);
  }

  get copy(): Envelope {
    return this.envelope;
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

/** Jobs in this node's hands, by id. */
export class Hands {
  readonly #byId = new Map<string, Handed>();

  get(id: string): Handed | undefined {
    return this.#byId.get(id);
  }

  add(handed: Handed): void {
    this.#byId.set(handed.envelope.id, handed);
  }

  /** Unless another delivery of that id is here by now. */
  remove(handed: Handed): void {
    const { id } = handed.envelope;
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
