/**
 * Runs suites one after another and says how it went: the table, the JSON rows, the report, the exit code.
 *
 * Owns the rows of the whole run. A suite that fails does not keep the next from running, and what it measured up to
 * then is still shown. A suite whose needs are not there is left out, with how to have them, at the start and at the end.
 */
import { renderMarkdown, writeMarkdown } from "../report/markdown.ts";
import { pictures, writePictures } from "../report/pictures.ts";
import type { Report, SuiteReport } from "../report/report.ts";
import { verdict, writeJson } from "../report/rows.ts";
import { table } from "../report/terminal.ts";
import { Bench } from "./bench.ts";
import { describeMachine, loadPerCore } from "./machine.ts";
import type { Settings } from "./settings.ts";
import type { LeftOut, Need, Suite, Suites } from "./suite.ts";
import { versions } from "./versions.ts";

/** Where lines go: the report, and what goes on meanwhile. */
export interface Lines {
  print(line: string): void;
  say(line: string): void;
}

/** 0 when every check of every suite held, else 1. A missed goal changes nothing. */
export async function run(settings: Settings, suites: Suites, lines: Lines): Promise<0 | 1> {
  const began = performance.now();
  const load = loadPerCore();
  const asked = settings.suites.flatMap((name) => {
    const suite = suites[name];
    return suite === undefined ? [] : [{ name, suite }];
  });
  const found = await look(asked.map(({ suite }) => suite));
  const facts = {
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    versions: versions(found),
    rounds: settings.rounds,
    quick: settings.quick,
    load,
  };
  const leftOut: LeftOut[] = [];
  const failed: string[] = [];
  const reports: SuiteReport[] = [];
  const able = asked.filter(({ name, suite }) => {
    const missing = suite.needs?.find((need) => !found.has(need.name));
    if (missing === undefined) return true;
    if (settings.named) failed.push(`${name}: ${missing.howTo()}`);
    else leftOut.push({ what: name, how: missing.howTo() });
    return false;
  });
  opening({ ...facts, leftOut }, lines);
  for (const { name, suite } of able) {
    const { bench, seconds } = await one(name, suite, settings, lines);
    failed.push(...bench.failed);
    leftOut.push(...bench.leftOut);
    reports.push({ name, about: suite.about, rows: bench.rows, seconds });
  }
  const seconds = (performance.now() - began) / 1_000;
  closing(settings, { facts: { ...facts, seconds }, suites: reports, leftOut, failed }, lines);
  return failed.length === 0 ? 0 : 1;
}

/** Versions by name of what is there, of all that these suites need or use. */
async function look(suites: readonly Suite[]): Promise<Map<string, string>> {
  const needs = new Set<Need>(suites.flatMap(({ needs = [], uses = [] }) => [...needs, ...uses]));
  const found = new Map<string, string>();
  for (const need of needs) {
    const version = await need.find();
    if (version !== undefined) found.set(need.name, version);
  }
  return found;
}

async function one(name: string, suite: Suite, settings: Settings, lines: Lines) {
  const bench = new Bench(name, settings, lines.say);
  const before = performance.now();
  try {
    await suite.run(bench);
  } catch (error) {
    bench.failed.push(`${name}: ${error instanceof Error ? error.stack : String(error)}`);
  }
  return { bench, seconds: (performance.now() - before) / 1_000 };
}

function opening(
  {
    machine,
    versions,
    rounds,
    quick,
    load,
    leftOut,
  }: Omit<Report["facts"], "seconds"> & Pick<Report, "leftOut">,
  lines: Lines,
): void {
  lines.print(machine);
  lines.print(
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
  );
  lines.print(`${rounds} rounds${quick ? ", quick" : ""}; load before: ${load.toFixed(2)} a core`);
  for (const { what, how } of leftOut) lines.print(`left out: ${what}: ${how}`);
}

function closing(settings: Settings, report: Report, lines: Lines): void {
  const rows = report.suites.flatMap((suite) => suite.rows);
  lines.print(`\n${table(rows)}`);
  const times = report.suites.map(({ name, seconds }) => `${name} ${Math.round(seconds)} s`);
  lines.print(`\n${verdict(rows)}; took ${Math.round(report.facts.seconds)} s (${times.join(", ")})`);
  for (const { what, how } of report.leftOut) lines.print(`left out: ${what}: ${how}`);
  if (settings.json !== undefined) writeJson(settings.json, rows);
  const drawn = settings.svg === undefined ? [] : pictures(report);
  if (settings.svg !== undefined) writePictures(settings.svg, drawn);
  if (settings.markdown !== undefined)
    writeMarkdown(settings.markdown, settings.svg, (folder) => renderMarkdown(report, drawn, folder));
  if (report.failed.length > 0) lines.say(`\nFAILED\n${report.failed.join("\n")}`);
}
