/**
 * Fifty jobs of thirty seconds on two nodes, and a RabbitMQ that is killed by SIGKILL in the middle and started again.
 * Each job runs once: bodies go on without the broker, and when their jobs are given out again, whoever runs them says
 * so. `node examples/broker-restart/restart.mjs --help` has the rest; `run` is a short version of it.
 *
 * Exit code 0 only when every job ran exactly once, 1 when one did not, 2 for a mistake on the command line or no
 * RabbitMQ to start, 130 after Ctrl-C. Everything that was started is taken away at the end.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { versionOf } from "./brokers.mjs";
import { clearOnSignals, ended } from "./ending.mjs";
import { runsOf } from "./journal.mjs";
import { HELP, readOptions, Usage } from "./options.mjs";
import { countTable, isGood, jobTable, outageText, resultOf } from "./report.mjs";
import { Screen } from "./screen.mjs";
import { Stage } from "./stage.mjs";

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) return process.stdout.write(HELP);
  const version = options.url === undefined ? await versionOf(options.version) : undefined;
  const screen = new Screen(options.json ? process.stderr : process.stdout);
  const folder = mkdtempSync(join(tmpdir(), "spillway-restart-"));
  const journal = join(folder, "journal.jsonl");
  writeFileSync(journal, "");
  const stage = new Stage(options, screen, journal);
  clearOnSignals(stage, screen, folder);
  introduce(screen, options, version);
  try {
    screen.begin(() => stage.status());
    await stage.play();
  } finally {
    screen.end();
    await stage.clear();
  }
  report(stage, screen, runsOf(journal));
  rmSync(folder, { recursive: true });
}

function introduce(screen, { jobs, seconds, restart }, version) {
  const fate = {
    kill: "a RabbitMQ that is killed meanwhile",
    one: "a cluster of which one is stopped",
    none: "a RabbitMQ that is left alone",
  };
  screen.print();
  screen.print(
    `  ${screen.paint("bold", "Spillway")}  ${jobs} jobs of ${seconds} s, two nodes, ${fate[restart]}`,
  );
  if (version !== undefined) screen.print(`  RabbitMQ ${version}`);
  screen.print();
}

function report(stage, screen, runs) {
  const result = resultOf(stage, runs);
  screen.print();
  screen.print(jobTable(screen, result));
  screen.print();
  screen.print(countTable(screen, result));
  screen.print();
  screen.print(outageText(result));
  screen.print();
  if (stage.options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = isGood(result) ? 0 : 1;
}

await ended("broker-restart", main, Usage);
