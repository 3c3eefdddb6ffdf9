/**
 * Enqueues that are told together: one promise for one job, or for the thousand of an `enqueueMany`.
 *
 * Owns what was refused of them. Resolves when the last is settled, with the refusals or `undefined`; a job by itself whose
 * outcome nobody knows rejects instead. A promise and two closures a job would cost more than its message.
 */
import type { Refusals } from "../broker/contract.ts";
import { EnqueueOutcomeUnknown, UnknownQueue } from "../broker/errors.ts";
import type { Envelope } from "../jobs/envelope.ts";
import type { Sent } from "./letter.ts";

export class EnqueueGroup {
  readonly done: Promise<Refusals | undefined>;
  #left: number;
  readonly #alone: boolean;
  #refused: Map<Envelope, Error> | undefined;
  #resolve: (refused: Refusals | undefined) => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(count: number) {
    this.#left = count;
    this.#alone = count === 1;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  settled(envelope: Envelope, sent: Sent): void {
    if (sent.kind === "confirmed") this.#over();
    else if (sent.kind === "unsent") this.refuse(envelope, sent.error);
    else if (sent.kind === "returned")
      this.refuse(envelope, new UnknownQueue(envelope.partition, envelope.queue));
    else {
      const error = new EnqueueOutcomeUnknown(envelope.id, { cause: sent.error });
      if (this.#alone) this.#reject(error);
      else this.refuse(envelope, error);
    }
  }

  /** Known: it is not stored; or, among others, not known. */
  refuse(envelope: Envelope, error: Error): void {
    this.#refused ??= new Map();
    this.#refused.set(envelope, error);
    this.#over();
  }

  #over(): void {
    if (--this.#left === 0) this.#resolve(this.#refused);
  }
}
