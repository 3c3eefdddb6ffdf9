/**
 * The check of a definition's options: every field's rule, what is not supported yet, unknown keys with a hint.
 *
 * Owns the rules and gathers all problems into one `InvalidJob`, so that a definition is mended in one go. Takes
 * anything at all: definitions are written in JavaScript too.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { JobDefinition, KeyOf, Retry, TextOf } from "./definition.ts";
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
    ...retryProblems(given.retry),
    ...timeProblems(given.maxExecutionTime),
    ...notYet(given),
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
    runsIn: "thread",
    pool: undefined,
    perform: given.perform as JobDefinition["perform"],
  };
}

function fieldProblems({ name, args, queue, queueKey, executionKey, perform }: Given): string[] {
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
  if (typeof perform !== "function") problems.push(`perform: expected a function, got ${shown(perform)}`);
  return problems;
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

/** The one place that knows what a definition may say and this version can't do. */
function notYet({ runsIn, pool }: Given): string[] {
  const problems: string[] = [];
  if (runsIn !== undefined && runsIn !== "thread") {
    const known =
      runsIn === "process" || (typeof runsIn === "object" && runsIn !== null && "worker" in runsIn);
    const wanted = known ? JSON.stringify(runsIn) : shown(runsIn);
    problems.push(`runsIn: ${wanted} is not ${known ? "supported yet" : "known"}; "thread" is supported`);
  }
  if (pool !== undefined) problems.push("pool: not supported yet; all jobs share the runtime's threads");
  return problems;
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
