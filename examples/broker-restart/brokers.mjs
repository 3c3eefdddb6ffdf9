/**
 * The RabbitMQ that is killed: one of our own, started by scripts/rabbitmq on a free port, or a cluster of three.
 *
 * Owns the brokers it has started and takes them away with their data at the end; a watcher beside them does it when
 * this process is killed.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Balancer } from "./balancer.mjs";
import { Usage } from "./options.mjs";

const SCRIPT = fileURLToPath(new URL("../../scripts/rabbitmq", import.meta.url));
const run = promisify(execFile);

async function script(...args) {
  const env = { ...process.env, RABBITMQ_OWNER: String(process.pid) };
  const { stdout } = await run(SCRIPT, args, { env });
  return stdout.split("\n").filter((line) => line !== "");
}

const portOf = (url) => Number(new URL(url).port);

/** What a version is, as `scripts/rabbitmq` knows it. */
export async function versionOf(name) {
  const lines = await script("versions");
  const [, version] = lines.map((line) => line.split(/ +/)).find(([known]) => known === name) ?? [];
  if (version !== undefined && /^\d/.test(version)) return version;
  throw new Usage(
    name === "installed"
      ? "no rabbitmq-server is installed here; install Debian's, or give --broker URL --restart none."
      : `there is no RabbitMQ ${name} here; scripts/rabbitmq versions lists what there is.`,
  );
}

/** One that somebody else has started, and that is left alone. */
export class GivenBroker {
  constructor(url) {
    this.url = url;
  }
  async take() {}
}

/** One broker: SIGKILL, then started again on its data. */
export class OwnBroker {
  constructor(version, url) {
    this.version = version;
    this.url = url;
  }
  static async start(version) {
    const [url] = await script("start", version, "any");
    return new OwnBroker(version, url);
  }
  async fail() {
    await script("kill", String(portOf(this.url)));
  }
  async mend() {
    await script("start", this.version, String(portOf(this.url)));
  }
  async take() {
    await script("wipe", String(portOf(this.url)));
  }
}

/** Three in a cluster behind one address; the one that everybody is connected to is stopped in order, and stays so. */
export class OwnCluster {
  constructor(ports, balancer) {
    this.ports = ports;
    this.balancer = balancer;
    this.url = `amqp://guest:guest@127.0.0.1:${balancer.port}`;
  }
  static async start(version) {
    const ports = (await script("cluster", "start", version, "any", "3")).map(portOf);
    return new OwnCluster(ports, await Balancer.start(ports));
  }
  async fail() {
    await script("stop", String(this.ports[0]));
  }
  async mend() {}
  async take() {
    this.balancer.close();
    await script("cluster", "wipe", String(this.ports[0]));
  }
}
