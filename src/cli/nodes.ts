/**
 * `spillway start --nodes N`: so many nodes of one machine, each a process, kept alive.
 *
 * Owns the processes until a signal ends them. Each runs `spillway start` with the same options; one that ends by itself
 * is started again, with backoff. A signal stops all in order, and a node that outlives its time is killed. When this
 * process is killed they are stopped all the same.
 */
import { availableParallelism } from "node:os";
import { Workers } from "../gateways/index.ts";
import { toMs } from "../jobs/duration.ts";
import type { RuntimeOptions } from "../runtime/options.ts";
import type { CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { Signals } from "./signals.ts";
import { startOptions } from "./start-options.ts";
import type { Terminal } from "./terminal.ts";

const SHUTDOWN_TIMEOUT = "15 seconds";
/** What an orderly stop takes beside the time for bodies. */
const MARGIN_MS = 15_000;
const MOST = 100;
/** A node has at least so many threads. */
const LEAST_THREADS = 2;

export async function nodes(call: CommandCall): Promise<number> {
  const { terminal } = call;
  const count = countOf(call);
  const signals = new Signals(terminal, "running bodies get their time, then they are handed back");
  try {
    const options = await startOptions(call);
    check(call, options);
    if (signals.seen) return 0;
    const all = new Workers(command(call, options, count), count, {
      grace: toMs(options.shutdownTimeout ?? SHUTDOWN_TIMEOUT) + MARGIN_MS,
      ...told(terminal),
    });
    await all.start();
    for (const { wid, pid } of all.running) {
      terminal.record({ type: "process.started", at: Date.now(), process: wid, pid });
      terminal.line(`node ${wid} is process ${pid}`);
    }
    await signals.first;
    await all.stop();
    terminal.record({ type: "processes.stopped", at: Date.now() });
    terminal.line("all are stopped");
    return 0;
  } finally {
    signals.close();
  }
}

function countOf(call: CommandCall): number {
  const text = call.text("nodes") ?? "";
  const count = Number(text);
  if (/^\d{1,3}$/.test(text) && count >= 1 && count <= MOST) return count;
  throw new UsageError(`--nodes: expected a whole number from 1 to ${MOST}, got "${text}".`, call.command);
}

function check(call: CommandCall, options: RuntimeOptions): void {
  if (options.broker?.kind !== "rabbitmq")
    throw new UsageError(
      "--nodes is for nodes that share a RabbitMQ: give --broker, or a --config that has one. A folder is for one process.",
      call.command,
    );
  if (options.node !== undefined)
    throw new UsageError(
      `--nodes: each needs a name of its own; leave node: "${options.node}" out of the --config.`,
      call.command,
    );
}

const TEXTS = ["broker", "prefix", "partition", "config"];
const LISTS = ["jobs", "queue"];
const FLAGS = ["quiet", "json"];

/** The same command line for each, but `--nodes`. Together they have as many threads as there are cores. */
function command(call: CommandCall, options: RuntimeOptions, count: number): string[] {
  const threads = options.threads ?? Math.max(LEAST_THREADS, Math.floor(availableParallelism() / count));
  const value = (name: string, text: string | undefined) => (text === undefined ? [] : [`--${name}=${text}`]);
  return [
    process.execPath,
    ...process.execArgv,
    process.argv[1] ?? "",
    "start",
    ...TEXTS.flatMap((name) => value(name, call.text(name))),
    ...LISTS.flatMap((name) => call.list(name).map((text) => `--${name}=${text}`)),
    ...FLAGS.filter((name) => call.flag(name)).map((name) => `--${name}`),
    `--threads=${threads}`,
  ];
}

/** Lines of a node are ours, after its number; its records are as they are, since each names its node. */
function told(
  terminal: Terminal,
): Pick<NonNullable<ConstructorParameters<typeof Workers>[2]>, "onLine" | "onExit"> {
  return {
    onLine: ({ wid, stream, text }) => {
      if (stream === "stderr") return terminal.note(`[${wid}] ${text}`);
      if (terminal.json) terminal.record(parsed(text) ?? { type: "process.line", process: wid, text });
      else terminal.line(`[${wid}] ${text}`);
    },
    onExit: ({ wid, pid, exitCode, signal }) => {
      terminal.record({ type: "process.exited", at: Date.now(), process: wid, pid, exitCode, signal });
      const how = signal ?? `code ${exitCode}`;
      if (!terminal.json)
        terminal.note(`node ${wid} (process ${pid}) ended with ${how}; it is started again`);
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
