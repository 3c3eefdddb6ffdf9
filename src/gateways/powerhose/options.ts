/**
 * The options of all that speaks Powerhose, checked and with defaults: the gateway, the job runner, a worker.
 *
 * Owns the lists of them; `docs/gateways.md` says them for people, and a test compares the two.
 */
import * as Schema from "effect/Schema";
import { InvalidOptions } from "../../broker/errors.ts";
import { durationMs, structureOf, unknownKeys, whole, withDefault } from "../../broker/options.ts";
import { type Bytes, parseBytes } from "../../jobs/bytes.ts";
import type { Duration } from "../../jobs/duration.ts";
import {
  type CheckedUpkeep,
  type UpkeepOptions,
  upkeep,
  upkeepFields,
} from "../../runtime/worker-options.ts";
import { SEPARATORS, type Separator } from "./wire.ts";

export interface PowerhoseOptions {
  /** What `runsIn: { worker }` names: Powerhose has one kind of workers an endpoint, and no word for it. */
  readonly serves: string;
  /** Where workers register, `ipc://PATH` or `tcp://HOST:PORT`; default the original's `ipc://master-routing.ipc`. */
  readonly endpoint?: string;
  /** What data and results are: `json` (default), or `text`, where args that are a text go out as they are. */
  readonly format?: "json" | "text";
  /** Most bytes of one answer; default 64 MiB. */
  readonly maxMessage?: Bytes;
  /** Most workers that are registered; default 500. */
  readonly maxWorkers?: number;
}

export interface JobRunnerOptions extends UpkeepOptions {
  /** How many workers a job is tried on; default 3. */
  readonly retries?: number;
  /** How long a job waits for a worker that is free; default 5 s. */
  readonly wait?: Duration;
  /** Most jobs that wait for one; default 10,000. */
  readonly maxWaiting?: number;
  /** Most bytes of one answer; default 64 MiB. */
  readonly maxMessage?: Bytes;
  /** Most workers that are registered; default 500. */
  readonly maxWorkers?: number;
}

export interface PowerhoseWorkerOptions {
  /** How long the master may take for an answer; default 1 s. */
  readonly timeout?: Duration;
  /** From one ping to the next; default 5 s. */
  readonly ping?: Duration;
  /** So many pings in a row without an answer end the worker; default 10. */
  readonly maxFails?: number;
  /** What stands between the parts of a message: `:::` (default), or `*****`, which came later. */
  readonly separator?: Separator;
  /** Most bytes of one job; default 64 MiB. */
  readonly maxMessage?: Bytes;
}

export interface CheckedPowerhose {
  readonly serves: string;
  readonly endpoint: string;
  readonly format: "json" | "text";
  readonly maxMessage: number;
  readonly maxWorkers: number;
}

export interface CheckedRunner extends CheckedUpkeep {
  readonly retries: number;
  readonly waitMs: number;
  readonly maxWaiting: number;
  readonly maxMessage: number;
  readonly maxWorkers: number;
}

export interface CheckedWorker {
  readonly timeoutMs: number;
  readonly pingMs: number;
  readonly maxFails: number;
  readonly separator: Separator;
  readonly maxMessage: number;
}

export const DEFAULT_ENDPOINT = "ipc://master-routing.ipc";

const amount = Schema.Union([Schema.Number, Schema.String]);
const duration = Schema.Union([Schema.Number, Schema.String]);
const maxMessage = withDefault(amount, 64 * 1_048_576);
/** Three sockets each, of 65,535 that ZeroMQ has at most. */
const maxWorkers = withDefault(whole(1, 20_000), 500);

const PowerhoseSchema = Schema.Struct({
  serves: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(128)),
  endpoint: withDefault(Schema.String, DEFAULT_ENDPOINT),
  format: withDefault(Schema.Literals(["json", "text"]), "json"),
  maxMessage,
  maxWorkers,
});

const RunnerSchema = Schema.Struct({
  retries: withDefault(whole(1, 100), 3),
  wait: withDefault(duration, 5_000),
  maxWaiting: withDefault(whole(1, 10_000_000), 10_000),
  maxMessage,
  maxWorkers,
  ...upkeepFields,
});

const WorkerSchema = Schema.Struct({
  timeout: withDefault(duration, 1_000),
  ping: withDefault(duration, 5_000),
  maxFails: withDefault(whole(1, 1_000_000), 10),
  separator: withDefault(Schema.Literals(SEPARATORS), ":::"),
  maxMessage,
});

export const powerhoseOptionNames: readonly string[] = Object.keys(PowerhoseSchema.fields);
export const runnerOptionNames: readonly string[] = Object.keys(RunnerSchema.fields);
export const workerOptionNames: readonly string[] = Object.keys(WorkerSchema.fields);

const powerhoseOf = structureOf(PowerhoseSchema);
const runnerOf = structureOf(RunnerSchema);
const workerOf = structureOf(WorkerSchema);

/** @throws InvalidOptions with every problem. */
export function checkPowerhoseOptions(given: unknown): CheckedPowerhose {
  const problems = unknownKeys(given, powerhoseOptionNames, "powerhose.");
  const raw = powerhoseOf(given, problems);
  if (raw === undefined) throw new InvalidOptions(problems);
  endpointProblem("powerhose.endpoint", raw.endpoint, problems);
  return checked({ ...raw, maxMessage: bytes("powerhose", raw.maxMessage, problems) }, problems);
}

/** @throws InvalidOptions with every problem. */
export function checkRunnerOptions(endpoint: string, given: unknown): CheckedRunner {
  const problems = unknownKeys(given, runnerOptionNames, "runner.");
  const raw = runnerOf(given, problems);
  if (raw === undefined) throw new InvalidOptions(problems);
  endpointProblem("endpoint", endpoint, problems);
  const { retries, maxWaiting, maxWorkers } = raw;
  const waitMs = durationMs("runner.wait", raw.wait, problems);
  const most = { maxMessage: bytes("runner", raw.maxMessage, problems), maxWaiting, maxWorkers };
  return checked({ retries, waitMs, ...most, ...upkeep("runner", raw, problems) }, problems);
}

/** @throws InvalidOptions with every problem. */
export function checkWorkerOptions(endpoint: string, workpoint: string, given: unknown): CheckedWorker {
  const problems = unknownKeys(given, workerOptionNames, "worker.");
  const raw = workerOf(given, problems);
  if (raw === undefined) throw new InvalidOptions(problems);
  endpointProblem("endpoint", endpoint, problems);
  endpointProblem("workpoint", workpoint, problems);
  const { separator, maxFails } = raw;
  const timeoutMs = durationMs("worker.timeout", raw.timeout, problems);
  const pingMs = durationMs("worker.ping", raw.ping, problems);
  if (timeoutMs === 0 || pingMs === 0) problems.push("worker: timeout and ping must be above 0");
  const most = bytes("worker", raw.maxMessage, problems);
  return checked({ timeoutMs, pingMs, maxFails, separator, maxMessage: most }, problems);
}

function checked<T>(options: T, problems: readonly string[]): T {
  if (problems.length > 0) throw new InvalidOptions(problems);
  return options;
}

function endpointProblem(name: string, endpoint: string, problems: string[]): void {
  if (/^(ipc:\/\/.+|tcp:\/\/.+:(\d+|\*))$/.test(endpoint)) return;
  problems.push(`${name}: expected "ipc://PATH" or "tcp://HOST:PORT", got ${JSON.stringify(endpoint)}`);
}

/** V8 holds no longer text. */
const LONGEST = 2 ** 29 - 25;

function bytes(name: string, value: string | number, problems: string[]): number {
  const parsed = parseBytes(value);
  if (!parsed.ok) problems.push(`${name}.maxMessage: ${parsed.problem}`);
  else if (parsed.bytes > LONGEST) problems.push(`${name}.maxMessage: must be below 512 MB`);
  return parsed.ok ? parsed.bytes : 0;
}
