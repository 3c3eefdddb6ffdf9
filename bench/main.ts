/**
 * `npm run bench`: reads the command line and runs the suites it names, compares two builds, or profiles one.
 *
 * Exit code 0 when every job of every run was shown to have run exactly once, 1 when one was not, a suite failed, or
 * a comparison found a build that is slower for sure, 2 when the command line is wrong. A goal that is missed is shown and
 * changes nothing.
 */
import { compare } from "./compare/compare.ts";
import { profile } from "./profile/profile.ts";
import { loadSuggest } from "./runner/package.ts";
import { run } from "./runner/run.ts";
import { readSettings, USAGE, Usage } from "./runner/settings.ts";
import { SUITES } from "./suites/all.ts";

const lines = {
  print: (line: string) => process.stdout.write(`${line}\n`),
  say: (line: string) => process.stderr.write(`${line}\n`),
};

async function main(): Promise<number> {
  const { suggest } = await loadSuggest();
  const names = Object.keys(SUITES);
  const [first, ...rest] = process.argv.slice(2);
  try {
    if (first === "profile") return await profile(rest, suggest, lines);
    const settings = readSettings(process.argv.slice(2), names, suggest);
    if (settings === "help") {
      lines.print(USAGE.replace("%SUITES%", names.join(", ")));
      return 0;
    }
    return settings.compare === undefined
      ? await run(settings, SUITES, lines)
      : await compare(settings, settings.compare, lines);
  } catch (error) {
    if (!(error instanceof Usage)) throw error;
    lines.say(error.message);
    return 2;
  }
}

process.exitCode = await main();
