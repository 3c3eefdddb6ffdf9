/**
 * `spillway start`: a node in the foreground; with `--nodes`, several (`nodes.ts`).
 *
 * Owns the process's signals while the node runs. The first stops it in order; the second says that this goes on, and
 * changes nothing. When a thread hangs in a native call, the process ends itself by SIGKILL after all that is durable
 * is on disk: no orderly exit gets past such a thread. A node that ends by itself (its store was taken) exits with 1.
 */

import type { JobRef } from "../actors/job-ref.ts";
import type { RuntimeOptions } from "../runtime/options.ts";
import { Runtime, type Stopped } from "../runtime/runtime.ts";
import type { CommandCall } from "./command.ts";
import { eventLine } from "./event-line.ts";
import { commandLog } from "./log.ts";
import { placeGiven } from "./place.ts";
import { type Signal, Signals } from "./signals.ts";
import { startOptions } from "./start-options.ts";
import type { Terminal } from "./terminal.ts";

/** What the embedded broker may still have to write when the runtime has stopped but for a wedged thread. */
const FLUSH_MS = 250;

export async function start(call: CommandCall): Promise<number> {
  if (call.text("nodes") !== undefined) return (await import("./nodes.ts")).nodes(call);
  const { terminal } = call;
  const signals = new Signals(terminal, "running bodies get their time, then they are handed back");
  try {
    const options = await startOptions(call);
    // A config file may take its time; nothing has been opened yet.
    if (signals.seen) return 0;
    const log = commandLog(terminal);
    const runtime = await Runtime.start({ logger: log, ...options });
    log.begin();
    watch(runtime, terminal, call.flag("quiet"));
    await announce(runtime, options, call);
    const signal = await Promise.race([signals.first, runtime.ended.then(() => undefined)]);
    const stopped = await runtime.stop();
    return await farewell(runtime.name, signal, stopped, terminal);
  } finally {
    signals.close();
  }
}

function watch(runtime: Runtime, terminal: Terminal, quiet: boolean): void {
  runtime.on("*", (event) => {
    if (terminal.json) return terminal.record(event);
    const line = eventLine(event, quiet);
    if (line === undefined) return;
    terminal.line(line.style === undefined ? line.text : terminal.style(line.style, line.text));
  });
}

/** What happened before anybody could listen: which partitions run, and which wait. */
async function announce(runtime: Runtime, options: RuntimeOptions, call: CommandCall): Promise<void> {
  const { terminal } = call;
  const waiting = await runtime.node.waitingPartitions();
  const broker = options.broker?.kind ?? "embedded";
  const partitions = options.partitions ?? {};
  terminal.record({
    type: "node.started",
    at: Date.now(),
    node: runtime.name,
    pid: process.pid,
    broker,
    partitions,
    waiting: Object.keys(waiting),
  });
  terminal.line(
    `node ${runtime.name} (process ${process.pid}) runs on ${(await placeGiven(call))?.text ?? broker}; Ctrl-C stops it`,
  );
  for (const [partition, queues] of Object.entries(partitions)) {
    const state = partition in waiting ? "waiting" : "running";
    const list = Object.entries(queues).map(
      ([queue, one]) => `${queue}=${typeof one === "number" ? one : one.concurrency}`,
    );
    terminal.line(`partition ${partition} ${state}: ${list.join(" ")}`);
  }
  if (options.jobs === undefined)
    terminal.line("no --jobs: this node runs nothing, its queues are only made");
}

async function farewell(
  node: string,
  signal: Signal | undefined,
  { wedged }: Stopped,
  terminal: Terminal,
): Promise<number> {
  terminal.record({ type: "node.stopped", at: Date.now(), node, wedged });
  if (wedged.length > 0) await killSelf(wedged, terminal);
  if (signal !== undefined) {
    terminal.line("stopped");
    return 0;
  }
  terminal.note("the node ended by itself; the lines above say why");
  return 1;
}

async function killSelf(wedged: readonly JobRef[], terminal: Terminal): Promise<void> {
  const jobs = wedged.length === 1 ? "job" : "jobs";
  terminal.line(
    `${wedged.length} ${jobs} hang in native calls (${wedged.map((job) => `${job.job} ${job.id}`).join(", ")}); the process ends itself by SIGKILL`,
  );
  await new Promise((resolve) => setTimeout(resolve, FLUSH_MS));
  process.kill(process.pid, "SIGKILL");
}
