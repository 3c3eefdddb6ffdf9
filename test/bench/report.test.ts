/**
 * The report and its pictures, from rows that were made up: nothing is measured, and nothing is drawn by eye.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { bars } from "../../bench/report/bars.ts";
import { curves } from "../../bench/report/curves.ts";
import { renderMarkdown, writeMarkdown } from "../../bench/report/markdown.ts";
import { overview } from "../../bench/report/overview.ts";
import { pictures, writePictures } from "../../bench/report/pictures.ts";
import type { Report } from "../../bench/report/report.ts";
import type { Row } from "../../bench/report/rows.ts";
import { short, ticks } from "../../bench/report/svg.ts";

const plain: Row = {
  suite: "memory",
  case: "16 in flight",
  metric: "no-op jobs",
  unit: "jobs/s",
  value: 90_000,
  low: 90_000,
  high: 90_000,
  baseline: null,
  ratio: null,
  goal: null,
  holds: null,
  rule: null,
  checked: 100,
};
const faster: Row = {
  ...plain,
  baseline: { name: "raw Piscina", value: 30_000 },
  ratio: 3,
  low: 2.5,
  high: 3.5,
  goal: 2.5,
  holds: true,
  rule: "ratio >= goal",
};
const costly: Row = {
  ...plain,
  metric: "main thread a job",
  unit: "µs",
  value: 8,
  low: 7,
  high: 9,
  goal: 5,
  holds: false,
  rule: "value <= goal",
  note: "one | two",
};
const on = (at: number, value: number): Row => ({
  ...plain,
  case: `${at}`,
  value,
  curve: { title: "Jobs a second", axis: "in flight", at },
});

const reportOf = (rows: readonly Row[], rest: Partial<Report> = {}): Report => ({
  facts: {
    date: "2026-01-02",
    machine: "2 cores, 4 GiB, linux x64",
    versions: { Spillway: "1.2.3 (abcdef0)", "Node.js": "22.0.0" },
    rounds: 3,
    quick: false,
    load: 0.1,
    seconds: 600,
  },
  suites: [{ name: "memory", about: "Jobs that do nothing.", rows, seconds: 12 }],
  leftOut: [],
  failed: [],
  ...rest,
});

/** Tags that are open at the end, or closed without having been opened: a picture with one is not shown. */
function unbalanced(svg: string): string[] {
  const open: string[] = [];
  for (const [, close, name = "", own] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (own === "/") continue;
    if (close === "") open.push(name);
    else if (open.pop() !== name) return [`</${name}>`];
  }
  return open;
}

const widths = (svg: string, kind: string): number[] =>
  [...svg.matchAll(new RegExp(`width="([\\d.]+)" height="[\\d.]+" rx="2" class="${kind}"`, "g"))].map(
    ([, width]) => Number(width),
  );

test("bars are as long as they say: ours three times the baseline's, the goal between", () => {
  const svg = bars("memory", [faster]) ?? "";
  expect(unbalanced(svg)).toEqual([]);
  // the first of each kind is the legend's
  const [, ours = 0] = widths(svg, "ours");
  const [, baseline = 0] = widths(svg, "base");
  expect(ours / baseline).toBeCloseTo(3, 1);
  const goals = [...svg.matchAll(/<line x1="([\d.]+)"[^>]*class="goal"/g)].map(([, x]) => Number(x));
  expect((goals[1] ?? 0) - 316).toBeCloseTo(baseline * 2.5, 0);
  for (const words of ["16 in flight", "3×  ·  90,000 jobs/s", "raw Piscina 30,000", "≥ 2.5", "✓"])
    expect(svg).toContain(words);
});

test("a value beside its limit is a part of it, and what is far off does not make dots of the others", () => {
  const svg = bars("memory", [costly, { ...costly, value: 5_000, high: 5_000 }]) ?? "";
  const [, first = 0, second = 0] = widths(svg, "ours");
  expect(first / second).toBeGreaterThan(0.3);
  expect(svg).toContain("›");
  expect(svg).toContain("✗");
});

test("a row that compares nothing is for the table alone", () => {
  expect(bars("memory", [plain])).toBeUndefined();
  expect(overview([{ name: "memory", about: "", rows: [plain], seconds: 1 }])).toBeUndefined();
});

test("what rows say is text, whatever is in it", () => {
  const svg = bars("memory", [{ ...faster, case: '<script> & "x"' }]) ?? "";
  expect(unbalanced(svg)).toEqual([]);
  expect(svg).toContain("&#60;script&#62; &#38; &#34;x&#34;");
});

test("curves have a point for each row, in order, and the baseline as a second line", () => {
  const rows = [on(64, 100), on(1, 50), on(16, 90)];
  const lone = curves("memory", rows) ?? "";
  expect(unbalanced(lone)).toEqual([]);
  expect(lone.match(/<polyline/g)).toHaveLength(1);
  const [, points = ""] = /points="([^"]+)"/.exec(lone) ?? [];
  const xs = points.split(" ").map((point) => Number(point.split(",")[0]));
  expect(xs).toHaveLength(3);
  expect(xs).toEqual([...xs].sort((a, b) => a - b));
  const both =
    curves(
      "memory",
      rows.map((row) => ({ ...row, baseline: { name: "raw", value: 10 } })),
    ) ?? "";
  expect(both.match(/<polyline/g)).toHaveLength(2);
  expect(both).toContain(">raw</text>");
});

test("beside a curve that should be straight stands the line that it would be", () => {
  const straight = (at: number, value: number, one?: number): Row => ({
    ...on(at, value),
    curve: { title: "Jobs a second", axis: "nodes", at, linear: true },
    baseline: one === undefined ? null : { name: "1 node", value: one },
  });
  const svg = curves("nodes", [straight(1, 10), straight(2, 15, 10), straight(4, 20, 10)]) ?? "";
  expect(unbalanced(svg)).toEqual([]);
  expect(svg).toContain(">linear</text>");
  const lines = [...svg.matchAll(/<polyline points="([^"]+)"/g)].map(([, points = ""]) =>
    points.split(" ").map((point) => point.split(",").map(Number)),
  );
  const [linear = []] = lines; // ours is drawn last
  const slopes = linear.slice(1).map(([x = 0, y = 0], i) => {
    const [fromX = 0, fromY = 0] = linear[i] ?? [];
    return (y - fromY) / (x - fromX);
  });
  expect(lines).toHaveLength(2);
  expect(slopes[0]).toBeCloseTo(slopes[1] ?? 0, 1);
});

test("one point is no curve", () => {
  expect(curves("memory", [on(1, 50), on(1, 60)])).toBeUndefined();
});

test("the overview has a square for each goal", () => {
  const svg =
    overview([{ name: "memory", about: "", rows: [costly, faster, faster, plain], seconds: 1 }]) ?? "";
  expect(widths(svg, "good")).toHaveLength(2);
  expect(widths(svg, "bad")).toHaveLength(1);
  expect(svg).toContain("2 of 3 goals hold");
});

test("the report says what it ran on, shows pictures by link, and has a row for each row", () => {
  const report = reportOf([faster, costly, on(1, 5), on(2, 6)]);
  const text = renderMarkdown(report, pictures(report), "benchmarks");
  for (const part of [
    "| date | 2026-01-02 |",
    "| machine | 2 cores, 4 GiB, linux x64 |",
    "Spillway 1.2.3 (abcdef0), Node.js 22.0.0",
    "| checked | 400 jobs",
    "![memory, beside the baseline and its goals](benchmarks/memory.svg)",
    "](benchmarks/memory-curves.svg)",
    "](benchmarks/overview.svg)",
    "Jobs that do nothing. 1 of 2 goals hold. It took 12 s.",
    "| 16 in flight | no-op jobs | 90,000 jobs/s | raw Piscina 30,000 | **3** | 2.5–3.5 | ≥ 2.5 | ✓ |",
    // the case is not repeated
    "|  | main thread a job | 8 µs |  |  | 7–9 | ≤ 5 | ✗ |",
    "- [memory](#memory): 16 in flight, main thread a job: 8 µs, wanted ≤ 5",
  ])
    expect(text).toContain(part);
  expect(text).not.toContain("failed");
});

test("a run that failed says so, without a stack, and does not claim that all ran exactly once", () => {
  const failed = ["memory: Error: no disk\n    at somewhere"];
  const leftOut = [{ what: "peers", how: "start Redis" }];
  const text = renderMarkdown(reportOf([plain], { failed, leftOut }), [], "");
  expect(text).toContain("**This run failed.**");
  expect(text).toContain("- memory: Error: no disk\n");
  expect(text).not.toContain("somewhere");
  expect(text).not.toContain("exactly once");
  expect(text).toContain("## Left out\n\n- peers: start Redis");
});

test("pictures are linked from where the report stands, and those of another run go", () => {
  const folder = mkdtempSync(join(tmpdir(), "report-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const report = reportOf([faster]);
  const drawn = pictures(report);
  const svg = join(folder, "docs", "pictures");
  writePictures(svg, drawn);
  writeFileSync(join(svg, "gone.svg"), "");
  writeFileSync(join(svg, "notes.txt"), "");
  writeFileSync(join(svg, "flame-memory.svg"), "");
  writePictures(svg, drawn);
  expect(readdirSync(svg).sort()).toEqual(["flame-memory.svg", "memory.svg", "notes.txt", "overview.svg"]);
  const file = join(folder, "docs", "report.md");
  writeMarkdown(file, svg, (link) => renderMarkdown(report, drawn, link));
  const links = [...readFileSync(file, "utf8").matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(
    ([, link = ""]) => link,
  );
  expect(links).toEqual(["pictures/overview.svg", "pictures/memory.svg"]);
  for (const link of links) expect(existsSync(join(folder, "docs", link))).toBe(true);
});

test("axes have round numbers, from 0 to what is to be shown at least", () => {
  expect(ticks(3.4)).toEqual([0, 1, 2, 3, 4]);
  expect(ticks(108_000)).toEqual([0, 50_000, 100_000, 150_000]);
  expect(ticks(0)).toEqual([0, 1]);
  expect([0, 950, 1_500, 2_500_000].map(short)).toEqual(["0", "950", "1.5k", "2.5M"]);
});
