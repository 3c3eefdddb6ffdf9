/**
 * `spillway ps`: what lies on the embedded broker of a folder.
 *
 * Owns nothing and changes nothing; it holds the folder for a moment, as a producer does. Reasons of buried jobs are
 * counted up to a limit, so that a million of them neither fill memory nor keep the folder.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { embedded } from "../embedded/index.ts";
import type { BrokerQueue } from "../runtime/queues.ts";
import { Runtime } from "../runtime/runtime.ts";
import { type CommandCall, DEFAULT_DATA } from "./command.ts";
import { StoreMissing } from "./errors.ts";
import { commandLog } from "./log.ts";
import type { Terminal } from "./terminal.ts";

const PAGE = 1_000;
const MAX_REASONS = 10_000;

interface Row extends BrokerQueue {
  /** Why jobs lie buried, and how many each; of the oldest 10,000. */
  readonly reasons: Readonly<Record<string, number>>;
}

export async function ps(call: CommandCall): Promise<number> {
  const data = call.text("data") ?? DEFAULT_DATA;
  if (!existsSync(join(data, "jobs.db"))) throw new StoreMissing(data);
  const runtime = await Runtime.start({
    broker: embedded({ path: data }),
    logger: commandLog(call.terminal),
  });
  try {
    const rows: Row[] = [];
    for (const queue of await runtime.queues.list())
      rows.push({ ...queue, reasons: await reasonsOf(runtime, queue) });
    show(rows, data, call.terminal);
    return 0;
  } finally {
    await runtime.stop();
  }
}

async function reasonsOf(
  runtime: Runtime,
  { partition, queue, buried }: BrokerQueue,
): Promise<Row["reasons"]> {
  const reasons: Record<string, number> = {};
  let after: string | undefined;
  for (let seen = 0; seen < Math.min(buried, MAX_REASONS); ) {
    const page = await runtime.buried.list(partition, queue, {
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    for (const { reason } of page) reasons[reason] = (reasons[reason] ?? 0) + 1;
    after = page.at(-1)?.id;
    if (after === undefined) break;
    seen += page.length;
  }
  return reasons;
}

function show(rows: readonly Row[], data: string, terminal: Terminal): void {
  terminal.record({ data, partitions: byPartition(rows) });
  if (terminal.json) return;
  if (rows.length === 0) {
    terminal.line("no partitions yet");
    return;
  }
  const head = ["PARTITION", "QUEUE", "READY", "SCHEDULED", "BURIED", "STATE", "BURIED FOR"];
  const cells = rows.map((row) => [
    row.partition,
    row.queue,
    String(row.ready),
    String(row.scheduled),
    String(row.buried),
    row.paused ? "paused" : "open",
    reasonsText(row),
  ]);
  terminal.table(head, cells);
}

function reasonsText({ reasons, buried }: Row): string {
  const list = Object.entries(reasons).map(([reason, count]) => `${reason} ${count}`);
  if (buried > MAX_REASONS) list.push(`of the oldest ${MAX_REASONS}`);
  return list.join(", ");
}

function byPartition(rows: readonly Row[]) {
  const names = [...new Set(rows.map((row) => row.partition))];
  return names.map((partition) => ({
    partition,
    queues: rows
      .filter((row) => row.partition === partition)
      .map(({ queue, ready, scheduled, buried, paused, reasons }) => ({
        queue,
        ready,
        scheduled,
        buried,
        paused,
        reasons,
      })),
  }));
}
