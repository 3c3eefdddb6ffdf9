/**
 * The worker processes of this process, by a word that only they know: a worker that connects says it, so that its process
 * can be ended with its connection.
 *
 * Owns the words of those that live. A number of a process would not do: other machines have the same ones.
 */

/** What a process finds its word under. */
export const PROCESS_VARIABLE = "SPILLWAY_WORKER";

const own = new Map<string, number>();

export function remember(word: string, pid: number): void {
  own.set(word, pid);
}

export function forget(word: string): void {
  own.delete(word);
}

/** SIGKILL to the group that it leads; false when it is none of ours, or gone. */
export function endProcess(word: string): boolean {
  const pid = own.get(word);
  if (pid === undefined) return false;
  try {
    process.kill(-pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}
