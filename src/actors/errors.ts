/**
 * Errors of the actors' own calls.
 *
 * Owns the classes only; `docs/errors.md` has a row for each.
 */
import { SpillwayError } from "../kernel/errors.ts";

/** No such command on the node that was asked. */
export class UnknownCommand extends SpillwayError {
  readonly code = "UnknownCommand";
  constructor(readonly command: string) {
    super(`no command "${command}" is registered on this node; register it with runtime.system.register.`);
  }
}

/** Nothing was changed: the partition is not here, or is on its way out. */
export class PartitionNotRunning extends SpillwayError {
  readonly code = "PartitionNotRunning";
  constructor(readonly partition: string) {
    super(
      `partition "${partition}" is neither running nor waiting on this node; start it with runtime.partitions.start.`,
    );
  }
}
