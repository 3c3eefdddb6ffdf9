/**
 * Rows: what one is, and as JSON for programs.
 *
 * Owns no file handle longer than a write. `ratio` is ours against the baseline, measured in the same run; `goal` is
 * judged against the ratio where there is one and no rule says otherwise, else against the value.
 */
import { writeFileSync } from "node:fs";

export interface Row {
  readonly suite: string;
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  /** Median over the rounds. */
  readonly value: number;
  /** Range over the rounds: of the ratio when there is one, else of the value. */
  readonly low: number;
  readonly high: number;
  readonly baseline: { readonly name: string; readonly value: number } | null;
  /** Median of each round's ours ÷ baseline. */
  readonly ratio: number | null;
  readonly goal: number | null;
  readonly holds: boolean | null;
  /** What `goal` bounds. */
  readonly rule: "ratio >= goal" | "ratio <= goal" | "value >= goal" | "value <= goal" | null;
  /** Jobs, calls or spawns of this row that were shown to have run exactly once; 0 where nothing runs. */
  readonly checked: number;
  readonly note?: string;
  readonly curve?: Curve;
}

/** Where a row stands on a scaling curve. Rows of one suite with the same title are one picture, its lines by name. */
export interface Curve {
  readonly title: string;
  /** What grows: `jobs that wait`. */
  readonly axis: string;
  readonly at: number;
  /** What is drawn beside it: the baseline of each row, unless it says otherwise. */
  readonly line?: string;
  /** The baseline belongs to no point of its own: it is not drawn. */
  readonly alone?: boolean;
  /** The baseline is the value at 1; what is drawn is that, `at` times: what nothing lost on the way would be. */
  readonly linear?: boolean;
}

export function writeJson(path: string, rows: readonly Row[]): void {
  writeFileSync(path, `${JSON.stringify(rows, undefined, 2)}\n`);
}

/** Three digits that count: 1,234,567 → 1,230,000. */
export function figure(value: number): string {
  if (value === 0) return "0";
  const digits = Number(value.toPrecision(3));
  return digits.toLocaleString("en-US", { maximumFractionDigits: 3 });
}

/** `≥ 1.5`, `≤ 8`; empty where nothing is judged. */
export const goalText = ({ goal, rule }: Row): string =>
  goal === null ? "" : `${rule?.includes("<=") ? "≤" : "≥"} ${figure(goal)}`;

/** The range; empty where there was one round. */
export const rangeText = ({ low, high }: Row): string =>
  low === high ? "" : `${figure(low)}–${figure(high)}`;

export const mark = ({ holds }: Row): string => (holds === null ? "" : holds ? "✓" : "✗");

/** `31 of 40 goals hold`. */
export function verdict(rows: readonly Row[]): string {
  const judged = rows.filter((row) => row.holds !== null);
  return `${judged.filter((row) => row.holds === true).length} of ${judged.length} goals hold`;
}
