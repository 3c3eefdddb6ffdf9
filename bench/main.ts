/**
 * `npm run bench`: reads the command line and runs the suites it names.
 *
 * Exit code 0 when every job of every run was shown to have run exactly once, 1 when one was not or a suite failed,
 * 2 when the command line is wrong. A goal that is missed is shown and changes nothing.
 */
import { embeddedSuite } from "./embedded.ts";
import { failoverSuite } from "./failover.ts";
import { kernelSuite } from "./kernel.ts";
import { keysSuite } from "./keys.ts";
import { memorySuite } from "./memory.ts";
import { loadSuggest } from "./package.ts";
import { rabbitmqSuite } from "./rabbitmq.ts";
import { run, type Suite } from "./run.ts";
import { readSettings, USAGE, Usage } from "./settings.ts";

const SUITES: Readonly<Record<string, Suite>> = {
  kernel: kernelSuite,
  memory: memorySuite,
  embedded: embeddedSuite,
  rabbitmq: rabbitmqSuite,
  keys: keysSuite,
  failover: failoverSuite,
};

const lines = {
  print: (line: string) => process.stdout.write(`${line}\n`),
  say: (line: string) => process.stderr.write(`${line}\n`),
};

async function main(): Promise<number> {
  const { suggest } = await loadSuggest();
  const names = Object.keys(SUITES);
  try {
    const settings = readSettings(process.argv.slice(2), names, suggest);
    if (settings !== "help") return await run(settings, SUITES, lines);
    lines.print(USAGE.replace("%SUITES%", names.join(", ")));
    return 0;
  } catch (error) {
    if (!(error instanceof Usage)) throw error;
    lines.say(error.message);
    return 2;
  }
}

process.exitCode = await main();
