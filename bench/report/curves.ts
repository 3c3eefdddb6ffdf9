/**
 * What grows, as curves: one panel for each title, with ours and what stands beside it as lines.
 *
 * Owns nothing. What grows runs to the right, by powers where it spans more than tenfold; values begin at 0, so that
 * a steep line is a steep line.
 */
import { type Curve, figure, type Row } from "./rows.ts";
import { clip, dot, line, path, picture, short, text, ticks } from "./svg.ts";

const WIDTH = 940;
const PANEL = { width: 450, height: 262 };
const PLOT = { left: 62, right: 28, top: 62, bottom: 50 };
const OURS = "Spillway";
const LINEAR = "linear";

type OnCurve = Row & { readonly curve: Curve };

interface Line {
  readonly name: string;
  readonly points: readonly { readonly at: number; readonly value: number }[];
}

/** `undefined` when no title has two points. */
export function curves(suite: string, rows: readonly Row[]): string | undefined {
  const panels = [...byTitle(rows).values()].filter(
    (one) => new Set(one.map(({ curve }) => curve.at)).size > 1,
  );
  if (panels.length === 0) return undefined;
  const height = 48 + Math.ceil(panels.length / 2) * PANEL.height;
  const parts = panels.flatMap((panel, i) =>
    drawn(panel, 14 + (i % 2) * (PANEL.width + 12), 44 + Math.floor(i / 2) * PANEL.height),
  );
  const width = panels.length === 1 ? PANEL.width + 28 : WIDTH;
  const about = `${suite}: ${panels.map((panel) => panel[0]?.curve.title).join("; ")}`;
  return picture({ width, height }, about, [text(20, 30, suite, "title"), ...parts]);
}

function byTitle(rows: readonly Row[]): Map<string, OnCurve[]> {
  const panels = new Map<string, OnCurve[]>();
  for (const row of rows) {
    const { curve } = row;
    if (curve === undefined) continue;
    const panel = panels.get(curve.title) ?? [];
    panels.set(curve.title, panel);
    panel.push({ ...row, curve });
  }
  return panels;
}

function linesOf(rows: readonly OnCurve[]): Line[] {
  const lines = new Map<string, { at: number; value: number }[]>();
  const add = (name: string, at: number, value: number) =>
    lines.set(name, [...(lines.get(name) ?? []), { at, value }]);
  for (const { curve, value } of rows) add(curve.line ?? OURS, curve.at, value);
  for (const { curve, value, baseline } of rows)
    if (curve.linear === true) add(LINEAR, curve.at, curve.at * (baseline?.value ?? value / curve.at));
    else if (baseline !== null && curve.alone !== true) add(baseline.name, curve.at, baseline.value);
  return [...lines].map(([name, points]) => ({ name, points: points.sort((a, b) => a.at - b.at) }));
}

/** `left`, `top`: of the panel. */
function drawn(rows: readonly OnCurve[], left: number, top: number): string[] {
  const [first] = rows;
  if (first === undefined) return [];
  const lines = linesOf(rows);
  const points = lines.flatMap((one) => one.points);
  const limit = limitOf(rows);
  const marks = ticks(Math.max(...points.map(({ value }) => value), limit ?? 0) * 1.1);
  const plot = {
    left: left + PLOT.left,
    right: left + PANEL.width - PLOT.right,
    top: top + PLOT.top,
    bottom: top + PANEL.height - PLOT.bottom,
  };
  const ats = [...new Set(points.map(({ at }) => at))].sort((a, b) => a - b);
  const x = across(ats, plot.left + 26, plot.right - 20);
  const y = (value: number) =>
    plot.bottom - (Math.max(value, 0) / (marks.at(-1) ?? 1)) * (plot.bottom - plot.top);
  return [
    text(left + 8, top + 18, clip(first.curve.title, 60), "head"),
    ...names(lines, left + 8, top + 38),
    ...marks.flatMap((value) => [
      line(plot.left, y(value), plot.right, y(value), value === 0 ? "axis" : "grid"),
      text(plot.left - 8, y(value) + 4, short(value), "small soft end"),
    ]),
    ...ats.map((at) => text(x(at), plot.bottom + 17, short(at), "small soft middle")),
    text((plot.left + plot.right) / 2, plot.bottom + 35, first.curve.axis, "small soft middle"),
    text(plot.left - 8, plot.top - 10, first.unit, "small soft end"),
    ...(limit === undefined
      ? []
      : [
          line(plot.left, y(limit), plot.right, y(limit), "goal"),
          text(plot.right, y(limit) - 6, `goal: at most ${figure(limit)}`, "small soft end"),
        ]),
    // ours last: on top of the others
    ...lines.toReversed().flatMap((one) => oneLine(one, one === lines[0], x, y)),
  ];
}

/** What the value of some point may be at most. */
const limitOf = (rows: readonly OnCurve[]): number | undefined =>
  rows.find(({ rule }) => rule === "value <= goal")?.goal ?? undefined;

function across(ats: readonly number[], from: number, to: number): (at: number) => number {
  const least = ats[0] ?? 0;
  const most = ats.at(-1) ?? 1;
  const of = least > 0 && most / least > 10 ? Math.log10 : (at: number) => at;
  return (at) => from + ((of(at) - of(least)) / (of(most) - of(least))) * (to - from);
}

/** Which line is which; a lone one needs no name. */
function names(lines: readonly Line[], left: number, y: number): string[] {
  if (lines.length < 2) return [];
  let x = left;
  return lines.flatMap(({ name }, i) => {
    const at = x;
    const words = clip(name, 34);
    x += 40 + words.length * 6.3;
    return [
      line(at, y - 4, at + 16, y - 4, i === 0 ? "curve" : "beside"),
      text(at + 22, y, words, "small soft"),
    ];
  });
}

function oneLine(
  { points }: Line,
  ours: boolean,
  x: (at: number) => number,
  y: (value: number) => number,
): string[] {
  return [
    path(
      points.map(({ at, value }) => [x(at), y(value)]),
      ours ? "curve" : "beside",
    ),
    ...points.map(({ at, value }) => dot(x(at), y(value), ours ? "ours" : "dot")),
    ...(ours
      ? spaced(points, x).map(({ at, value }) =>
          text(x(at), y(value) - 9, figure(value), "small strong middle"),
        )
      : []),
  ];
}

/** Those whose figures have room: not those close behind another, the last one excepted. */
function spaced(points: Line["points"], x: (at: number) => number): Line["points"] {
  const ROOM = 46;
  return points.filter(({ at }, i) => {
    const next = points.at(-1) === points[i + 1] ? points[i + 1] : undefined;
    const before = points[i - 1];
    const isLast = i === points.length - 1;
    if (next !== undefined && x(next.at) - x(at) < ROOM) return false;
    return isLast || before === undefined || x(at) - x(before.at) >= ROOM;
  });
}
