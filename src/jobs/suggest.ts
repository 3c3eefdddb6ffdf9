/**
 * "Did you mean": the candidate nearest to a word that nobody knows.
 *
 * Owns the distance (Damerau-Levenshtein, restricted: a swap of neighbours counts one) and where nearness ends.
 * Used for option names, units, job and queue names; a suggestion is help in a message, never acted on.
 */

/** Longer words are not compared: the work grows with the product of both lengths. */
const LONGEST = 64;

/**
 * The nearest candidate, or `undefined` when none is near: about one slip in three letters, case not counted.
 * Of equally near ones the first wins.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > LONGEST) return undefined;
  const lower = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const found = distance(lower, candidate.toLowerCase());
    if (found >= bestDistance) continue;
    best = candidate;
    bestDistance = found;
  }
  return best;
}

/** ` (did you mean "x"?)`, or nothing; to be appended to a message. */
export function hint(word: string, candidates: Iterable<string>): string {
  const near = suggest(word, candidates);
  return near === undefined ? "" : ` (did you mean "${near}"?)`;
}

/** One problem for each key of `given` that is not among `known`. */
export function unknownKeys(given: object, known: readonly string[]): string[] {
  const problems: string[] = [];
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) problems.push(`unknown key "${key}"${hint(key, known)}`);
  }
  return problems;
}

/** Three rows of the table are kept, since a swap looks two rows back. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) row.push(cell(a, b, i, j, row, last, beforeLast));
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

function cell(
  a: string,
  b: string,
  i: number,
  j: number,
  row: number[],
  last: number[],
  older: number[],
): number {
  const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1);
  const best = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
  const swapped =
    i > 1 &&
    j > 1 &&
    a.charCodeAt(i - 1) === b.charCodeAt(j - 2) &&
    a.charCodeAt(i - 2) === b.charCodeAt(j - 1);
  return swapped ? Math.min(best, (older[j - 2] ?? 0) + 1) : best;
}
