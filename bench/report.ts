/**
 * Rows: what one is, as a table for people and as JSON for programs.
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
}

export function writeJson(path: string, rows: readonly Row[]): void {
  writeFileSync(path, `${JSON.stringify(rows, undefined, 2)}\n`);
}

const HEAD = ["suite", "case", "metric", "value", "baseline", "ratio", "range", "goal", ""];
/** Columns of numbers, which are set to the right. */
const RIGHT = new Set([3, 5, 6, 7]);

/** The table, lines joined; wide columns are as wide as they need. */
export function table(rows: readonly Row[]): string {
  const lines = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const drawn = lines.map((line) =>
    line
      .map((cell, column) =>
        RIGHT.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
  const [head = "", ...body] = drawn;
  const notes = rows
    .filter((row) => row.note !== undefined)
    .map((row) => `  ${row.suite} ${row.case}: ${row.note}`);
  return [
    head,
    "-".repeat(head.length),
    ...body,
    ...(notes.length === 0 ? [] : ["", ...new Set(notes)]),
  ].join("\n");
}

function cells(row: Row): string[] {
  const { baseline, ratio, goal, holds, rule } = row;
  return [
    row.suite,
    row.case,
    row.metric,
    `${figure(row.value)} ${row.unit}`,
    baseline === null ? "" : `${baseline.name} ${figure(baseline.value)}`,
    ratio === null ? "" : ratio.toFixed(2),
    row.low === row.high ? "" : `${figure(row.low)}–${figure(row.high)}`,
    goal === null ? "" : `${rule?.includes("<=") ? "≤" : "≥"} ${figure(goal)}`,
    holds === null ? "" : holds ? "✓" : "✗",
  ];
}

/** Three digits that count: 1,234,567 → 1,230,000. */
export function figure(value: number): string {
  if (value === 0) return "0";
  const digits = Number(value.toPrecision(3));
  return digits.toLocaleString("en-US", { maximumFractionDigits: 3 });
}
