/**
 * `npm run bench -- profile`: where the microseconds and the allocations of one job go, as a table and as flames.
 *
 * Owns one process at a time, a fresh one for each node, so that none runs code that another has made slower. What a
 * machine lacks is left out as in any run, and fails when it was asked for by name. Exit codes are the bench's.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Bench } from "../runner/bench.ts";
import { describeMachine, loadPerCore } from "../runner/machine.ts";
import type { Lines } from "../runner/run.ts";
import { readSettings, type Suggest, Usage } from "../runner/settings.ts";
import {
  between,
  budgetInMarkdown,
  budgetOnTerminal,
  FROM,
  type Measured,
  type Profiled,
  TO,
} from "./budget.ts";
import { measure } from "./measure.ts";
import { draw, write } from "./output.ts";
import { type Asked, PROFILE_USAGE, readProfileSettings } from "./settings.ts";
import { SHAPES, type Shape, type ShapeName } from "./shapes.ts";

export async function profile(argv: readonly string[], suggest: Suggest, lines: Lines): Promise<0 | 1> {
  const asked = readProfileSettings(argv, suggest);
  if (asked === "help") {
    lines.print(PROFILE_USAGE);
    return 0;
  }
  if (asked.alone) return alone(asked, suggest, lines);
  if (asked.into !== undefined && !hasMarks(asked.into))
    throw new Usage(
      `--into: ${asked.into} does not have the two marks between which to write:\n${FROM}\n${TO}`,
    );
  const load = loadPerCore();
  const failed: string[] = [];
  const found: Profiled[] = [];
  for (const name of asked.names) {
    const missing = await lacking(SHAPES[name]);
    if (missing !== undefined) {
      lines.say(`left out: ${name}: ${missing}`);
      if (asked.named) failed.push(`${name}: ${missing}`);
      continue;
    }
    const { measured, failed: wrong } = await inProcess(name, asked);
    failed.push(...wrong);
    if (measured !== undefined) found.push({ name, about: SHAPES[name].about, measured });
  }
  if (found.length > 0) {
    const version = process.versions.node;
    const facts = { date: new Date().toISOString().slice(0, 10), machine: describeMachine(), version, load };
    lines.print(`${facts.machine}, Node.js ${version}; load before: ${load.toFixed(2)} a core\n`);
    lines.print(budgetOnTerminal(found));
    if (asked.svg !== undefined) draw(found, asked.svg);
    write(asked, (links) => budgetInMarkdown(found, facts, links), found);
  }
  if (failed.length > 0) lines.say(`\nFAILED\n${failed.join("\n")}`);
  return failed.length === 0 ? 0 : 1;
}

const hasMarks = (file: string): boolean =>
  existsSync(file) && between(readFileSync(file, "utf8"), "") !== undefined;

/** How to have what it needs, when that is not there. */
async function lacking({ need }: Shape): Promise<string | undefined> {
  return need === undefined || (await need.find()) !== undefined ? undefined : need.howTo();
}

interface Answer {
  readonly measured: Measured | undefined;
  readonly failed: readonly string[];
}

async function inProcess(name: ShapeName, { jobs, data }: Asked): Promise<Answer> {
  const main = fileURLToPath(new URL("../main.mjs", import.meta.url));
  const args = ["profile", name, "--alone"];
  if (jobs !== undefined) args.push("--jobs", `${jobs}`);
  if (data !== undefined) args.push("--data", data);
  const child = fork(main, args, { execArgv: [], stdio: ["ignore", 2, 2, "ipc"] });
  const kill = () => void child.kill("SIGKILL");
  process.once("exit", kill);
  let answer: Answer | undefined;
  child.once("message", (message: Answer) => {
    answer = message;
  });
  // At `exit` its answer may still be on the way.
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  process.off("exit", kill);
  return answer ?? { measured: undefined, failed: [`${name}: its process has ended: ${signal ?? code}`] };
}

/** In that process. */
async function alone({ names, jobs, data }: Asked, suggest: Suggest, lines: Lines): Promise<0 | 1> {
  const settings = readSettings(data === undefined ? [] : ["--data", data], [], suggest);
  const [name] = names;
  if (settings === "help" || name === undefined) throw new Error("one node is profiled in a process");
  const bench = new Bench(name, settings, lines.say);
  const measured = await measure(SHAPES[name], jobs ?? settings.count(SHAPES[name].jobs), bench);
  const answer: Answer = { measured, failed: bench.failed };
  await new Promise((resolve) => process.send?.(answer, resolve));
  process.disconnect();
  return bench.failed.length === 0 ? 0 : 1;
}
