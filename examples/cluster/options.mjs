/**
 * The example's command line. What it cannot do is said in a sentence, with exit code 2.
 */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";

export const HELP = `node examples/cluster/cluster.mjs [OPTIONS]

Three nodes on a RabbitMQ work through jobs with keys. The one that has the coordinator's seat is killed in the middle,
and comes back. Then every job is accounted for, and no two of one execution key may have run at once.

  --jobs N            how many jobs (5000)
  --keys N            among how many execution keys half of them are shared (50)
  --broker URL        a RabbitMQ that is there, amqp://USER:PASSWORD@HOST. Without: AMQP_URL if it is set, else the
                      one at localhost:5672, else one is started for this and taken away at the end
  --prefix P          begins the names of the queues there, and must be new (cluster- and six letters); what was
                      declared under it is deleted at the end
  --json              the last line on stdout is one JSON object; all else goes to stderr
  --help              this text

Exit code 0 only when every line of the ledger is as expected.
`;

/** A mistake of whoever called; its message is all that is shown. */
export class Usage extends Error {}

const OPTIONS = {
  jobs: { type: "string" },
  keys: { type: "string" },
  broker: { type: "string" },
  prefix: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean" },
};

export function readOptions(argv) {
  const values = parsed(argv);
  const { broker: url, prefix = `cluster-${randomBytes(3).toString("hex")}` } = values;
  // An address is never repeated: it may hold a password.
  if (url !== undefined && (!/^amqps?:\/\//.test(url) || !URL.canParse(url)))
    throw new Usage("--broker: expected amqp://user:password@host:port/virtual-host.");
  if (!/^[\w-]{1,64}$/.test(prefix)) throw new Usage("--prefix: letters, digits, - and _, at most 64.");
  return {
    jobs: whole("jobs", values.jobs ?? "5000", 100, 20_000),
    keys: whole("keys", values.keys ?? "50", 1, 5_000),
    json: values.json ?? false,
    help: values.help ?? false,
    url,
    prefix,
  };
}

function parsed(args) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    throw new Usage(`${error.message}\n\n${HELP}`);
  }
}

function whole(name, text, least, most) {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new Usage(`--${name} ${text}: a whole number from ${least} to ${most}.`);
}
