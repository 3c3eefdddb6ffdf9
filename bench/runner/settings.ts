/**
 * What the command line asks for: suites, rounds, sizes, where data, rows, report and pictures go.
 *
 * Owns the list of options. A word it doesn't know ends the run with exit code 2 and the nearest word it does know;
 * nothing has been started by then.
 */
import { type ParseArgsConfig, parseArgs } from "node:util";

export interface Settings {
  readonly suites: readonly string[];
  /** The suites were asked for by name: none of them may be left out. */
  readonly named: boolean;
  /** Pairs of runs, ours and the baseline's in turn. */
  readonly rounds: number;
  readonly quick: boolean;
  /** No baseline is run: what one build is measured with when it is compared with another. */
  readonly ours: boolean;
  /** Where the JSON rows go; none by default. */
  readonly json: string | undefined;
  /** Where the report goes; none by default. */
  readonly markdown: string | undefined;
  /** The folder for pictures; none by default. */
  readonly svg: string | undefined;
  /** Compare this build with the one of a git ref. */
  readonly compare: string | undefined;
  /** Folder for stores; default the system's folder for temporary files. */
  readonly data: string | undefined;
  /** A count of jobs at full size → at this run's size. */
  count(full: number): number;
}

export class Usage extends Error {}

export const USAGE = `npm run bench -- [SUITE…] [OPTION…]

  SUITE            %SUITES%;
                   without a name all, but those whose needs are not there
  --quick          a fifth of the jobs and 2 rounds: to see that it runs, not to compare
  --rounds N       pairs of runs of each row; default 5
  --json FILE      the rows as a JSON array
  --markdown FILE  a report to read
  --svg FOLDER     pictures: bars of what is compared, curves of what grows; the report shows them
  --compare REF    this build against the one of a git ref, run in turn; exit code 1 when a row is below
                   0.7 of it three times over. Without names: memory and embedded
  --ours           no baselines
  --data FOLDER    where stores are made; on the disk that is to be measured

npm run bench -- profile --help: where the microseconds and the allocations of one job go`;

const OPTIONS = {
  quick: { type: "boolean", default: false },
  rounds: { type: "string" },
  json: { type: "string" },
  markdown: { type: "string" },
  svg: { type: "string" },
  compare: { type: "string" },
  ours: { type: "boolean", default: false },
  data: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

export type Suggest = (word: string, candidates: Iterable<string>) => string | undefined;

interface Words<T> {
  readonly options: T;
  /** What a word without dashes names. */
  readonly kind: "suite" | "node";
  readonly known: readonly string[];
  readonly suggest: Suggest;
}

/** Options and names, all of them known. @throws Usage with the nearest that is. */
export function readWords<T extends NonNullable<ParseArgsConfig["options"]>>(
  argv: readonly string[],
  { options, kind, known, suggest }: Words<T>,
) {
  const near = (word: string, words: readonly string[], dashes = "") => {
    const found = suggest(word, words);
    return found === undefined ? "" : ` Did you mean "${dashes}${found}"?`;
  };
  const { values, positionals, tokens } = parseArgs({
    args: [...argv],
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== "option" || token.name in options) continue;
    throw new Usage(`There is no option "--${token.name}".${near(token.name, Object.keys(options), "--")}`);
  }
  if (values.help === true) return "help";
  for (const name of positionals)
    if (!known.includes(name))
      throw new Usage(`There is no ${kind} "${name}".${near(name, known)} There are: ${known.join(", ")}.`);
  return { values, positionals };
}

/** @throws Usage with words for the terminal; its message is the help text when that was asked for. */
export function readSettings(
  argv: readonly string[],
  known: readonly string[],
  suggest: Suggest,
): Settings | "help" {
  const words = readWords(argv, { options: OPTIONS, kind: "suite", known, suggest });
  if (words === "help") return "help";
  const { values, positionals } = words;
  const quick = values.quick === true;
  const scale = (quick ? 0.2 : 1) * scaleOfEnvironment();
  return {
    suites: positionals.length === 0 ? known : known.filter((name) => positionals.includes(name)),
    named: positionals.length > 0,
    rounds: rounds(values.rounds, quick),
    quick,
    ours: values.ours === true,
    json: text("json", values.json),
    markdown: text("markdown", values.markdown),
    svg: text("svg", values.svg),
    compare: text("compare", values.compare),
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

/** @throws Usage when it was given without a value. */
export function text(name: string, given: unknown): string | undefined {
  if (given === undefined) return undefined;
  if (typeof given === "string" && given !== "") return given;
  throw new Usage(`--${name} wants a value.`);
}
