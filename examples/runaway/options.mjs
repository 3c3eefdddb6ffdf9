/**
 * The example's command line. What it cannot do is said in a sentence, with exit code 2.
 */
import { parseArgs } from "node:util";

export const HELP = `node examples/runaway/runaway.mjs [OPTIONS]

Seven jobs that do not end by themselves, in a service that goes on meanwhile: where each hung, and how it was ended.

  --within MS         how long after its limit a body may be there, its stack captured (2000)
  --json              the last line on stdout is one JSON object; all else goes to stderr
  --help              this text

Exit code 0 only when each was ended in time, with the stack that it must have, and no other job was harmed.
`;

/** A mistake of whoever called; its message is all that is shown. */
export class Usage extends Error {}

const OPTIONS = { within: { type: "string" }, json: { type: "boolean" }, help: { type: "boolean" } };

export function readOptions(args) {
  const { within = "2000", json = false, help = false } = parsed(args);
  if (!/^\d{1,5}$/.test(within)) throw new Usage(`--within ${within}: a whole number of milliseconds.`);
  return { withinMs: Number(within), json, help };
}

function parsed(args) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    throw new Usage(`${error.message}\n\n${HELP}`);
  }
}
