/**
 * `--compare REF`: this build and another commit's, run in turn, row by row.
 *
 * Owns the other build and a folder for rows until the end, and a process for each run: a round is one process of each
 * build, the one that goes first changing from round to round. Rows that come out slower are measured again, twice at
 * most: only what is slower three times over ends the run with 1.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Row, verdict, writeJson } from "../report/rows.ts";
import { table } from "../report/terminal.ts";
import { describeMachine, loadPerCore, makeFolder, removeFolder } from "../runner/machine.ts";
import type { Lines } from "../runner/run.ts";
import type { Settings } from "../runner/settings.ts";
import { ROOT } from "../runner/versions.ts";
import { OtherBuild } from "./build.ts";
import { judge, LEAST, nameOf, slowerInAll } from "./judge.ts";

const REPEATS = 3;
const DEFAULT_SUITES = ["memory", "embedded"];

/** 0, or 1 when this build is slower three times over, or a run of it failed. */
export async function compare(settings: Settings, ref: string, lines: Lines): Promise<0 | 1> {
  lines.print(describeMachine());
  lines.print(`${settings.rounds} rounds; load before: ${loadPerCore().toFixed(2)} a core`);
  lines.say(`${ref} is built`);
  const other = await OtherBuild.of(ref);
  const folder = makeFolder(undefined).path;
  const interrupted = () => {
    other.remove();
    process.exit(130);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    if (other.otherPackages)
      lines.print(`${ref} asks for other packages; both run with those installed here`);
    return await repeats(new Sides(settings, other, join(folder, "rows.json"), lines), settings, lines);
  } finally {
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
    removeFolder(folder);
    other.remove();
  }
}

async function repeats(sides: Sides, settings: Settings, lines: Lines): Promise<0 | 1> {
  let suites = settings.named ? settings.suites : DEFAULT_SUITES;
  const all: Row[][] = [];
  let failed = false;
  while (all.length < REPEATS && suites.length > 0) {
    const { rows, alone, broken } = await sides.rounds(suites);
    failed ||= broken;
    all.push(rows);
    lines.print(`\n${table(rows)}`);
    lines.print(
      `\nratio: this build over ${sides.commit}; a rate is judged at ${LEAST}, a time at 1 / ${LEAST}`,
    );
    for (const name of alone) lines.print(`not in both: ${name}`);
    lines.print(verdict(rows));
    const slow = slowerInAll(all);
    suites = suites.filter((suite) => slow.some((name) => name.startsWith(`${suite}: `)));
    if (suites.length > 0 && all.length < REPEATS) lines.say(`slower, so measured again: ${slow.join("; ")}`);
  }
  if (settings.json !== undefined) writeJson(settings.json, latest(all));
  const slow = all.length === REPEATS ? slowerInAll(all) : [];
  if (slow.length > 0) lines.say(`\nSLOWER, ${REPEATS} times over\n${slow.join("\n")}`);
  return failed || slow.length > 0 ? 1 : 0;
}

/** Of each row the last comparison. */
const latest = (all: readonly (readonly Row[])[]): Row[] => [
  ...new Map(all.flat().map((row) => [nameOf(row), row])).values(),
];

interface Ran {
  readonly rows: readonly Row[];
  readonly ok: boolean;
}

class Sides {
  readonly commit: string;
  readonly #settings: Settings;
  readonly #other: OtherBuild;
  readonly #file: string;
  readonly #lines: Lines;

  constructor(settings: Settings, other: OtherBuild, file: string, lines: Lines) {
    this.commit = other.commit;
    this.#settings = settings;
    this.#other = other;
    this.#file = file;
    this.#lines = lines;
  }

  async rounds(suites: readonly string[]) {
    const ours: (readonly Row[])[] = [];
    const theirs: (readonly Row[])[] = [];
    let broken = false;
    for (let round = 0; round < this.#settings.rounds; round++) {
      this.#lines.say(`round ${round + 1} of ${this.#settings.rounds}: ${suites.join(", ")}`);
      const run = {
        ours: async () => {
          const { rows, ok } = await this.#run(ROOT, suites);
          ours.push(rows);
          broken ||= !ok;
        },
        theirs: async () => void theirs.push((await this.#run(this.#other.root, suites)).rows),
      };
      for (const side of round % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const))
        await run[side]();
    }
    return { ...judge(ours, theirs, this.commit), broken };
  }

  /** One round of one build, in a process. What it says is shown when it fails. */
  async #run(root: string, suites: readonly string[]): Promise<Ran> {
    removeFolder(this.#file);
    const { quick, data } = this.#settings;
    const options = ["--ours", "--rounds", "1", "--json", this.#file];
    if (quick) options.push("--quick");
    if (data !== undefined) options.push("--data", data);
    const { code, said } = await ended(root, [join(root, "bench/main.mjs"), ...suites, ...options]);
    if (code !== 0) this.#lines.say(`${root === ROOT ? "this build" : this.commit} failed:\n${said}`);
    const rows = existsSync(this.#file) ? (JSON.parse(readFileSync(this.#file, "utf8")) as Row[]) : [];
    return { rows, ok: code === 0 };
  }
}

function ended(cwd: string, args: readonly string[]): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const kill = () => void child.kill();
  process.once("exit", kill);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      process.off("exit", kill);
      resolve({ code, said });
    });
  });
}
