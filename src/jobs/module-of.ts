/**
 * The file in which a function was called, found on the stack: threads must know which module to load for a job.
 *
 * Owns the look at V8's call sites, which is the only way that works alike in ESM, CommonJS, tsx and vitest. Total:
 * where nothing can be told the answer is `undefined`, never an error. What it names is the file of the *call*: a helper that wraps
 * `defineJob` is named instead of its caller.
 */
import { pathToFileURL } from "node:url";

/** `file:` URL of the module that called `below`, without a query (loaders add those); `undefined` if unknown. */
export function moduleOfCaller(below: (...args: never[]) => unknown): string | undefined {
  try {
    return toUrl(callerFile(below));
  } catch {
    return undefined;
  }
}

/** The hook and the limit are process-wide, so they are put back before anything else can run. */
function callerFile(below: (...args: never[]) => unknown): string | undefined {
  const { prepareStackTrace, stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = 1;
    Error.prepareStackTrace = (_error, sites) => sites;
    const holder: { stack?: unknown } = {};
    Error.captureStackTrace(holder, below);
    const sites = holder.stack as NodeJS.CallSite[] | undefined;
    return sites?.[0]?.getFileName() ?? undefined;
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function toUrl(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  if (file.startsWith("file:")) {
    const url = new URL(file);
    url.search = "";
    url.hash = "";
    return url.href;
  }
  const absolute = file.startsWith("/") || /^[A-Za-z]:[\\/]/.test(file);
  return absolute ? pathToFileURL(file).href : undefined;
}
