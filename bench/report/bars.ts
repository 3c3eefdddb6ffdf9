/**
 * The rows of a suite as bars: ours beside the baseline, whose length is 1, or a value beside its limit.
 *
 * Owns nothing. Each row has its words at the left, its bars in the middle, its figures at the right, so that none
 * covers another. Rows with neither baseline nor limit are for the table.
 */
import { figure, goalText, mark, type Row } from "./rows.ts";
import { box, clip, line, picture, short, text, ticks, whisker } from "./svg.ts";

const WIDTH = 940;
const PLOT = { from: 316, to: 630 };
const FIGURES = 646;
const ROW = 44;
const HEAD = 34;
const FOOT = 30;
/** What is longer is cut off, and says so: one row must not make dots of all others. */
const MOST = 16;
const MOST_OF_LIMIT = 4;

interface Group {
  readonly title: string;
  readonly rows: readonly Row[];
  /** Lengths in units of the baseline, or of the limit. */
  scale(row: Row): Lengths;
  readonly most: number;
}

interface Lengths {
  readonly ours: number;
  readonly baseline: number | undefined;
  readonly low: number;
  readonly high: number;
  readonly goal: number | undefined;
}

/** Costs are better when they are small. */
const LESS_IS_BETTER = new Set(["ms", "µs", "s", "MiB", "job times", "bytes"]);

export const lessIsBetter = ({ rule, unit }: Pick<Row, "rule" | "unit">): boolean =>
  rule === null ? LESS_IS_BETTER.has(unit) : rule.includes("<=");

/** `undefined` when there is nothing to draw. */
export function bars(suite: string, rows: readonly Row[]): string | undefined {
  const groups = groupsOf(told(rows)).filter((group) => group.rows.length > 0);
  if (groups.length === 0) return undefined;
  const height = groups.reduce((sum, group) => sum + HEAD + group.rows.length * ROW + FOOT, 62);
  const parts = [text(20, 30, suite, "title"), ...legend(groups)];
  let y = 52;
  for (const group of groups) {
    parts.push(...drawn(group, y));
    y += HEAD + group.rows.length * ROW + FOOT;
  }
  return picture({ width: WIDTH, height }, `${suite}: ours beside the baseline and the goals`, parts);
}

/** Where rows differ in their baselines alone, those are what they are about. */
function told(rows: readonly Row[]): Row[] {
  const nameOf = (row: Row) => `${row.case}, ${row.metric}`;
  return rows.map((row) => {
    const isAlone = rows.filter((other) => nameOf(other) === nameOf(row)).length === 1;
    return isAlone || row.baseline === null ? row : { ...row, metric: `beside ${row.baseline.name}` };
  });
}

function groupsOf(rows: readonly Row[]): Group[] {
  const compared = rows.filter((row) => row.ratio !== null);
  const limited = rows.filter((row) => row.ratio === null && row.goal !== null && row.goal > 0);
  return [
    {
      title: "Times the baseline: longer is better",
      rows: compared.filter((row) => !lessIsBetter(row)),
      scale: besideBaseline,
      most: MOST,
    },
    {
      title: "Times the baseline: shorter is better",
      rows: compared.filter(lessIsBetter),
      scale: besideBaseline,
      most: MOST,
    },
    {
      title: "Times the limit: shorter is better",
      rows: limited.filter(lessIsBetter),
      scale: besideLimit,
      most: MOST_OF_LIMIT,
    },
  ];
}

const besideBaseline = (row: Row): Lengths => ({
  ours: row.ratio ?? 0,
  baseline: 1,
  low: row.low,
  high: row.high,
  goal: row.rule?.startsWith("ratio") ? (row.goal ?? undefined) : undefined,
});

function besideLimit({ value, low, high, goal, baseline }: Row): Lengths {
  const limit = goal ?? 1;
  return {
    ours: value / limit,
    baseline: baseline === null ? undefined : baseline.value / limit,
    low: low / limit,
    high: high / limit,
    goal: 1,
  };
}

function legend(groups: readonly Group[]): string[] {
  const y = 25;
  const besideBaselines = groups.some(({ rows }) => rows.some((row) => row.baseline !== null));
  return [
    box(PLOT.from, y - 9, 12, 10, "ours"),
    text(PLOT.from + 18, y, "Spillway", "small"),
    ...(besideBaselines
      ? [box(PLOT.from + 82, y - 9, 12, 10, "base"), text(PLOT.from + 100, y, "baseline", "small")]
      : []),
    whisker(PLOT.from + 164, PLOT.from + 186, y - 4),
    text(PLOT.from + 192, y, "range of the rounds", "small"),
    line(PLOT.from + 316, y - 11, PLOT.from + 316, y + 3, "goal"),
    text(PLOT.from + 322, y, "goal", "small"),
  ];
}

function drawn({ title, rows, scale, most }: Group, top: number): string[] {
  const lengths = rows.map(scale);
  const longest = Math.max(
    ...lengths.flatMap(({ ours, baseline = 0, high, goal = 0 }) => [ours, baseline, high, goal]),
  );
  const marks = ticks(Math.min(longest, most));
  const end = marks.at(-1) ?? 1;
  const x = (length: number) =>
    PLOT.from + (Math.min(Math.max(length, 0), end) / end) * (PLOT.to - PLOT.from);
  const first = top + HEAD;
  const bottom = first + rows.length * ROW;
  return [
    text(20, top + 18, title, "head soft"),
    ...marks.flatMap((at) => [
      line(x(at), first - 6, x(at), bottom, at === 0 ? "axis" : "grid"),
      text(x(at), bottom + 14, `${short(at)}×`, "small soft middle"),
    ]),
    ...rows.flatMap((row, i) => oneRow(row, scale(row), first + i * ROW, x, end)),
  ];
}

function oneRow(
  row: Row,
  { ours, baseline, low, high, goal }: Lengths,
  y: number,
  x: (length: number) => number,
  end: number,
): string[] {
  const from = PLOT.from;
  const beyond = Math.max(ours, baseline ?? 0, high) > end;
  return [
    text(20, y + 12, clip(row.case, 44), "strong"),
    text(20, y + 27, clip(row.metric, 50), "small soft"),
    box(from, y + 2, x(ours) - from, 14, "ours"),
    ...(baseline === undefined ? [] : [box(from, y + 19, x(baseline) - from, 9, "base")]),
    ...(high > low ? [whisker(x(low), x(high), y + 9)] : []),
    ...(goal === undefined ? [] : [line(x(goal), y - 2, x(goal), y + 31, "goal")]),
    ...(beyond ? [text(PLOT.to + 3, y + 13, "›", "strong")] : []),
    ...figures(row, y),
  ];
}

/** A long name is cut, its figure is not. */
const besideText = (name: string, value: string): string => `${clip(name, 46 - value.length)} ${value}`;

function figures(row: Row, y: number): string[] {
  const { value, unit, baseline, ratio, holds } = row;
  const ours = `${figure(value)} ${unit}`.trim();
  return [
    text(FIGURES, y + 13, ratio === null ? ours : `${figure(ratio)}×  ·  ${ours}`, "strong"),
    text(WIDTH - 34, y + 13, goalText(row), "small soft end"),
    ...(holds === null ? [] : [text(WIDTH - 28, y + 13, mark(row), holds ? "strong good" : "strong bad")]),
    ...(baseline === null
      ? []
      : [text(FIGURES, y + 28, besideText(baseline.name, figure(baseline.value)), "small soft")]),
  ];
}
