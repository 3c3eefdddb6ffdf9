/**
 * How the end of a job is told, once it is durable: to whoever waits for its result, to listeners, to callbacks.
 *
 * Owns nothing. Jobs are buried and cancelled in several places (a worker, a consumer, the broker's own queue); what
 * the world hears of it is made here, so that it is the same from each.
 */
import type { QueueRef } from "../broker/contract.ts";
import type { Envelope } from "../jobs/envelope.ts";
import { JobFailed } from "../jobs/errors.ts";
import type { BuriedRecord } from "../jobs/failure.ts";
import { jobFields } from "./callbacks.ts";
import type { NodeServices } from "./services.ts";

/** `was`: what the cancel found it doing. */
export function tellCancelled(services: NodeServices, envelope: Envelope, was: string): void {
  services.results.ended(envelope.partition, envelope.id, { kind: "cancelled" }, envelope.replyTo);
  services.events.emit("job.cancelled", { ...jobFields(envelope), was });
  void services.callbacks.onCancel(envelope);
}

/** Nothing is known of it but its id: its queue was purged. */
export function tellPurged(
  { results, events }: NodeServices,
  { partition, queue }: QueueRef,
  id: string,
): void {
  results.ended(partition, id, { kind: "purged" });
  events.emit("job.purged", { partition, queue, id, job: "", attempt: 0 });
}

/** `states`: what `beforeRun` answered, if it ran. `first`: what must be over before `onBuried` is called. */
export function tellBuried(
  services: NodeServices,
  envelope: Envelope,
  record: BuriedRecord,
  states: readonly unknown[] = [],
  first: Promise<void> = Promise.resolve(),
): void {
  const error = new JobFailed(envelope.id, record.error);
  services.results.ended(envelope.partition, envelope.id, { kind: "buried", record }, envelope.replyTo);
  services.events.emit("job.buried", { ...jobFields(envelope), reason: record.reason, error });
  services.buriedLimit.buried(envelope);
  void first.then(() => services.callbacks.onBuried(envelope, error, states));
}

/** A mark that outlives its job would cancel the next one of that id. */
export async function unmark({ broker }: NodeServices, partition: string, id: string): Promise<void> {
  if (broker.isMarked(partition, id)) await broker.unmark(partition, id);
}
