/**
 * What is enqueued, on its way to the broker: keys first, then the message, then whoever waits is told.
 *
 * Owns no job. A job without a queue key goes straight to the publisher. Of two with one key only one is published: the
 * coordinator knows which, before either is; what becomes of the publish it is told afterwards, and takes from there what
 * nobody could tell it.
 */
import type { PublishOptions, Refusals } from "../broker/contract.ts";
import { BrokerUnreachable } from "../broker/errors.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { Clock } from "../kernel/types.ts";
import type { Connections } from "./connections.ts";
import type { JobKeys } from "./coordinator/job-keys.ts";
import { EnqueueGroup } from "./enqueue-group.ts";
import type { Sent } from "./letter.ts";
import type { Outgoing } from "./outgoing.ts";

export interface EnqueueParts {
  readonly connections: Connections;
  readonly outgoing: Outgoing;
  readonly keys: JobKeys;
  readonly clock: Clock;
  readonly place: string;
  /** Why a job that is not due yet is refused: when its time comes nobody is left to tell. */
  readonly refusalOf: (envelope: Envelope) => Promise<Error | undefined>;
}

export class Enqueues {
  readonly #parts: EnqueueParts;

  constructor(parts: EnqueueParts) {
    this.#parts = parts;
  }

  publish(envelopes: readonly Envelope[], options?: PublishOptions): Promise<Refusals | undefined> {
    const { connections, outgoing, clock, place } = this.#parts;
    if (connections.isEnding) return Promise.reject(new BrokerUnreachable(`${place} (closed)`));
    const group = new EnqueueGroup(envelopes.length);
    const dueAt = options?.dueAt ?? 0;
    const isDue = dueAt <= clock.now();
    for (const envelope of envelopes) {
      if (envelope.queueKey === undefined && isDue) outgoing.enqueue(envelope, group);
      else void this.#publishSlowly(envelope, isDue ? undefined : dueAt, group);
    }
    return group.done;
  }

  /** Why it was refused, or `undefined`. @throws EnqueueOutcomeUnknown */
  async one(envelope: Envelope): Promise<Error | undefined> {
    return (await this.publish([envelope]))?.get(envelope);
  }

  async #publishSlowly(envelope: Envelope, dueAt: number | undefined, group: EnqueueGroup): Promise<void> {
    const { keys } = this.#parts;
    const reserved = await keys.reserve(envelope);
    if (reserved instanceof Error) return group.refuse(envelope, reserved);
    const sent = await this.#send(envelope, dueAt, reserved === "again").catch(
      (error: Error): Sent => ({ kind: "unsent", error }),
    );
    // of what nobody knows nothing is said: the key stays with the id, which may be enqueued again
    if (sent.kind !== "unknown") keys.published(envelope, sent.kind === "confirmed");
    group.settled(envelope, sent);
  }

  async #send(envelope: Envelope, dueAt: number | undefined, mayBeCopy: boolean): Promise<Sent> {
    const { outgoing, refusalOf } = this.#parts;
    if (dueAt === undefined) return outgoing.enqueueOne(envelope, mayBeCopy);
    const error = await refusalOf(envelope);
    return error === undefined ? outgoing.enqueueLater(envelope, dueAt) : { kind: "unsent", error };
  }
}
