/**
 * The example's command line. What it cannot do is said in a sentence, with exit code 2.
 */
import { parseArgs } from "node:util";

export const HELP = `node examples/broker-restart/restart.mjs [OPTIONS]

Long jobs on two nodes, and a RabbitMQ that is killed in the middle of them and started again. Each must run once.

  --jobs N            how many jobs, half of them on each node (50)
  --seconds S         how long each takes (30)
  --version V         the RabbitMQ that is started: installed, 3.10, 4.0 or 4.3 (installed)
  --cluster           a cluster of three; one of them is stopped in the middle, and stays so
  --broker URL        a RabbitMQ that is there, amqp://USER:PASSWORD@HOST; it is left alone, so
  --restart none      must be said as well
  --prefix P          begins the names of the queues there (restart); they stay
  --json              the last line on stdout is one JSON object; all else goes to stderr
  --help              this text

Exit code 0 only when every job ran exactly once.
`;

/** A mistake of whoever called; its message is all that is shown. */
export class Usage extends Error {}

const OPTIONS = {
  jobs: { type: "string" },
  seconds: { type: "string" },
  version: { type: "string" },
  cluster: { type: "boolean" },
  broker: { type: "string" },
  restart: { type: "string" },
  prefix: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean" },
};

export function readOptions(argv) {
  const values = parsed(argv);
  const { cluster = false, broker: url, restart = cluster ? "one" : "kill", json = false } = values;
  if (!["kill", "one", "none"].includes(restart) || (values.restart !== undefined && restart !== "none"))
    throw new Usage(
      "--restart: only none can be said; without it the broker is killed, or one of a cluster.",
    );
  if (url !== undefined) checkGiven(url, restart, values);
  return {
    jobs: whole("jobs", values.jobs ?? "50", 2, 200),
    seconds: whole("seconds", values.seconds ?? "30", 2, 600),
    version: values.version ?? "installed",
    prefix: values.prefix ?? "restart",
    help: values.help ?? false,
    url,
    cluster,
    restart,
    json,
  };
}

/** An address is never repeated: it may hold a password. */
function checkGiven(url, restart, { cluster, version }) {
  if (!/^amqps?:\/\//.test(url) || !URL.canParse(url))
    throw new Usage("--broker: expected amqp://user:password@host:port/virtual-host.");
  if (restart !== "none")
    throw new Usage("--broker: one that somebody else uses is not killed; add --restart none.");
  if (cluster || version !== undefined)
    throw new Usage("--broker takes one that is there; --cluster and --version start one.");
}

function parsed(args) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    throw new Usage(`${error.message}\n\n${HELP}`);
  }
}

function whole(name, text, least, most) {
  const number = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new Usage(`--${name} ${text}: a whole number from ${least} to ${most}.`);
}
