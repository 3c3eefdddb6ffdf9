/**
 * Seven jobs that do not end by themselves, one after the other, in a service that goes on meanwhile. Each is ended at its
 * limit of half a second, and its report says where it hung: `node examples/runaway/runaway.mjs --help` has the rest.
 *
 * Exit code 0 only when all of it is as it must be (`ways.mjs`), 1 when something is not, 2 for a mistake on the command line.
 */
import { ended } from "../broker-restart/ending.mjs";
import { Screen } from "../broker-restart/screen.mjs";
import { HELP, readOptions, Usage } from "./options.mjs";
import { Service } from "./service.mjs";
import { beside, ending, table } from "./table.mjs";
import { problemsOf, recordOf } from "./verdict.mjs";
import { LIMIT_MS, WAYS } from "./ways.mjs";

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) return process.stdout.write(HELP);
  const screen = new Screen(options.json ? process.stderr : process.stdout);
  screen.print(
    `\n  ${screen.paint("bold", "Spillway")}  ${WAYS.length} ways not to end, ${LIMIT_MS} ms each\n`,
  );
  const { records, problems, service } = await play(screen, options);
  screen.print(table(screen, records, problems));
  screen.print(`\n${beside(service)}\n`);
  for (const problem of problems) screen.print(`  ${screen.paint("red", "✗")} ${problem}`);
  if (options.json)
    process.stdout.write(`${JSON.stringify({ limitMs: LIMIT_MS, ways: records, service, problems })}\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

/** Every way in its turn, and the service stopped at the end. */
async function play(screen, { withinMs }) {
  const service = await Service.start();
  const records = [];
  const problems = [];
  for (const way of WAYS) {
    const record = await recordOf(way, await service.run(way), service.digests);
    records.push(record);
    problems.push(...problemsOf(way, record, withinMs));
    screen.print(ending(screen, record));
  }
  const { wedged, loopMs } = await service.stop();
  const slowestMs = Math.max(...service.digests.map(({ askedAt, endedAt }) => endedAt - askedAt));
  const counts = { digests: service.digests.length, failed: service.failed.length, wedged: wedged.length };
  if (counts.failed > 0) problems.push(`digest: ${service.failed[0].message}`);
  if (counts.wedged > 0) problems.push(`stop: ${wedged.map(({ job }) => job).join(", ")} could not be ended`);
  return { records, problems, service: { ...counts, slowestMs, loopMs } };
}

await ended("runaway", main, Usage);
