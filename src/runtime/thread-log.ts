/**
 * What the threads say that no job's event tells, as lines of the log.
 *
 * Owns no state. Each line names whose fault it is, and what becomes of it: an operator reads it long after the job.
 */
import type { Logger } from "../actors/services.ts";
import type { PoolEvent } from "../threads/types.ts";

export function threadLog(logger: Logger): (event: PoolEvent) => void {
  return (event) => {
    switch (event.type) {
      case "module.hung":
        return logger.warn(
          `the module of job "${event.module.name}" did not finish loading: from now on only its own jobs load it`,
          { url: event.module.url },
        );
      case "thread.blamed":
        return logger.warn(
          `what job ${event.jobId ?? "(unknown)"} left behind after its end has ended its thread (${event.failure.message}); what ran there runs again`,
          event.failure,
        );
      case "threads.failing":
        return logger.error(
          `threads end before they are ready, ${event.failures} in a row; it is tried again: ${event.reason}`,
        );
      case "threads.wedged-limit":
        return logger.error(
          `${event.wedged} threads hang in native calls, more than maxWedged: from now on each takes a slot until its call returns`,
        );
    }
  };
}
