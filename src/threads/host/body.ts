/**
 * From a job's text to its body's first value: parse, check against the schema, perform.
 *
 * Owns no state. What it throws is already what the failure should say; args that can't be read or don't fit are
 * `InvalidArgs`, which no retry can mend.
 */
import { BadArgs } from "./failure.ts";
import type { RunningJob } from "./job.ts";
import type { LoadedJob } from "./loader.ts";

/** Calls the body; the result is what it returned, a promise or not. */
export function begin(job: RunningJob, loaded: LoadedJob): unknown {
  const args = parse(job.argsText);
  if (loaded.args === undefined) return loaded.perform(args, job);
  const checked = loaded.args["~standard"].validate(args);
  if (isThenable(checked)) return checked.then((result) => loaded.perform(accepted(result), job));
  return loaded.perform(accepted(checked), job);
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

function parse(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BadArgs(`the args are no JSON: ${(error as Error).message}`);
  }
}

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[];
}

function accepted(result: unknown): unknown {
  const { issues, value } = result as { issues?: readonly Issue[]; value?: unknown };
  if (issues === undefined) return value;
  throw new BadArgs(`the args do not fit: ${issues.map(issueText).join("; ")}`);
}

function issueText({ message, path }: Issue): string {
  if (path === undefined || path.length === 0) return message;
  return `${path.map((p) => String(typeof p === "object" ? p.key : p)).join(".")}: ${message}`;
}
