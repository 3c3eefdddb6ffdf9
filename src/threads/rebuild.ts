/**
 * When what has ended is built anew: in a later turn, or with backoff where it does not come up.
 *
 * Owns the waiting times of threads and of processes. The next job never waits for a building that could come later: a
 * thread that is built takes a core and the locks of our memory from the one beside it that begins a body.
 */

/** In a row, that die before they are ready, until it is said aloud. */
export const FAILURES_IN_A_ROW = 5;
const BACKOFF_FIRST_MS = 10;
const BACKOFF_MOST_MS = 2_000;
/** A hot one took the place of what has ended, and has begun a body by then. */
const SPARE_MS = 10;

/** `failures`: in a row, by now. `missed`: somebody waits for it, and no hot one is there. */
export function rebuildLater(failures: number, missed: boolean, build: () => void): { cancel(): void } {
  if (failures === 0 && missed) {
    const immediate = setImmediate(build);
    return { cancel: () => clearImmediate(immediate) };
  }
  const timer = setTimeout(build, failures === 0 ? SPARE_MS : backoffMs(failures));
  return { cancel: () => clearTimeout(timer) };
}

const backoffMs = (failures: number): number =>
  Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failures - 1, 20));
