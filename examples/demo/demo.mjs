/**
 * The demo: real work on real input, and everything that can go wrong beside it. `npm run demo -- --help`.
 *
 * Exit code 0 only when every count is the expected one, 1 when one is not, 2 for a mistake on the command line, 130
 * after Ctrl-C (stopped in order; `--resume` goes on).
 */
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { Ledger } from "./ledger.mjs";
import { HELP, placeOf, readOptions, shown, Usage } from "./options.mjs";
import { expectedOf, listFiles } from "./plan.mjs";
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
  const interrupted = await heldOpen(run.carryOut(files));
  ledger.close();
  if (interrupted) {
    process.exitCode = SIGNALS[signalled()];
    return sayHowToGoOn(options, ledger, run, screen);
  }
  conclude(options, ledger, run, files, screen);
}

/** A stopped runtime keeps no process alive, and an enqueue may still wait for its new queue then. */
async function heldOpen(promise) {
  const alive = setInterval(() => {}, 2 ** 30);
  return promise.finally(() => clearInterval(alive));
}

/** The files to do: those of the run that is resumed, or a fresh list in a wiped folder. */
function prepare(options, ledger, screen) {
  const before = options.resume ? ledger.resume() : undefined;
  const broker = placeOf(options);
  const brokerBefore = before?.broker ?? broker;
  if (brokerBefore !== broker)
    throw new Usage(`--resume: that run was on ${brokerBefore}; give its --broker, or start afresh.`);
  const files = before?.files ?? listFiles(options.limit);
  if (files.length === 0) throw new Usage("there is no file under node_modules; run npm ci first.");
  if (before === undefined) {
    ledger.wipe();
    // Its queues are there before and after a run; the other brokers are the run's own.
    if (options.broker === "rabbitmq") ledger.run = `${randomBytes(3).toString("hex")}-`;
  }
  ledger.open({ files, broker });
  introduce(options, ledger, files, screen);
  if (before !== undefined)
    screen.print(`  Going on with an earlier run: ${count(ledger.confirmed.size)} jobs were confirmed.`);
  else if (options.resume) screen.print("  There is nothing to resume here; this is a fresh start.");
  screen.print();
  return files;
}

function introduce(options, ledger, files, screen) {
  const kept = options.broker === "memory" ? "in memory" : `in ${shown(ledger.storePath)}`;
  const where =
    options.broker === "rabbitmq"
      ? `RabbitMQ at ${placeOf(options)}`
      : `${options.broker} broker, jobs ${kept}`;
  screen.print();
  screen.print(`  ${screen.paint("bold", "Spillway")}  ${where}`);
  screen.print(
    `  ${count(files.length)} files below node_modules: SHA-256 and brotli size of their first MiB.`,
  );
  screen.print("  Beside them: one that hangs, one that fails twice, a duplicate, ten in turn.");
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
  const kept = options.broker === "rabbitmq" ? "the rest is on the broker" : "the rest is kept";
  const how =
    options.broker === "memory"
      ? "the rest was in memory, and is gone."
      : `${kept}.\n  Go on with: npm run demo -- --resume${optionsAgain(options, ledger)}`;
  screen.print(`  Stopped. ${done}; ${how}`);
  // What is lost nobody can say before the rest has ended.
  const more = { lost: null, interrupted: true, remaining: run.total - run.ended.size };
  if (options.json) process.stdout.write(`${jsonOf(run, tally(run, ledger), options.broker, more)}\n`);
}

function optionsAgain({ broker, url, prefix }, ledger) {
  const folder = shown(ledger.folder);
  const data = folder === ".demo" ? "" : ` --data ${folder}`;
  if (broker !== "rabbitmq") return data;
  const again = new URL(url);
  if (again.username !== "") [again.username, again.password] = ["USER", "PASSWORD"];
  return `${data} --broker ${again.href}${prefix === "demo" ? "" : ` --prefix ${prefix}`}`;
}

function conclude(options, ledger, run, files, screen) {
  const seen = tally(run, ledger);
  const expected = expectedOf(files.length);
  const wrong = mismatches(seen, expected);
  screen.print();
  screen.print(tableOf(screen, seen, expected));
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
