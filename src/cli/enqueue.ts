/**
 * `spillway enqueue`: one job, by its name.
 *
 * Owns the choice of a definition: one of the modules given, or an ad-hoc one of that name, so that a producer needs
 * no code. Holds the folder for a moment, with no thread started, unless it is to wait: then this process runs the
 * job's queue until the job has ended, since no other process may have the folder meanwhile. On RabbitMQ another node may
 * be faster; the result comes here from there.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { defineJob, type JobDefinition } from "../jobs/definition.ts";
import { type Duration, parseDuration } from "../jobs/duration.ts";
import { InvalidArgs, UnknownJob } from "../jobs/errors.ts";
import { suggest } from "../jobs/suggest.ts";
import type { EnqueueOptions } from "../runtime/enqueue.ts";
import { loadJobs } from "../runtime/load-jobs.ts";
import { Runtime } from "../runtime/runtime.ts";
import type { CommandCall } from "./command.ts";
import { StoreMissing, UsageError } from "./errors.ts";
import { commandLog } from "./log.ts";
import { type Place, place } from "./place.ts";

interface Order {
  readonly definition: JobDefinition;
  readonly args: unknown;
  readonly options: EnqueueOptions;
  readonly place: Place;
  /** The modules to run here; none = do not wait. */
  readonly run: readonly string[];
  readonly declare: boolean;
}

export async function enqueue(call: CommandCall): Promise<number> {
  const order = await read(call);
  const { data, broker } = order.place;
  if (data !== undefined && !order.declare && !existsSync(join(data, "jobs.db")))
    throw new StoreMissing(data);
  const wait = order.run.length > 0;
  const log = commandLog(call.terminal);
  const runtime = await Runtime.start({
    broker,
    logger: log,
    ...(wait ? { jobs: order.run, threads: 1, spares: 0 } : {}),
  });
  log.begin();
  try {
    await put(runtime, order, call);
    return 0;
  } finally {
    await runtime.stop();
  }
}

async function put(runtime: Runtime, order: Order, { terminal }: CommandCall): Promise<void> {
  const { definition, args, options } = order;
  const { partition } = options;
  if (order.declare) await runtime.partitions.start(partition, { [queueOf(order)]: 0 });
  const handle = await runtime.enqueue(definition, args, options);
  const { id, queue } = handle;
  terminal.line(id);
  if (order.run.length === 0) return terminal.record({ id, partition, queue });
  await runtime.partitions.start(partition, { [queue]: 1 });
  const result = await handle.result();
  terminal.line(JSON.stringify(result) ?? "null");
  terminal.record({ id, partition, queue, result });
}

/** A queue that is made of the args is known only when it is too late to make it; `--queue` then says it. */
function queueOf({ definition, options }: Order): string {
  return options.queue ?? (typeof definition.queue === "string" ? definition.queue : "default");
}

async function read(call: CommandCall): Promise<Order> {
  const [job, given] = call.positionals;
  const jobs = call.list("jobs");
  if (job === undefined) throw new UsageError("which job? Give its name.", call.command);
  if (call.flag("wait") && jobs.length === 0)
    throw new UsageError("--wait runs the job here, so it needs --jobs.", call.command);
  return {
    definition: await definitionOf(job, jobs),
    args: await argsOf(job, given),
    options: optionsOf(call),
    place: await place(call),
    run: call.flag("wait") ? jobs : [],
    declare: call.flag("declare") || call.flag("wait"),
  };
}

async function definitionOf(name: string, paths: readonly string[]): Promise<JobDefinition> {
  if (paths.length === 0) return defineJob({ name, perform: (_args: unknown) => {} });
  const definitions = (await loadJobs(paths)).map((job) => job.definition);
  const found = definitions.find((definition) => definition.name === name);
  if (found !== undefined) return found;
  throw new UnknownJob(
    name,
    suggest(
      name,
      definitions.map((definition) => definition.name),
    ),
  );
}

async function argsOf(job: string, given: string | undefined): Promise<unknown> {
  if (given === undefined) return undefined;
  const text = given === "-" ? await textOf(process.stdin) : given;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgs(job, [{ path: "", message: `they are not JSON (${why})` }], { cause });
  }
}

function optionsOf(call: CommandCall): EnqueueOptions {
  const queue = call.text("queue");
  const id = call.text("id");
  const delay = delayOf(call);
  return {
    partition: call.text("partition") ?? "default",
    ...(queue === undefined ? {} : { queue }),
    ...(id === undefined ? {} : { id }),
    ...(delay === undefined ? {} : { delay }),
    ...(call.flag("wait") ? { result: true } : {}),
  };
}

function delayOf(call: CommandCall): Duration | undefined {
  const given = call.text("delay");
  if (given === undefined) return undefined;
  const parsed = parseDuration(/^\d+$/.test(given) ? Number(given) : given, { zero: true });
  if (parsed.ok) return parsed.ms;
  throw new UsageError(`--delay: ${parsed.problem}.`, call.command);
}
