/**
 * One clock for main and all threads: milliseconds of the system's monotonic clock.
 *
 * Owns the offset only. `performance.now()` alone counts from the start of its own thread, and `timeOrigin` is wall
 * time, which may step between the start of two threads; `hrtime` is the same everywhere but allocates, so it is
 * read once to learn the offset.
 */

function offsetMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6 - performance.now();
}

/** A thread that is held up between the two readings finds too little: the largest of a few is right. */
const OFFSET_MS = Math.max(...Array.from({ length: 5 }, offsetMs));

/** Comparable between the threads of one process. */
export function monotonicMs(): number {
  return performance.now() + OFFSET_MS;
}
