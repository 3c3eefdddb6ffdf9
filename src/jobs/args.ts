/**
 * Args on their way: a value becomes JSON text at enqueue, and a value again in the thread.
 *
 * Owns the one rule of its own: no args at all (`undefined`) travel as `null`, and a whole-args `null` is read as
 * `undefined`, so that `perform(args = {})` and optional schemas mean the same on both sides. Loaded in threads.
 * `docs/decisions/0003-args-travel-as-input.md` says why the schema's input travels.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidArgs } from "./errors.ts";

interface Issue {
  readonly path: string;
  readonly message: string;
}

/**
 * The text that travels.
 * @throws InvalidArgs when there is no JSON for it: a BigInt, a cycle, a function or symbol as the args.
 */
export function encodeArgs(job: string, args: unknown): string {
  if (args === undefined) return "null";
  let text: string | undefined;
  try {
    text = JSON.stringify(args);
  } catch (cause) {
    throw new InvalidArgs(job, [whyNotJson(args, cause)], { cause });
  }
  if (text === undefined) {
    throw new InvalidArgs(job, [{ path: "", message: `a ${typeof args} cannot travel as JSON` }]);
  }
  return text;
}

/** What the body gets when it has no schema, and the schema when it has one. @throws SyntaxError for no JSON. */
export function parseArgs(argsText: string): unknown {
  const value: unknown = JSON.parse(argsText);
  return value === null ? undefined : value;
}

/**
 * The schema's output for this text; a promise only when the schema answers with one.
 * @throws InvalidArgs, or rejects with it, naming the path of each issue.
 */
export function validateArgs<Out>(
  job: string,
  schema: StandardSchemaV1<unknown, Out>,
  argsText: string,
): Out | Promise<Out> {
  let result: StandardSchemaV1.Result<Out> | PromiseLike<StandardSchemaV1.Result<Out>>;
  try {
    result = schema["~standard"].validate(parseArgs(argsText));
  } catch (cause) {
    throw schemaThrew(job, cause);
  }
  if (typeof result !== "object" || result === null) {
    throw schemaThrew(job, new TypeError("it answered with no result"));
  }
  if (!("then" in result)) return outputOf(job, result);
  // A library's own thenable, or a promise of another realm, becomes one of ours.
  return Promise.resolve(result).then(
    (settled) => outputOf(job, settled),
    (cause: unknown) => {
      throw schemaThrew(job, cause);
    },
  );
}

function outputOf<Out>(job: string, result: StandardSchemaV1.Result<Out>): Out {
  if (result.issues === undefined) return result.value;
  throw new InvalidArgs(
    job,
    result.issues.map((issue) => ({ path: pathText(issue.path ?? []), message: issue.message })),
  );
}

function schemaThrew(job: string, cause: unknown): InvalidArgs {
  const message = `the schema threw instead of answering (${cause instanceof Error ? cause.message : String(cause)})`;
  return new InvalidArgs(job, [{ path: "", message }], { cause });
}

/** `user.tags[0]`; keys that are no plain words in brackets and quotes. */
export function pathText(path: readonly (PropertyKey | StandardSchemaV1.PathSegment)[]): string {
  let text = "";
  for (const segment of path) {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") text += `[${key}]`;
    else if (typeof key === "string" && /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key))
      text += text === "" ? key : `.${key}`;
    else text += `[${typeof key === "symbol" ? String(key) : JSON.stringify(key)}]`;
  }
  return text;
}

/**
 * Looked for only after JSON.stringify has thrown: the first value that it cannot have liked. The search may throw
 * too, where a getter does, or where the nesting is too deep.
 */
function whyNotJson(args: unknown, cause: unknown): Issue {
  try {
    const found = search(args, [], new Set());
    if (found !== undefined) return { path: pathText(found.path), message: found.message };
  } catch {
    // The first error says it better.
  }
  return {
    path: "",
    message: `no JSON can be made of it (${cause instanceof Error ? cause.message : String(cause)})`,
  };
}

type Found = { readonly path: readonly PropertyKey[]; readonly message: string } | undefined;

function search(value: unknown, path: readonly PropertyKey[], above: Set<object>): Found {
  if (typeof value === "bigint") return { path, message: "a BigInt cannot travel as JSON; send it as text" };
  if (typeof value !== "object" || value === null) return undefined;
  if (above.has(value)) return { path, message: "a cycle cannot travel as JSON" };
  if ("toJSON" in value && typeof value.toJSON === "function") return undefined;
  above.add(value);
  for (const [key, inner] of Object.entries(value)) {
    const found = search(inner, [...path, Array.isArray(value) ? Number(key) : key], above);
    if (found !== undefined) return found;
  }
  above.delete(value);
  return undefined;
}
