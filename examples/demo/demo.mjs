/**
 * The demo: real work on real input, and everything that can go wrong beside it. `npm run demo -- --help`.
 *
 * Exit code 0 only when every count is the expected one, 1 when one is not, 2 for a mistake on the command line, 130
 * after Ctrl-C (stopped in order; `--resume` goes on).
 */
import { resolve } from "node:path";
import { Ledger } from "./ledger.mjs";
import { HELP, readOptions, shown, Usage } from "./options.mjs";
import { listFiles } from "./plan.mjs";
import { count, Screen } from "./screen.mjs";
import { jsonOf, mismatches, summary, tableOf, tally } from "./table.mjs";

const SIGNALS = { SIGINT: 130, SIGTERM: 143 };

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) return process.stdout.write(HELP);
  const screen = new Screen(options.json ? process.stderr : process.stdout);
  const ledger = new Ledger(resolve(options.folder));
  const files = prepare(options, ledger, screen);
  // Loaded behind the first words: a mistake on the command line is told without waiting for the runtime.
  const { Run } = await import("./run.mjs");
  const run = new Run(options, ledger, screen);
  const signalled = obey(run, screen);
  const interrupted = await run.carryOut(files);
  if (interrupted) {
    process.exitCode = SIGNALS[signalled()];
    return sayHowToGoOn(options, ledger, run, screen);
  }
  conclude(options, ledger, run, files, screen);
}

/** The files to do: those of the run that is resumed, or a fresh list in a wiped folder. */
function prepare(options, ledger, screen) {
  const before = options.resume ? ledger.resume() : undefined;
  const files = before?.files ?? listFiles(options.limit);
  if (files.length === 0) throw new Usage("there is no file under node_modules; run npm ci first.");
  if (before === undefined) ledger.wipe();
  ledger.open({ files });
  const where = options.broker === "memory" ? "jobs in memory" : `jobs in ${shown(ledger.storePath)}`;
  screen.print();
  screen.print(`  ${screen.paint("bold", "Spillway")}  ${options.broker} broker, ${where}`);
  screen.print(
    `  ${count(files.length)} files below node_modules: SHA-256 and brotli size of their first MiB.`,
  );
  screen.print("  Beside them: one that hangs, one that fails twice, a duplicate, ten in turn.");
  if (before !== undefined)
    screen.print(`  Going on with an earlier run: ${count(ledger.confirmed.size)} jobs were confirmed.`);
  else if (options.resume) screen.print("  There is nothing to resume here; this is a fresh start.");
  screen.print();
  return files;
}

/** The first signal stops in order, the second one at once. */
function obey(run, screen) {
  let signalled;
  for (const signal of Object.keys(SIGNALS))
    process.on(signal, () => {
      if (signalled !== undefined) {
        screen.end();
        process.exit(SIGNALS[signal]);
      }
      signalled = signal;
      screen.print(`  ${signal}: stopping in order; running bodies may finish.`);
      run.stop();
    });
  return () => signalled;
}

function sayHowToGoOn(options, ledger, run, screen) {
  const done = `${count(run.ended.size)} of ${count(run.total)} jobs have ended`;
  const how =
    options.broker === "memory"
      ? "the rest was in memory, and is gone."
      : `the rest is kept.\n  Go on with: npm run demo -- --resume${dataOption(ledger)}`;
  screen.print(`  Stopped. ${done}; ${how}`);
  // What is lost nobody can say before the rest has ended.
  const more = { lost: null, interrupted: true, remaining: run.total - run.ended.size };
  if (options.json) process.stdout.write(`${jsonOf(run, tally(run, ledger), options.broker, more)}\n`);
}

function dataOption(ledger) {
  const folder = shown(ledger.folder);
  return folder === ".demo" ? "" : ` --data ${folder}`;
}

function conclude(options, ledger, run, files, screen) {
  const seen = tally(run, ledger);
  const wrong = mismatches(seen, files.length);
  screen.print();
  screen.print(tableOf(screen, seen, files.length));
  screen.print();
  screen.print(summary(run, seen, files.length));
  if (wrong.length > 0) screen.print(screen.paint("red", `  Not as expected: ${wrong.join(", ")}.`));
  screen.print();
  if (options.json) process.stdout.write(`${jsonOf(run, seen, options.broker)}\n`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

try {
  await main();
} catch (error) {
  const message = error instanceof Usage || error.code !== undefined ? error.message : error.stack;
  process.stderr.write(`demo: ${message}\n`);
  process.exitCode = error instanceof Usage ? 2 : 1;
}
