/**
 * Calls into the code of whoever gave a task: its outcome, its progress, the pool's events.
 *
 * Owns no state. A callback that throws is its author's bug: it must surface as an uncaught exception, and must
 * neither leave the ring half changed nor cost another task its outcome.
 */
import type { Outcome, Task } from "./types.ts";

/** Gives a task its one outcome. */
export function endTask(task: Task, outcome: Outcome): void {
  try {
    task.ended(outcome);
  } catch (error) {
    surface(error);
  }
}

/** The same, never from within a call of the pool's owner. */
export function endLater(task: Task, outcome: Outcome): void {
  queueMicrotask(() => endTask(task, outcome));
}

export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    surface(error);
  }
}

function surface(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
