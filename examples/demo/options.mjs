/**
 * The demo's command line. What it cannot do is said in a sentence, with exit code 2.
 */
import { isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export const HELP = `npm run demo [-- OPTIONS]

  --broker memory|embedded   where the jobs wait (embedded)
  --data DIR                 the folder of the demo's files (.demo in the checkout); wiped at a fresh start
  --resume                   go on with what an earlier run left in that folder
  --files N                  only the first N files
  --json                     the last line on stdout is one JSON object; all else goes to stderr
  --help                     this text
`;

/** A path as a person would type it: from here, when it lies below. */
export function shown(path) {
  const short = relative(".", path);
  return short.startsWith("..") || isAbsolute(short) ? path : short || ".";
}

/** A mistake of whoever called; its message is all that is shown. */
export class Usage extends Error {}

export function readOptions(argv) {
  const { values } = parsed(argv);
  const broker = values.broker ?? "embedded";
  if (/^amqps?:/.test(broker))
    throw new Usage("RabbitMQ comes with its own issue; take --broker embedded or memory.");
  if (broker !== "memory" && broker !== "embedded")
    throw new Usage(`--broker ${broker}: there is memory and embedded.`);
  if (broker === "memory" && values.resume)
    throw new Usage(
      "--resume: the memory broker keeps nothing that could be resumed; take --broker embedded.",
    );
  return {
    broker,
    folder: values.data ?? fileURLToPath(new URL("../../.demo", import.meta.url)),
    resume: values.resume ?? false,
    limit: limitOf(values.files),
    json: values.json ?? false,
    help: values.help ?? false,
  };
}

function parsed(argv) {
  try {
    return parseArgs({
      args: argv,
      options: {
        broker: { type: "string" },
        data: { type: "string" },
        resume: { type: "boolean" },
        files: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new Usage(`${error.message}\n\n${HELP}`);
  }
}

function limitOf(text) {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (!/^[1-9]\d*$/.test(text)) throw new Usage(`--files ${text}: a whole number, 1 or more.`);
  return Number(text);
}
