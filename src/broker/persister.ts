/**
 * What keeps a partition's marks, pauses and (on RabbitMQ) queue keys, where that is not the broker itself.
 *
 * Owns no code. The bytes are opaque to it: what `store` was given last, followed by what `append` was given since, in
 * order, is what `load` gives back. It is asked by one coordinator at a time, one call at a time for each partition, and a
 * request is answered only after the call that carries its change has resolved. `docs/persisters.md` says it for people.
 */

export interface Persister {
  /** Before anything else is asked of it, whenever a coordinator takes over; may come again. */
  init(partition: string): void | Promise<void>;
  /**
   * All that is there; `undefined`: nothing was ever stored. An error, or bytes that are none of ours, keeps the
   * partition waiting: nothing is stored over them.
   */
  load(partition: string): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** Replaces everything, as a whole or not at all; durable when it resolves. */
  store(partition: string, bytes: Uint8Array): void | Promise<void>;
  /**
   * Puts these behind what is there; durable when it resolves. Without it the whole state is stored at each change, and
   * jobs with queue keys are refused.
   */
  append?(partition: string, bytes: Uint8Array): void | Promise<void>;
  /** When the node has stopped. */
  close?(): void | Promise<void>;
}
