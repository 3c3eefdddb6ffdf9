/**
 * The states of a job and the moves between them, as one table.
 *
 * Owns the words and which move is legal; `docs/states.md` draws the same table, and a test compares the two. Who
 * carries out a move (a broker, mostly) makes it durable.
 */

export type JobState =
  | "available" /* may be handed out */
  | "scheduled" /* waits for its time: a delay or a retry */
  | "running" /* in a node's hands, its body started */
  | "completed"
  | "buried" /* kept aside for people: list, re-queue, drop */
  | "cancelled"
  | "purged"
  | "dropped"; /* removed from the buried ones */

/** Every legal move. A state with none is an end: the job is gone and its queue key free. */
export const TRANSITIONS: { readonly [From in JobState]: readonly JobState[] } = {
  available: ["running", "cancelled", "purged", "buried"],
  scheduled: ["available", "cancelled", "purged", "buried"],
  running: ["completed", "scheduled", "buried", "cancelled", "available"],
  buried: ["available", "dropped"],
  completed: [],
  cancelled: [],
  purged: [],
  dropped: [],
};

export const JOB_STATES = Object.keys(TRANSITIONS) as readonly JobState[];

export function canMove(from: JobState, to: JobState): boolean {
  return TRANSITIONS[from].includes(to);
}

/** The job has ended: nothing of it is left but its events. */
export function isEnd(state: JobState): boolean {
  return TRANSITIONS[state].length === 0;
}

/** Its queue key is held: a second job with that key is a duplicate. A buried job has given its key back. */
export function holdsQueueKey(state: JobState): boolean {
  return state === "available" || state === "scheduled" || state === "running";
}
