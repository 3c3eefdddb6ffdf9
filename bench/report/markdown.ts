/**
 * The report of a run, to read: what it ran on, the goals at a glance, then each suite with a sentence, its pictures, its
 * table and its notes.
 *
 * Owns no file handle longer than a write. Pictures are linked from where the report stands.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import type { Picture } from "./pictures.ts";
import { checkedIn, type Report, type SuiteReport } from "./report.ts";
import { figure, goalText, mark, type Row, rangeText, verdict } from "./rows.ts";

/** Writes what `render` makes of the folder of pictures, as it is seen from the report. */
export function writeMarkdown(
  path: string,
  svgFolder: string | undefined,
  render: (folder: string) => string,
): void {
  const here = dirname(resolve(path));
  mkdirSync(here, { recursive: true });
  const folder = svgFolder === undefined ? "" : relative(here, resolve(svgFolder)).split(sep).join("/");
  writeFileSync(path, render(folder));
}

/** `folder`: of the pictures, as a link. */
export function renderMarkdown(report: Report, pictures: readonly Picture[], folder: string): string {
  const shown = (suite: string | undefined) =>
    pictures
      .filter((picture) => picture.suite === suite)
      .map(({ file, alt }) => `![${alt}](${folder === "" ? "" : `${folder}/`}${file})`);
  const parts = [
    "# Benchmarks",
    "Written by `npm run bench`; [bench/README.md](../bench/README.md) says what each row measures and how, and [performance.md](performance.md) what was tried.",
    facts(report),
    ...failures(report),
    ...shown(undefined),
    ...missed(report),
    howToRead(report),
    ...report.suites.flatMap((suite) => part(suite, shown(suite.name))),
    ...leftOut(report),
  ];
  return `${parts.join("\n\n")}\n`;
}

function facts(report: Report): string {
  const { date, machine, versions, rounds, quick, load, seconds } = report.facts;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const minutes = seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
  return [
    "| | |",
    "| --- | --- |",
    `| date | ${date} |`,
    `| machine | ${machine} |`,
    `| versions | ${names.join(", ")} |`,
    `| settings | ${rounds} rounds${quick ? ", quick (a fifth of the jobs): not for comparing" : ""} |`,
    `| load before | ${load.toFixed(2)} a core${load > 0.5 ? ": read ratios only" : ""} |`,
    `| took | ${minutes} |`,
    `| checked | ${checkedIn(report).toLocaleString("en-US")} jobs, calls and spawns, each of which ran exactly once |`,
  ]
    .slice(0, report.failed.length > 0 ? -1 : undefined)
    .join("\n");
}

const failures = ({ failed }: Report): string[] =>
  failed.length === 0
    ? []
    : [`**This run failed.** What was not as it must be:\n\n${list(failed.map(firstLine))}`];

/** Without a stack, which has the paths of a machine. */
const firstLine = (text: string): string => text.split("\n")[0] ?? "";

function missed({ suites }: Report): string[] {
  const rows = suites.flatMap((suite) => suite.rows).filter((row) => row.holds === false);
  if (rows.length === 0) return [];
  const lines = rows.map((row) => {
    const got = row.rule?.startsWith("ratio")
      ? `${figure(row.ratio ?? 0)}×`
      : `${figure(row.value)} ${row.unit}`;
    return `[${row.suite}](#${row.suite}): ${row.case}, ${row.metric}: ${got}, wanted ${goalText(row)}`;
  });
  return [`Missed, with what was tried in [performance.md](performance.md):\n\n${list(lines)}`];
}

function howToRead({ suites }: Report): string {
  const names = suites.map(({ name }) => `[${name}](#${name})`).join(" · ");
  return `Ours and the baseline run in turn, in one run. A row shows the median of the rounds; *ratio* is ours over the baseline, the median of each round's own; *range* is that of the ratio where there is one, else of the value. Compare ratios, never values of two machines.\n\n${names}`;
}

function part({ name, about, rows, seconds }: SuiteReport, shown: readonly string[]): string[] {
  const notes = [
    ...new Set(rows.flatMap((row) => (row.note === undefined ? [] : [`${row.case}: ${row.note}`]))),
  ];
  const judged = rows.some((row) => row.holds !== null) ? ` ${verdict(rows)}.` : "";
  return [
    `## ${name}`,
    `${about}${judged} It took ${Math.round(seconds)} s.`,
    ...shown,
    ...(rows.length === 0 ? ["Nothing was measured."] : [tableOf(rows)]),
    ...(notes.length === 0 ? [] : [list(notes)]),
  ];
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map((row, i) => {
    const { baseline, ratio } = row;
    const cells = [
      row.case === rows[i - 1]?.case ? "" : row.case,
      row.metric,
      `${figure(row.value)} ${row.unit}`.trim(),
      baseline === null ? "" : `${baseline.name} ${figure(baseline.value)}`,
      ratio === null ? "" : `**${figure(ratio)}**`,
      rangeText(row),
      goalText(row),
      mark(row),
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return [
    "| case | metric | ours | baseline | ratio | range | goal | |",
    "| --- | --- | ---: | --- | ---: | ---: | ---: | --- |",
    ...lines,
  ].join("\n");
}

const leftOut = ({ leftOut: all }: Report): string[] =>
  all.length === 0 ? [] : [`## Left out\n\n${list(all.map(({ what, how }) => `${what}: ${how}`))}`];

const list = (lines: readonly string[]): string => lines.map((line) => `- ${line}`).join("\n");
