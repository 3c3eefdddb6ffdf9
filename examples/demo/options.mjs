/**
 * The demo's command line. What it cannot do is said in a sentence, with exit code 2.
 */
import { isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export const HELP = `npm run demo [-- OPTIONS]

  --broker BROKER   where the jobs wait: memory, embedded, or amqp://USER:PASSWORD@HOST (embedded)
  --prefix P        on RabbitMQ: begins the names of the demo's queues (demo); they stay there
  --data DIR        the folder of the demo's files (.demo in the checkout); wiped at a fresh start
  --resume          go on with what an earlier run left in that folder and on that broker
  --files N         only the first N files
  --json            the last line on stdout is one JSON object; all else goes to stderr
  --help            this text
`;

/** A path as a person would type it: from here, when it lies below. */
export function shown(path) {
  const short = relative(".", path);
  return short.startsWith("..") || isAbsolute(short) ? path : short || ".";
}

/** Where the jobs wait, in words, and never who logs in: what a run is resumed on must be the same. */
export function placeOf({ broker, url, prefix }) {
  if (broker !== "rabbitmq") return broker;
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname === "/" ? "" : pathname}, queues ${prefix}.*`;
}

/** A mistake of whoever called; its message is all that is shown. */
export class Usage extends Error {}

export function readOptions(argv) {
  const { values } = parsed(argv);
  const place = brokerOf(values);
  if (place.broker === "memory" && values.resume)
    throw new Usage(
      "--resume: the memory broker keeps nothing that could be resumed; take --broker embedded.",
    );
  return {
    ...place,
    folder: values.data ?? fileURLToPath(new URL("../../.demo", import.meta.url)),
    resume: values.resume ?? false,
    limit: limitOf(values.files),
    json: values.json ?? false,
    help: values.help ?? false,
  };
}

/** An address is never repeated as it was given: it may hold a password. */
function brokerOf({ broker = "embedded", prefix }) {
  const isUrl = /^amqps?:/.test(broker);
  if (prefix !== undefined && !isUrl)
    throw new Usage("--prefix is for RabbitMQ: give --broker amqp://… with it.");
  if (isUrl) {
    if (!URL.canParse(broker) || !/^amqps?:\/\//.test(broker))
      throw new Usage("--broker: that is no address; write amqp://user:password@host:port/virtual-host.");
    return { broker: "rabbitmq", url: broker, prefix: prefix ?? "demo" };
  }
  if (broker !== "memory" && broker !== "embedded") {
    const named = broker.includes("@") ? "--broker" : `--broker ${broker}`;
    throw new Usage(`${named}: there is memory and embedded, and RabbitMQ at amqp://….`);
  }
  return { broker };
}

function parsed(argv) {
  try {
    return parseArgs({
      args: argv,
      options: {
        broker: { type: "string" },
        prefix: { type: "string" },
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
