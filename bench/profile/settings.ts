/**
 * What `npm run bench -- profile` is asked for: which nodes, how many jobs, where table and flames go.
 *
 * Owns the list of its options. A word that it doesn't know ends the run with exit code 2 and the nearest that it does.
 */
import { readWords, type Suggest, text, Usage } from "../runner/settings.ts";
import { SHAPES, type ShapeName } from "./shapes.ts";

export const PROFILE_USAGE = `npm run bench -- profile [NODE…] [OPTION…]

  NODE             ${Object.keys(SHAPES).join(", ")}; without a name all, but RabbitMQ where none answers
  --jobs N         of each pass
  --svg FOLDER     flames, one of the time and one of the allocations of each node
  --markdown FILE  the table, and the flames of the time
  --into FILE      the same between the two marks of a file that is there
  --data FOLDER    where stores are made`;

const OPTIONS = {
  jobs: { type: "string" },
  svg: { type: "string" },
  markdown: { type: "string" },
  into: { type: "string" },
  data: { type: "string" },
  /** Of the process for one node. */
  alone: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

export interface Asked {
  readonly names: readonly ShapeName[];
  readonly named: boolean;
  readonly alone: boolean;
  readonly jobs: number | undefined;
  readonly svg: string | undefined;
  readonly markdown: string | undefined;
  readonly into: string | undefined;
  readonly data: string | undefined;
}

/** @throws Usage with words for the terminal. */
export function readProfileSettings(argv: readonly string[], suggest: Suggest): Asked | "help" {
  const known = Object.keys(SHAPES) as ShapeName[];
  const words = readWords(argv, { options: OPTIONS, kind: "node", known, suggest });
  if (words === "help") return "help";
  const { values, positionals } = words;
  return {
    names: positionals.length === 0 ? known : known.filter((name) => positionals.includes(name)),
    named: positionals.length > 0,
    alone: values.alone === true,
    jobs: jobsOf(text("jobs", values.jobs)),
    svg: text("svg", values.svg),
    markdown: text("markdown", values.markdown),
    into: text("into", values.into),
    data: text("data", values.data),
  };
}

function jobsOf(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const count = Number(given);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new Usage(`--jobs is "${given}", expected a whole number from 1 on.`);
}
