/**
 * Three nodes on one RabbitMQ, thousands of jobs with keys, and SIGKILL for the node that has the coordinator's seat.
 * At the end a ledger: every job accounted for, and no two of one execution key at once.
 * `node examples/cluster/cluster.mjs --help` has the rest; `run` is a short version of it.
 *
 * Exit code 0 only when every line of the ledger is as expected, 1 when one is not, 2 for a mistake on the command line
 * or no RabbitMQ, 130 after Ctrl-C. Everything that was started or declared is taken away at the end.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clearOnSignals, ended } from "../broker-restart/ending.mjs";
import { Screen } from "../broker-restart/screen.mjs";
import { resultOf } from "./ledger.mjs";
import { HELP, readOptions, Usage } from "./options.mjs";
import { countTable, isGood, killText, overlapText } from "./report.mjs";
import { Stage } from "./stage.mjs";

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) return process.stdout.write(HELP);
  const screen = new Screen(options.json ? process.stderr : process.stdout);
  const folder = mkdtempSync(join(tmpdir(), "spillway-cluster-"));
  const stage = new Stage(options, screen, folder);
  clearOnSignals(stage, screen, folder);
  try {
    introduce(screen, options);
    screen.begin(() => stage.status());
    await stage.play();
  } finally {
    screen.end();
    await stage.clear();
    if (stage.left === undefined) rmSync(folder, { recursive: true, force: true });
  }
  report(stage, screen);
  rmSync(folder, { recursive: true });
}

function introduce(screen, { jobs, keys }) {
  const name = screen.paint("bold", "Spillway");
  screen.print();
  screen.print(`  ${name}  ${jobs} jobs, ${keys} execution keys, three nodes, one of them killed`);
  screen.print();
}

function report(stage, screen) {
  const result = resultOf(stage);
  screen.print();
  screen.print(countTable(screen, result));
  screen.print();
  if (result.overlaps.length > 0) screen.print(`${overlapText(screen, result, stage.nodes)}\n`);
  screen.print(killText(result));
  screen.print();
  if (stage.options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = isGood(result) ? 0 : 1;
}

await ended("cluster", main, Usage);
