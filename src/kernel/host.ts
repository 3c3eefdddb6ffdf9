/**
 * What every actor shares: clock, run loop, buffer, registry, calls, roots.
 *
 * Owns no code. It is the inside of `Kernel`, as a face of its own so that the files of the kernel do not
 * import the class that puts them together.
 */

import type { Cell } from "./actor.ts";
import type { Calls } from "./calls.ts";
import type { Family } from "./links.ts";
import type { OutBuffer } from "./out.ts";
import type { Registry } from "./registry.ts";
import type { RunLoop } from "./run-loop.ts";
import type { Clock, ExitReason, KernelApi } from "./types.ts";

export interface Host {
  readonly api: KernelApi;
  readonly clock: Clock;
  readonly loop: RunLoop;
  readonly out: OutBuffer;
  readonly registry: Registry;
  readonly calls: Calls;
  readonly roots: Family;
  lastPid: number;
  /** Whose step or effects run right now: its end waits until they are through. */
  running: Cell | undefined;
  /** An exit that is not orderly, or one below a supervisor. Never throws. */
  notice(cell: Cell, reason: ExitReason, parent: Cell | undefined): void;
  /** A bounded mailbox refused what a step has cast, and no one else will know. */
  mailboxFull(cell: Cell): void;
  /** Something that is not an actor threw inside the kernel (a listener). */
  stray(thrown: unknown): void;
}
