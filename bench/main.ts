/**
 * `npm run bench`: chooses suites, runs them one after another, prints the table, writes the JSON rows.
 *
 * Exit code 0 when every job of every run was shown to have run exactly once, 1 when one was not or a suite failed,
 * 2 when the command line is wrong. A goal that is missed is shown and changes nothing.
 */
import { embeddedSuite } from "./embedded.ts";
import { kernelSuite } from "./kernel.ts";
import { describeMachine, loadPerCore } from "./machine.ts";
import { memorySuite } from "./memory.ts";
import { loadSuggest } from "./package.ts";
import { type Row, table, writeJson } from "./report.ts";
import { Bench } from "./runner.ts";
import { readSettings, type Settings, USAGE, Usage } from "./settings.ts";

const SUITES: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  kernel: kernelSuite,
  memory: memorySuite,
  embedded: embeddedSuite,
};

const print = (line: string) => process.stdout.write(`${line}\n`);
const say = (line: string) => process.stderr.write(`${line}\n`);

async function run(settings: Settings): Promise<boolean> {
  print(describeMachine());
  print(
    `${settings.rounds} rounds${settings.quick ? ", quick" : ""}; load before: ${loadPerCore().toFixed(2)} a core`,
  );
  const rows: Row[] = [];
  const failed: string[] = [];
  for (const name of settings.suites) {
    const bench = new Bench(name, settings, say);
    try {
      await SUITES[name]?.(bench);
    } catch (error) {
      failed.push(`${name}: ${error instanceof Error ? error.stack : String(error)}`);
    }
    rows.push(...bench.rows);
    failed.push(...bench.failed);
  }
  print(`\n${table(rows)}`);
  if (settings.json !== undefined) writeJson(settings.json, rows);
  if (failed.length > 0) say(`\nFAILED\n${failed.join("\n")}`);
  return failed.length === 0;
}

async function main(): Promise<number> {
  const { suggest } = await loadSuggest();
  const names = Object.keys(SUITES);
  try {
    const settings = readSettings(process.argv.slice(2), names, suggest);
    if (settings !== "help") return (await run(settings)) ? 0 : 1;
    print(USAGE.replace("%SUITES%", names.join(", ")));
    return 0;
  } catch (error) {
    if (!(error instanceof Usage)) throw error;
    say(error.message);
    return 2;
  }
}

process.exitCode = await main();
