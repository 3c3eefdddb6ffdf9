/**
 * Runs suites one after another and says how it went: the table, the JSON rows, the exit code.
 *
 * Owns the rows of the whole run. A suite that fails does not keep the next from running, and what it measured up to
 * then is still shown.
 */
import { describeMachine, loadPerCore } from "./machine.ts";
import { type Row, table, writeJson } from "./report.ts";
import { Bench } from "./runner.ts";
import type { Settings } from "./settings.ts";

export type Suite = (bench: Bench) => Promise<void>;

/** Where lines go: the report, and what goes on meanwhile. */
export interface Lines {
  print(line: string): void;
  say(line: string): void;
}

/** 0 when every check of every suite held, else 1. A missed goal changes nothing. */
export async function run(
  settings: Settings,
  suites: Readonly<Record<string, Suite>>,
  lines: Lines,
): Promise<0 | 1> {
  const { rounds, quick } = settings;
  lines.print(describeMachine());
  lines.print(`${rounds} rounds${quick ? ", quick" : ""}; load before: ${loadPerCore().toFixed(2)} a core`);
  const rows: Row[] = [];
  const failed: string[] = [];
  for (const name of settings.suites) {
    const bench = new Bench(name, settings, lines.say);
    try {
      await suites[name]?.(bench);
    } catch (error) {
      failed.push(`${name}: ${error instanceof Error ? error.stack : String(error)}`);
    }
    rows.push(...bench.rows);
    failed.push(...bench.failed);
  }
  lines.print(`\n${table(rows)}`);
  if (settings.json !== undefined) writeJson(settings.json, rows);
  if (failed.length > 0) lines.say(`\nFAILED\n${failed.join("\n")}`);
  return failed.length === 0 ? 0 : 1;
}
