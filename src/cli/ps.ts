/**
 * `spillway ps`: what lies on the embedded broker of a folder, or on a RabbitMQ.
 *
 * Owns nothing and changes nothing; it holds the folder for a moment, as a producer does, or is a node for a moment that
 * runs nothing. Reasons of buried jobs are counted up to a limit, so that a million of them neither fill memory nor keep
 * the folder.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { QueueRef } from "../broker/contract.ts";
import type { BrokerQueue } from "../runtime/queues.ts";
import { Runtime } from "../runtime/runtime.ts";
import type { CommandCall } from "./command.ts";
import { StoreMissing, UsageError } from "./errors.ts";
import { commandLog } from "./log.ts";
import { queuesOf } from "./named-queues.ts";
import { type Place, place } from "./place.ts";
import type { Terminal } from "./terminal.ts";

const PAGE = 1_000;
const MAX_REASONS = 10_000;

interface Row extends BrokerQueue {
  /** Why jobs lie buried, and how many each; of the oldest 10,000. */
  readonly reasons: Readonly<Record<string, number>>;
}

export async function ps(call: CommandCall): Promise<number> {
  const from = await place(call);
  const named = namedQueues(call, from);
  if (from.data !== undefined && !existsSync(join(from.data, "jobs.db"))) throw new StoreMissing(from.data);
  const runtime = await Runtime.start({ broker: from.broker, logger: commandLog(call.terminal) });
  try {
    const queues = from.data === undefined ? await queuesOf(runtime, named) : await runtime.queues.list();
    const rows: Row[] = [];
    for (const queue of queues) rows.push({ ...queue, reasons: await reasonsOf(runtime, queue) });
    show(rows, from, call.terminal);
    return 0;
  } finally {
    await runtime.stop();
  }
}

/** A folder knows its queues, so none is named there. */
function namedQueues(call: CommandCall, from: Place): readonly QueueRef[] {
  const partition = call.text("partition");
  const queues = call.list("queue");
  if (from.data !== undefined && (partition !== undefined || queues.length > 0))
    throw new UsageError(
      "--partition and --queue name queues of a RabbitMQ; of a folder all are shown.",
      call.command,
    );
  if (partition !== undefined && queues.length === 0)
    throw new UsageError("--partition says whose queues are named: give --queue with it.", call.command);
  return queues.map((queue) => ({ partition: partition ?? "default", queue }));
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

function show(rows: readonly Row[], { data, text }: Place, terminal: Terminal): void {
  terminal.record({ ...(data === undefined ? { broker: text } : { data }), partitions: byPartition(rows) });
  if (terminal.json) return;
  if (rows.length === 0)
    return terminal.line(
      data === undefined
        ? "no live node knows a queue here; name one with --partition and --queue"
        : "no partitions yet",
    );
  const head = ["PARTITION", "QUEUE", "READY", "SCHEDULED", "BURIED", "STATE", "BURIED FOR"];
  const cells = rows.map((row) => [
    row.partition,
    row.queue,
    String(row.ready),
    String(row.scheduled ?? "—"),
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
        scheduled: scheduled ?? null,
        buried,
        paused,
        reasons,
      })),
  }));
}
