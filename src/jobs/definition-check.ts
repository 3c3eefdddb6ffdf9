/**
 * The check of a definition's options: every field's rule, what is not supported yet, unknown keys with a hint.
 *
 * Owns the rules and gathers all problems into one `InvalidJob`, so that a definition is mended in one go. Takes
 * anything at all: definitions are written in JavaScript too.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { JobDefinition, KeyOf, Retry, RunsIn, TextOf } from "./definition.ts";
import { parseDuration } from "./duration.ts";
import { InvalidJob } from "./errors.ts";
import { checkJobName, checkName, shown } from "./names.ts";
import { levelsProblem } from "./retry.ts";
import { unknownKeys } from "./suggest.ts";

type Checked = Omit<JobDefinition, "module">;
type Given = Readonly<Record<string, unknown>>;

const KEYS: readonly string[] = [
  "name",
  "args",
  "queue",
  "queueKey",
  "executionKey",
  "maxExecutionTime",
  "retry",
  "runsIn",
  "pool",
  "perform",
];

/** @throws InvalidJob */
export function readDefinition(options: unknown): Checked {
  if (typeof options !== "object" || options === null) {
    throw new InvalidJob("?", `defineJob takes an object with name and perform, got ${shown(options)}.`);
  }
  const given = options as Given;
  const problems = [
    ...unknownKeys(given, KEYS),
    ...fieldProblems(given),
    ...bodyProblems(given),
    ...retryProblems(given.retry),
    ...timeProblems(given.maxExecutionTime),
    ...placeProblems(given.runsIn),
    ...poolProblems(given),
  ];
  if (problems.length === 0) return accepted(given);
  const name = checkJobName(given.name) === undefined ? (given.name as string) : "?";
  throw new InvalidJob(name, `${problems.join("; ")}. docs/jobs.md has every field of a definition.`);
}

/** Only after all checks: what is unknown has been refused by then. */
function accepted(given: Given): Checked {
  const limit = parseDuration(given.maxExecutionTime);
  return {
    name: given.name as string,
    args: given.args as StandardSchemaV1 | undefined,
    queue: (given.queue ?? "default") as TextOf<unknown>,
    queueKey: given.queueKey as KeyOf<unknown> | undefined,
    executionKey: given.executionKey as KeyOf<unknown> | undefined,
    maxExecutionTimeMs: limit.ok ? limit.ms : 0,
    retry: frozenRetry(given.retry),
    runsIn: frozenRunsIn(given.runsIn),
    pool: given.pool as string | undefined,
    perform: (given.perform ?? bodyElsewhere) as JobDefinition["perform"],
  };
}

function fieldProblems({ name, args, queue, queueKey, executionKey }: Given): string[] {
  const problems: string[] = [];
  const wrongName = checkJobName(name);
  if (wrongName !== undefined) problems.push(`name: ${wrongName}`);
  if (args !== undefined && !isStandardSchema(args)) {
    problems.push(`args: expected a Standard Schema (zod, valibot, Effect Schema …), got ${shown(args)}`);
  }
  if (queue !== undefined && typeof queue !== "function") {
    const wrongQueue = checkName(queue);
    if (wrongQueue !== undefined) problems.push(`queue: ${wrongQueue}`);
  }
  for (const [key, value] of Object.entries({ queueKey, executionKey })) {
    if (value !== undefined && typeof value !== "function") {
      problems.push(`${key}: expected a function of the args, got ${shown(value)}`);
    }
  }
  return problems;
}

/** Its name; whether the runtime has such a pool is known at its start. */
function poolProblems({ pool, runsIn }: Given): string[] {
  if (pool === undefined) return [];
  const wrong = checkName(pool);
  if (wrong !== undefined) return [`pool: ${wrong}`];
  return runsIn === undefined || runsIn === "thread"
    ? []
    : ["pool: only threads are in pools; leave runsIn out"];
}

function timeProblems(maxExecutionTime: unknown): string[] {
  if (maxExecutionTime === undefined) return [];
  const parsed = parseDuration(maxExecutionTime);
  return parsed.ok ? [] : [`maxExecutionTime: ${parsed.problem}`];
}

function retryProblems(retry: unknown): string[] {
  if (retry === undefined || typeof retry === "boolean") return [];
  if (typeof retry !== "object" || retry === null || !("levels" in retry)) {
    return [`retry: expected true, false or { levels: [seconds, …] }, got ${shown(retry)}`];
  }
  const wrong = levelsProblem(retry.levels);
  return [...unknownKeys(retry, ["levels"]), ...(wrong === undefined ? [] : [wrong])].map(
    (p) => `retry: ${p}`,
  );
}

function placeProblems(runsIn: unknown): string[] {
  if (runsIn === undefined || runsIn === "thread" || runsIn === "process") return [];
  if (typeof runsIn !== "object" || runsIn === null)
    return [`runsIn: ${shown(runsIn)} is not known; "thread", "process" and { worker: "type" } are`];
  const wrong = checkJobName((runsIn as { readonly worker?: unknown }).worker);
  return [...unknownKeys(runsIn, ["worker"]), ...(wrong === undefined ? [] : [`worker: ${wrong}`])].map(
    (problem) => `runsIn: ${problem}`,
  );
}

/** Of a job that runs in a worker the body is there: one here would never be called. */
function bodyProblems({ runsIn, perform }: Given): string[] {
  if (typeof runsIn === "object" && runsIn !== null)
    return perform === undefined
      ? []
      : ["perform: the worker has the body; leave it out, or leave runsIn out"];
  return typeof perform === "function" ? [] : [`perform: expected a function, got ${shown(perform)}`];
}

function bodyElsewhere(): never {
  throw new Error("this job's body is in a worker behind a gateway");
}

function frozenRunsIn(runsIn: unknown): RunsIn {
  if (runsIn === "process") return "process";
  if (typeof runsIn !== "object" || runsIn === null) return "thread";
  return Object.freeze({ worker: (runsIn as { readonly worker: string }).worker });
}

function frozenRetry(retry: unknown): Retry {
  if (typeof retry !== "object" || retry === null) return retry === true;
  const { levels } = retry as { readonly levels: readonly number[] };
  return Object.freeze({ levels: Object.freeze([...levels]) });
}

/** Some libraries' schemas are functions. */
function isStandardSchema(value: unknown): boolean {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  const standard = (value as { readonly "~standard"?: { readonly validate?: unknown } })["~standard"];
  return typeof standard === "object" && standard !== null && typeof standard.validate === "function";
}
