/**
 * An error of the store thread as it crosses to main: SQLite's word for it and its message.
 *
 * Owns nothing. Both drivers' errors end as one handful of words here; what a word means for the jobs of a commit is
 * decided on the main thread.
 */
import { kindOf } from "./driver.ts";
import type { Trouble } from "./protocol.ts";

export function troubleOf(thrown: unknown): Trouble {
  const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return { kind: kindOf(thrown) ?? "ERROR", message };
}
