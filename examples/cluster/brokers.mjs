/**
 * The RabbitMQ that the nodes share: one that is there and is left as it was, or one of our own.
 *
 * Owns what was declared under the prefix of a broker that is there, and deletes it at the end: hundreds of quorum queues
 * that nobody uses make a broker slow. One of our own is taken away whole; a watcher beside it does it when this process
 * is killed.
 */
import { execFile } from "node:child_process";
import { connect as connectTo } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { connect } from "amqplib";
import { Usage } from "./options.mjs";
import { PARTITION, QUEUE } from "./plan.mjs";

const SCRIPT = fileURLToPath(new URL("../../scripts/rabbitmq", import.meta.url));
const LOCAL = "amqp://guest:guest@localhost:5672";
const LOOK_MS = 2_000;
const NOT_FOUND = 404;
const run = promisify(execFile);

async function script(...args) {
  const env = { ...process.env, RABBITMQ_OWNER: String(process.pid) };
  const { stdout } = await run(SCRIPT, args, { env });
  return stdout.split("\n").filter((line) => line !== "");
}

/** As everywhere here: the one that was named, else AMQP_URL, else the one on this machine, else one of our own. */
export async function brokerOf({ url = process.env.AMQP_URL || undefined, prefix }) {
  if (url !== undefined) return GivenBroker.at(url, prefix);
  if (await listens("localhost", 5672)) return GivenBroker.at(LOCAL, prefix);
  const installed = (await script("versions")).some((line) => /^installed +\d/.test(line));
  if (!installed)
    throw new Usage(
      "no RabbitMQ: none at localhost:5672, and none that could be started; install Debian's rabbitmq-server, or give --broker URL.",
    );
  return OwnBroker.start();
}

function listens(host, port) {
  return new Promise((resolve) => {
    const socket = connectTo(port, host);
    const told = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(LOOK_MS, () => told(false));
    socket.once("connect", () => told(true)).once("error", () => told(false));
  });
}

class OwnBroker {
  constructor(url) {
    this.url = url;
  }
  static async start() {
    const [url] = await script("start", "installed", "any");
    return new OwnBroker(url);
  }
  async take() {
    await script("wipe", new URL(this.url).port);
  }
}

class GivenBroker {
  constructor(url, prefix) {
    this.url = url;
    this.prefix = prefix;
  }

  /** Only what this run has made is deleted: so nothing of that name may be there before it. */
  static async at(url, prefix) {
    const broker = new GivenBroker(url, prefix);
    if (await broker.#isUsed())
      throw new Usage(`--prefix ${prefix}: there are queues of that name already; give another one.`);
    return broker;
  }

  async #isUsed() {
    const connection = await this.#connected();
    try {
      const channel = await connection.createChannel();
      channel.on("error", () => {}); // that there is none closes the channel
      return await channel.checkExchange(`${this.prefix}.$enqueue`).then(
        () => true,
        (error) => {
          if (error.code !== NOT_FOUND) throw error;
          return false;
        },
      );
    } finally {
      await connection.close();
    }
  }

  async #connected() {
    const connection = await connect(this.url);
    connection.on("error", () => {}); // what was under way rejects
    return connection;
  }

  /** What is not there is no error: all that a runtime can have declared, whether it did or not. */
  async take() {
    const connection = await this.#connected();
    try {
      const channel = await connection.createChannel();
      const { queues, exchanges } = namesUnder(this.prefix);
      for (const queue of queues) await channel.deleteQueue(queue);
      for (const exchange of exchanges) await channel.deleteExchange(exchange);
    } finally {
      await connection.close();
    }
  }
}

/** As in docs/rabbitmq.md, "What is on the broker". These jobs are never retried, so there are no queues for retries. */
function namesUnder(prefix) {
  const own = (name) => `${prefix}.$${name}`;
  const jobs = `${prefix}.${PARTITION}.${QUEUE}`;
  const coordinator = `${prefix}.${PARTITION}.$coordinator`;
  const delays = Array.from({ length: 28 }, (_, rung) => own(`delay.${rung}`));
  const exchanges = ["enqueue", "work", "delayed", "unroutable", "system", "topology.1"].map(own);
  return {
    queues: [jobs, `${jobs}.$buried`, coordinator, `${coordinator}.journal`, own("unroutable"), ...delays],
    exchanges: [...exchanges, ...delays],
  };
}
