/**
 * From a job's text to its body's first value: parse, check against the schema, perform.
 *
 * Owns no state. Args that can't be read or don't fit are `InvalidArgs`, which no retry can mend.
 */
import { parseArgs, validateArgs } from "../../jobs/args.ts";
import { InvalidArgs } from "../../jobs/errors.ts";
import type { RunningJob } from "./job.ts";
import type { LoadedJob } from "./loader.ts";

/** Calls the body; the result is what it returned, a promise or not. */
export function begin(job: RunningJob, loaded: LoadedJob): unknown {
  if (loaded.args === undefined) return loaded.perform(parsed(job, loaded), job);
  const args = validateArgs(loaded.name, loaded.args, job.argsText);
  return isThenable(args) ? args.then((checked) => loaded.perform(checked, job)) : loaded.perform(args, job);
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

function parsed(job: RunningJob, loaded: LoadedJob): unknown {
  try {
    return parseArgs(job.argsText);
  } catch (cause) {
    const message = `they are no JSON (${(cause as Error).message})`;
    throw new InvalidArgs(loaded.name, [{ path: "", message }], { cause });
  }
}
