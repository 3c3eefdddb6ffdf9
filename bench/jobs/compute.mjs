/**
 * About a millisecond of computing on a core of these days: the same work wherever it runs, not the same time.
 *
 * Owns nothing. The body `computes` of both sides calls it.
 */
const STEPS = 600_000;

/** A xorshift; what it returns keeps the loop from being left out. */
export function compute() {
  let state = 2_463_534_242;
  for (let step = 0; step < STEPS; step++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
  return state;
}
