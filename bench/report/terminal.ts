/**
 * Rows as a table for a terminal, and how any table is set there.
 *
 * Owns nothing. Columns are as wide as they need; notes stand below, each once.
 */
import { figure, goalText, mark, type Row, rangeText } from "./rows.ts";

const HEAD = ["suite", "case", "metric", "value", "baseline", "ratio", "range", "goal", ""];
/** Columns of numbers, which are set to the right. */
const RIGHT = new Set([3, 5, 6, 7]);

/** Cells in columns that are as wide as they need; those of `right` are set to the right. */
export function aligned(lines: readonly (readonly string[])[], right: ReadonlySet<number>): string[] {
  const columns = Math.max(0, ...lines.map((line) => line.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? "").length)),
  );
  return lines.map((line) =>
    line
      .map((cell, column) =>
        right.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** The table, lines joined. */
export function table(rows: readonly Row[]): string {
  const [head = "", ...body] = aligned([HEAD, ...rows.map(cells)], RIGHT);
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
  const { baseline, ratio } = row;
  return [
    row.suite,
    row.case,
    row.metric,
    `${figure(row.value)} ${row.unit}`,
    baseline === null ? "" : `${baseline.name} ${figure(baseline.value)}`,
    ratio === null ? "" : ratio.toFixed(2),
    rangeText(row),
    goalText(row),
    mark(row),
  ];
}
