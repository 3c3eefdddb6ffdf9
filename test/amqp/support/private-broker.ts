/**
 * A RabbitMQ of one's own, which may be killed, starved and told things: `scripts/rabbitmq` for tests.
 *
 * Owns the broker and its data. `dispose` takes both away; when this process ends in whatever way before that,
 * SIGKILL included, a watcher beside the broker does it within a second or two.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const SCRIPT = fileURLToPath(new URL("../../../scripts/rabbitmq", import.meta.url));
const run = promisify(execFile);

export type BrokerVersion = "installed" | "3.10" | "4.0" | "4.3";

const VERSIONS: readonly BrokerVersion[] = ["installed", "3.10", "4.0", "4.3"];

export function brokerVersion(text: string): BrokerVersion {
  const version = VERSIONS.find((one) => one === text);
  if (version === undefined) throw new Error(`no RabbitMQ ${text}; there are ${VERSIONS.join(", ")}`);
  return version;
}

/** Is a rabbitmq-server installed on this machine? */
export async function isInstalled(): Promise<boolean> {
  return /^installed +\d/m.test(await script("versions"));
}

export const HOW_TO_HAVE_OWN =
  "that needs scripts/rabbitmq (Linux), and an installed rabbitmq-server or, as root, scripts/rabbitmq install 4.3";

/** The newest that this process can start; Debian's own versions run in a chroot, which needs root. */
export async function newestVersion(): Promise<BrokerVersion | undefined> {
  const told = await script("versions").catch(() => ""); // no Linux, or no bash
  const there = (version: BrokerVersion) => new RegExp(`^${version} +\\d`, "m").test(told);
  const chroots = process.getuid?.() === 0 ? (["4.3", "4.0", "3.10"] as const) : [];
  return [...chroots, "installed" as const].find(there);
}

export class PrivateBroker implements AsyncDisposable {
  readonly version: BrokerVersion;
  readonly url: string;
  readonly port: number;

  private constructor(version: BrokerVersion, url: string) {
    this.version = version;
    this.url = url;
    this.port = Number(new URL(url).port);
  }

  /** A new and empty broker on a port that nobody uses, ready for connections. It does not outlive its owner. */
  static async start(version: BrokerVersion = "installed", ownerPid = process.pid): Promise<PrivateBroker> {
    const [url] = linesOf(await runFor(ownerPid, "start", version, "any"));
    return new PrivateBroker(version, url ?? "");
  }

  /** The nodes of a new cluster. Each is killed, stopped, restarted and disposed of by itself. */
  static async cluster(version: BrokerVersion = "installed", nodes = 3): Promise<PrivateBroker[]> {
    const urls = linesOf(await script("cluster", "start", version, "any", String(nodes)));
    return urls.map((url) => new PrivateBroker(version, url));
  }

  /** SIGKILL. What was confirmed as durable is there after `restart`, if its queue had settled. */
  async kill(): Promise<void> {
    await script("kill", String(this.port));
  }

  /** In order, as an administrator does: connections are told. */
  async stop(): Promise<void> {
    await script("stop", String(this.port));
  }

  /** Starts it on its port and data after `kill` or `stop`; does nothing while it runs. */
  async restart(): Promise<void> {
    await script("start", this.version, String(this.port));
  }

  /**
   * Resolves when the queues that are declared are on the disk. RabbitMQ, of every version, writes their names about
   * half a second later: a broker that is killed before has lost them, with every confirmed message in them.
   */
  async settle(): Promise<void> {
    await this.ctl("eval", "[dets:sync(Table) || Table <- dets:all()], catch mnesia:sync_log(), ok.");
  }

  /** `rabbitmqctl`: what it printed, without headings. */
  async ctl(...args: readonly string[]): Promise<string> {
    return await script("ctl", String(this.port), "--quiet", ...args);
  }

  async dispose(): Promise<void> {
    await script("wipe", String(this.port));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

const script = (...args: readonly string[]): Promise<string> => runFor(process.pid, ...args);

async function runFor(ownerPid: number, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, RABBITMQ_OWNER: String(ownerPid) };
  const { stdout } = await run(SCRIPT, args, { env });
  return stdout;
}

const linesOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");
