/**
 * The option `persister`: what it may be, and what follows from it for jobs with queue keys.
 *
 * Owns nothing. Each runtime has a `filesystem` of its own, so that closing one takes no thread away from another.
 */
import type { Logger } from "../actors/services.ts";
import type { Persister } from "../broker/persister.ts";
import { FilesystemPersister } from "../persist/filesystem.ts";

type Given = Persister | "none" | undefined;

const CALLS = ["init", "load", "store"];

/** Its problems are added to the list. */
export function checkPersister(value: unknown, problems: string[]): Given {
  if (value === undefined || value === "none") return value;
  const given = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const missing = CALLS.filter((name) => typeof given[name] !== "function");
  const wrong = ["append", "close"].filter((name) => !["function", "undefined"].includes(typeof given[name]));
  if (missing.length === CALLS.length)
    problems.push(
      'persister: expected filesystem({ path }), "none", or an object with init, load, store and append',
    );
  else for (const name of [...missing, ...wrong]) problems.push(`persister: has no function "${name}"`);
  return value instanceof FilesystemPersister ? value.own() : (value as Persister);
}

/** A folder that other nodes do not see. */
export const isLocal = (persister: Given): boolean =>
  persister instanceof FilesystemPersister && !persister.shared;

/** One that would store the whole state for each key. */
export const refusesQueueKeys = (persister: Given): boolean =>
  persister !== undefined && persister !== "none" && persister.append === undefined;

/** A key may be `undefined`, so whether a job will be refused is not known at start; that it may be, is. */
export function warnOfQueueKeys(
  persister: Given,
  jobs: readonly { readonly definition: { readonly name: string; readonly queueKey?: unknown } }[],
  logger: Pick<Logger, "warn">,
): void {
  const keyed = jobs.filter(({ definition }) => definition.queueKey !== undefined);
  if (!refusesQueueKeys(persister) || keyed.length === 0) return;
  const names = keyed.map(({ definition }) => definition.name).join(", ");
  logger.warn(`the persister has no append: jobs with a queue key will be refused (${names})`);
}
