/**
 * What the command line asks for: suites, rounds, sizes, where the data goes.
 *
 * Owns the list of options. A word it doesn't know ends the run with exit code 2 and the nearest word it does know;
 * nothing has been started by then.
 */
import { parseArgs } from "node:util";

export interface Settings {
  readonly suites: readonly string[];
  /** The suites were asked for by name: none of them may be left out. */
  readonly named: boolean;
  /** Pairs of runs, ours and the baseline's in turn. */
  readonly rounds: number;
  readonly quick: boolean;
  /** Where the JSON rows go; none by default. */
  readonly json: string | undefined;
  /** Folder for stores; default the system's folder for temporary files. */
  readonly data: string | undefined;
  /** A count of jobs at full size → at this run's size. */
  count(full: number): number;
}

export class Usage extends Error {}

export const USAGE = `npm run bench -- [SUITE…] [--quick] [--rounds N] [--json FILE] [--data FOLDER]

  SUITE           %SUITES%; all when none is named
  --quick         a fifth of the jobs and 2 rounds: to see that it runs, not to compare
  --rounds N      pairs of runs of each row; default 5
  --json FILE     the rows as a JSON array
  --data FOLDER   where stores are made; on the disk that is to be measured`;

const OPTIONS = {
  quick: { type: "boolean", default: false },
  rounds: { type: "string" },
  json: { type: "string" },
  data: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

type Suggest = (word: string, candidates: Iterable<string>) => string | undefined;

/** @throws Usage with words for the terminal; its message is the help text when that was asked for. */
export function readSettings(
  argv: readonly string[],
  known: readonly string[],
  suggest: Suggest,
): Settings | "help" {
  const near = (word: string, words: readonly string[], dashes = "") => {
    const found = suggest(word, words);
    return found === undefined ? "" : ` Did you mean "${dashes}${found}"?`;
  };
  const { values, positionals, tokens } = parseArgs({
    args: [...argv],
    options: OPTIONS,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== "option" || token.name in OPTIONS) continue;
    throw new Usage(`There is no option "--${token.name}".${near(token.name, Object.keys(OPTIONS), "--")}`);
  }
  if (values.help === true) return "help";
  for (const name of positionals)
    if (!known.includes(name))
      throw new Usage(`There is no suite "${name}".${near(name, known)} There are: ${known.join(", ")}.`);
  const quick = values.quick === true;
  const scale = (quick ? 0.2 : 1) * scaleOfEnvironment();
  return {
    suites: positionals.length === 0 ? known : known.filter((name) => positionals.includes(name)),
    named: positionals.length > 0,
    rounds: rounds(values.rounds, quick),
    quick,
    json: text("json", values.json),
    data: text("data", values.data),
    count: (full) => Math.max(10, Math.round(full * scale)),
  };
}

/** Tests of the bench itself run it at a hundredth: what is measured then is that it runs. */
function scaleOfEnvironment(): number {
  const given = process.env.SPILLWAY_BENCH_SCALE;
  const scale = given === undefined ? 1 : Number(given);
  if (!(scale > 0 && scale <= 1))
    throw new Usage(`SPILLWAY_BENCH_SCALE is "${given}", expected a number above 0, at most 1.`);
  return scale;
}

function rounds(given: unknown, quick: boolean): number {
  if (given === undefined) return quick ? 2 : 5;
  const count = Number(given);
  if (Number.isInteger(count) && count >= 1 && count <= 1_000) return count;
  throw new Usage(`--rounds is "${given}", expected a whole number from 1 to 1000.`);
}

function text(name: string, given: unknown): string | undefined {
  if (given === undefined) return undefined;
  if (typeof given === "string" && given !== "") return given;
  throw new Usage(`--${name} wants a value.`);
}
