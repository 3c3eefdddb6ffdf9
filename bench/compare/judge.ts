/**
 * Two builds' rows as rows of a comparison: ours is this build, the baseline is the other.
 *
 * Owns nothing. A rate may fall to 0.7 of the other's, a time may grow by as much. Sizes are shown, not judged: of those
 * that are near nothing a ratio says nothing.
 */
import { lessIsBetter } from "../report/bars.ts";
import type { Row } from "../report/rows.ts";
import { median } from "../runner/bench.ts";

/** What is slower than this is called slower; noise of a shared machine seldom goes so far, and seldom thrice. */
export const LEAST = 0.7;

/** By row, what each round measured of one build. */
type Values = Map<string, { readonly row: Row; readonly values: number[] }>;

const keyOf = (row: Row): string => JSON.stringify([row.suite, row.case, row.metric]);

function valuesOf(rounds: readonly (readonly Row[])[]): Values {
  const all: Values = new Map();
  for (const rows of rounds)
    for (const row of rows) {
      const known = all.get(keyOf(row)) ?? { row, values: [] };
      all.set(keyOf(row), known);
      known.values.push(row.value);
    }
  return all;
}

/** Rows that both builds have in every round; of the rest, which the other build lacks. */
export function judge(
  ours: readonly (readonly Row[])[],
  theirs: readonly (readonly Row[])[],
  other: string,
): { readonly rows: Row[]; readonly alone: readonly string[] } {
  const beside = valuesOf(theirs);
  const rows: Row[] = [];
  const alone: string[] = [];
  for (const [key, { row, values }] of valuesOf(ours)) {
    const baseline = beside.get(key)?.values;
    if (baseline === undefined || baseline.length !== values.length)
      alone.push(`${row.suite}: ${row.case}, ${row.metric}`);
    else rows.push(compared(row, values, baseline, other));
  }
  return { rows, alone };
}

function compared(row: Row, values: readonly number[], baseline: readonly number[], other: string): Row {
  const ratios = values.map((value, round) => value / (baseline[round] ?? Number.NaN));
  const ratio = median(ratios);
  const less = lessIsBetter({ rule: null, unit: row.unit });
  const goal = less ? 1 / LEAST : LEAST;
  const isJudged = row.unit !== "MiB" && Number.isFinite(ratio);
  return {
    suite: row.suite,
    case: row.case,
    metric: row.metric,
    unit: row.unit,
    value: median(values),
    low: Math.min(...ratios),
    high: Math.max(...ratios),
    baseline: { name: other, value: median(baseline) },
    ratio: Number.isFinite(ratio) ? ratio : null,
    goal: isJudged ? goal : null,
    holds: isJudged ? (less ? ratio <= goal : ratio >= goal) : null,
    rule: isJudged ? (less ? "ratio <= goal" : "ratio >= goal") : null,
    checked: row.checked,
  };
}

export const nameOf = (row: Row): string => `${row.suite}: ${row.case}, ${row.metric}`;

/** Rows that were slower in every repeat. */
export function slowerInAll(repeats: readonly (readonly Row[])[]): string[] {
  const slow = repeats.map((rows) => rows.filter(({ holds }) => holds === false).map(nameOf));
  const [first = [], ...rest] = slow;
  return first.filter((name) => rest.every((names) => names.includes(name)));
}
