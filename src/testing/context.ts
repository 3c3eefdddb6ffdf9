/**
 * A context for bodies that run without a thread, and `perform`, which runs one so.
 *
 * Owns what the body said (progress, log lines) and the signal that a test may abort. What travels between the host
 * and a thread is made to travel here too: args as JSON through the schema, the result through a structured clone,
 * so that what passes here passes there.
 */
import { parseArgs, validateArgs } from "../jobs/args.ts";
import type { JobContext } from "../jobs/context.ts";
import { Job, prepare } from "../jobs/create.ts";
import type { InputOf, JobDefinition, ResultOf } from "../jobs/definition.ts";
import type { Duration } from "../jobs/duration.ts";
import { newId } from "../jobs/ids.ts";
import { Snooze } from "../jobs/signals.ts";

/** One line that a body logged. */
export interface LoggedLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
  readonly data: unknown;
}

export interface TestContext extends JobContext {
  /** What the body reported, in order. */
  readonly progressed: readonly unknown[];
  readonly logged: readonly LoggedLine[];
  /** Aborts the signal, as a cancel or a time limit would. */
  abort(reason?: unknown): void;
}

/** Partition `test`, queue `default`, attempt 0, no deadline, unless told otherwise. */
export function testContext(overrides: Partial<JobContext> = {}): TestContext {
  const controller = new AbortController();
  const progressed: unknown[] = [];
  const logged: LoggedLine[] = [];
  const line = (level: LoggedLine["level"]) => (text: string, data?: unknown) =>
    void logged.push({ level, text, data });
  const signal = overrides.signal ?? controller.signal;
  return {
    id: newId(),
    partition: "test",
    queue: "default",
    attempt: 0,
    isCancelled: () => signal.aborted,
    progress: (value) => void progressed.push(structuredClone(value)),
    log: { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") },
    deadline: undefined,
    snooze,
    ...overrides,
    signal,
    progressed,
    logged,
    abort: (reason) => controller.abort(reason),
  };
}

function snooze(delay: Duration): never {
  throw new Snooze(delay);
}

/**
 * Runs a body here and now, and resolves with what it returned. Args may also be a job that `createJob` made.
 * Rejects with what the body threw (`Snooze` and `NonRetryable` too), with `InvalidArgs` as `enqueue` does, and with
 * a `DataCloneError` for a result that could not leave a thread.
 */
export async function perform<D extends JobDefinition>(
  definition: D,
  args: InputOf<D> | Job,
  context: Partial<JobContext> = {},
): Promise<ResultOf<D>> {
  const { argsText, id } = args instanceof Job ? args : await prepare(definition, args);
  const schema = definition.args;
  const output =
    schema === undefined ? parseArgs(argsText) : await validateArgs(definition.name, schema, argsText);
  const result = await definition.perform(
    output,
    isTestContext(context) ? context : testContext({ id, ...context }),
  );
  return structuredClone(result) as ResultOf<D>;
}

/** One that a test made itself is used as it is, so that the test can abort it and read what was said. */
function isTestContext(context: Partial<JobContext>): context is TestContext {
  return "progressed" in context && "abort" in context;
}
