/**
 * A process and what it has started, ended as one.
 *
 * Owns no state. A child leads a group of its own, so that a Ctrl-C in the terminal is not its end, and so that what its
 * bodies have started ends with it, also what has lost its parent since. What has left the group is found in `/proc`,
 * as long as its parent lives.
 */
import { killAll, withDescendants } from "../kill/inspect.ts";

/** SIGKILL to a leader, its group and its descendants; those besides itself that were found. */
export function killFamily(pid: number): readonly number[] {
  const descendants = withDescendants([pid]).slice(1);
  // The leader first: a body that waits for its child must not see it end.
  killAll([pid]);
  killGroup(pid);
  killAll(descendants);
  return descendants;
}

/** Ends this process, which leads a group, and all that it has started. `process.exit` would wait for native calls. */
export function killOurselves(): void {
  killAll(withDescendants([process.pid]).slice(1));
  killGroup(process.pid);
  killAll([process.pid]);
}

/** What is left of the group of a leader that is gone. */
export function killGroup(pid: number): void {
  if (process.platform !== "win32") killAll([-pid]);
}
