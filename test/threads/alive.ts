/**
 * Whether a process runs.
 *
 * Owns nothing. A zombie that its new parent has not reaped is dead.
 */
import { readFileSync } from "node:fs";

export function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
