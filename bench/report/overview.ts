/**
 * All goals of a run at a glance: a line for each suite, a square for each goal.
 *
 * Owns nothing. What missed its goal stands at the end of its line, and is in the suite's own picture and table.
 */
import type { SuiteReport } from "./report.ts";
import { verdict } from "./rows.ts";
import { box, picture, text } from "./svg.ts";

const WIDTH = 940;
const ROW = 26;
const FIRST = 130;
const PER_LINE = 40;
const SQUARE = 16;

/** `undefined` when nothing is judged. */
export function overview(suites: readonly SuiteReport[]): string | undefined {
  const judged = suites
    .map(({ name, rows }) => ({ name, rows: rows.filter((row) => row.holds !== null) }))
    .filter(({ rows }) => rows.length > 0);
  if (judged.length === 0) return undefined;
  const parts = [text(20, 30, verdict(judged.flatMap(({ rows }) => rows)), "title")];
  let y = 58;
  for (const { name, rows } of judged) {
    const held = rows.filter((row) => row.holds === true).length;
    parts.push(text(20, y + 12, name, "strong"));
    rows.forEach((_, i) => {
      const x = FIRST + (i % PER_LINE) * (SQUARE + 2);
      parts.push(
        box(x, y + Math.floor(i / PER_LINE) * (SQUARE + 2), SQUARE, SQUARE - 2, i < held ? "good" : "bad"),
      );
    });
    parts.push(text(WIDTH - 24, y + 12, `${held} of ${rows.length}`, "soft end"));
    y += ROW + Math.floor((rows.length - 1) / PER_LINE) * (SQUARE + 2);
  }
  return picture({ width: WIDTH, height: y + 12 }, "Goals that hold, by suite", parts);
}
