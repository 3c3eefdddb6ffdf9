/**
 * A buried job as it goes round again: attempt 0, one hop more, other args when they are given.
 *
 * Owns the rule only. Its history stays, so that whoever looks at it next sees why it was buried before.
 */
import { Envelope } from "../jobs/envelope.ts";

export function requeued(envelope: Envelope, argsText: string | undefined): Envelope {
  return new Envelope({
    ...envelope,
    attempt: 0,
    hop: envelope.hop + 1,
    argsText: argsText ?? envelope.argsText,
  });
}
