/**
 * Options of a node from a command line and a file: what is on the command line wins.
 *
 * Owns nothing. The file's default export is RuntimeOptions as `Runtime.start` takes them, and is checked there; here
 * only what a flag says in its own way (`NAME=N`) is read.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { InvalidOptions } from "../runtime/errors.ts";
import type { RuntimeOptions } from "../runtime/options.ts";
import type { QueueOptions } from "../runtime/queue-options.ts";
import type { CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { place, placeGiven } from "./place.ts";

/** @throws UsageError, InvalidOptions (a config file that cannot be loaded). */
export async function startOptions(call: CommandCall): Promise<RuntimeOptions> {
  const given = await placeGiven(call);
  const config = await fromFile(call.text("config"));
  const threads = whole(call, "threads", call.text("threads"));
  const jobs = call.list("jobs");
  return {
    ...config,
    broker: given?.broker ?? config.broker ?? (await place(call)).broker,
    ...(jobs.length === 0 ? {} : { jobs }),
    ...(threads === undefined ? {} : { threads }),
    ...partitions(call, config),
  };
}

async function fromFile(path: string | undefined): Promise<RuntimeOptions> {
  if (path === undefined) return {};
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(pathToFileURL(resolve(path)).href)) as { default?: unknown };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new InvalidOptions([`${path} could not be loaded: ${message}`], { cause: error });
  }
  const options = loaded.default;
  if (typeof options === "object" && options !== null) return options as RuntimeOptions;
  throw new InvalidOptions([`${path}: its default export is no object; export default { jobs, partitions }`]);
}

/** Neither flags nor file name one: the node runs `default`, so that `spillway start --jobs PATH` is all it takes. */
function partitions(call: CommandCall, config: RuntimeOptions): Pick<RuntimeOptions, "partitions"> {
  const named = call.text("partition");
  const queues = call.list("queue");
  if (named === undefined && queues.length === 0 && config.partitions !== undefined) return {};
  const partition = named ?? "default";
  return { partitions: { ...config.partitions, [partition]: queuesOf(call, queues, config, partition) } };
}

function queuesOf(call: CommandCall, given: readonly string[], config: RuntimeOptions, partition: string) {
  if (given.length > 0) return Object.fromEntries(given.map((text) => queueOf(call, text)));
  return config.partitions?.[partition] ?? ({ default: concurrency(call, config) } satisfies QueueOptions);
}

/** As many at once as there are threads: more would only wait on this node. */
function concurrency(call: CommandCall, config: RuntimeOptions): number {
  return whole(call, "threads", call.text("threads")) ?? config.threads ?? 2;
}

function queueOf(call: CommandCall, text: string): readonly [string, number] {
  const [, name = "", count] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === "")
    throw new UsageError(`--queue "${text}": expected NAME=N, as in --queue default=4.`, call.command);
  return [name, whole(call, `queue ${name}`, count) ?? 0];
}

function whole(call: CommandCall, option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new UsageError(`--${option}: expected a whole number, got "${text}".`, call.command);
}
