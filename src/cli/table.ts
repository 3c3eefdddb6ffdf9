/**
 * Rows as text: columns aligned for people, tabs for programs.
 *
 * Owns nothing. Columns whose cells are all numbers stand to the right.
 */

/** The last column is not padded, so that no line ends in blanks. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const columns = Array.from({ length: count }, (_, at) => column(rows, at));
  return rows.map((row) =>
    columns
      .map(({ width, right }, at) =>
        right ? (row[at] ?? "").padStart(width) : (row[at] ?? "").padEnd(width),
      )
      .join("  ")
      .trimEnd(),
  );
}

function column(rows: readonly (readonly string[])[], at: number) {
  const cells = rows.map((row) => row[at] ?? "");
  const right = cells.length > 1 && cells.slice(1).every((cell) => /^(?:[\d.,]+|—)$/.test(cell));
  return { width: Math.max(...cells.map((cell) => cell.length)), right };
}

export function tabbed(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => row.join("\t")).join("\n");
}
