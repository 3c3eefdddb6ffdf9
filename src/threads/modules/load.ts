/**
 * The job registry as files: a folder or a list of modules, each with one job as its default export.
 *
 * Owns no state. Every module is loaded on the main thread too, because enqueue needs its definition (schema, keys,
 * queue, limits); the body runs in threads only, which load the same URL. All that is wrong with a folder is
 * said by one typed error that names the file.
 */
import { readdirSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { defineJob, isJobDefinition, type JobDefinition } from "../../jobs/definition.ts";
import { InvalidJob } from "../../jobs/errors.ts";
import { defaultExport, isJob, isTypescript, type LoadedJob as LoadedShape } from "../host/loader.ts";
import { LOAD_LIMIT_MS } from "../watch.ts";
import { tsxForImport } from "./tsx.ts";

/** A definition, and the module that threads load for it. */
export interface LoadedJob {
  readonly definition: JobDefinition;
  readonly url: string;
}

/** `.d.ts` has no code, `_` and `.` mark helpers and what editors leave behind. */
const MODULE = /^[^_.].*\.[mc]?[jt]s$/;
const DECLARATION = /\.d\.[mc]?ts$/;

/**
 * Loads the modules of a folder (not those below it), of one file, or of a list of either. Paths are taken from the
 * working directory; a module has `limitMs` to load.
 * @throws InvalidJob for a folder or file that is not there or can't be loaded, a module without a job as its
 * default export, and two modules that define one name.
 */
export async function loadModules(
  jobs: URL | string | readonly (URL | string)[],
  limitMs = LOAD_LIMIT_MS,
): Promise<readonly LoadedJob[]> {
  const given = typeof jobs === "string" || jobs instanceof URL ? [jobs] : jobs;
  const urls = new Set(given.flatMap(modulesAt));
  const loaded: LoadedJob[] = [];
  for (const url of urls) loaded.push({ definition: await definitionAt(url, limitMs), url });
  refuseDoubles(loaded);
  return loaded;
}

let reloads = 0;

/**
 * The definition of this name in a module that has changed. What that module imports is not read anew here, only in
 * threads; of a CommonJS module neither is the module itself.
 * @throws InvalidJob when it does not load, or has no such job any more.
 */
export async function reloadModule(url: string, name: string): Promise<JobDefinition> {
  const module = await importModule(`${url}?edit=${++reloads}`, LOAD_LIMIT_MS);
  const all = [defaultExport(module), ...Object.values(module as object)];
  const found = all.find((one) => isJob(one) && one.name === name);
  if (isJob(found)) return definitionOf(found);
  throw new InvalidJob(
    fileURLToPath(url),
    `it defines no job "${name}" any more; a new name needs a restart.`,
  );
}

function modulesAt(place: URL | string): readonly string[] {
  const path = pathOf(place);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new InvalidJob(path, "no such file or folder; check the jobs option.");
  if (!stat.isDirectory()) return [pathToFileURL(path).href];
  const names = readdirSync(path).filter((name) => MODULE.test(name) && !DECLARATION.test(name));
  return names.sort().map((name) => pathToFileURL(resolve(path, name)).href);
}

function pathOf(place: URL | string): string {
  const text = String(place);
  if (text.startsWith("file:")) return fileURLToPath(text);
  if (place instanceof URL) throw new InvalidJob(text, "job modules are loaded from file: URLs only.");
  return resolve(text);
}

async function definitionAt(url: string, limitMs: number): Promise<JobDefinition> {
  const job = defaultExport(await importModule(url, limitMs));
  if (isJob(job)) return definitionOf(job);
  throw new InvalidJob(
    fileURLToPath(url),
    "its default export is no job: export default defineJob({ name, perform }). Helpers go elsewhere, or begin with _.",
  );
}

/** Of a plain object the same is asked as of what defineJob made. */
function definitionOf(job: LoadedShape): JobDefinition {
  if (isJobDefinition(job)) return job;
  return defineJob({ ...job } as unknown as Parameters<typeof defineJob>[0]) as JobDefinition;
}

/** A top-level await may never settle; what spins at its top level holds up this thread, and nothing can be done. */
async function importModule(url: string, limitMs: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const why = `not done after ${limitMs} ms; does a top-level await wait for what never comes?`;
    timer = setTimeout(() => reject(notLoaded(url, new Error(why))), limitMs);
  });
  try {
    return await Promise.race([imported(url), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function imported(url: string): Promise<unknown> {
  try {
    return await import(url);
  } catch (error) {
    const [file = url] = url.split("?");
    if (isTypescript(file) && (error as { code?: unknown }).code === "ERR_UNKNOWN_FILE_EXTENSION") {
      return importTypescript(file);
    }
    throw notLoaded(url, error);
  }
}

/** Node 20 has no type stripping of its own, and main may run without tsx. */
async function importTypescript(url: string): Promise<unknown> {
  try {
    return await tsxForImport(url).tsImport(url, url);
  } catch (error) {
    throw notLoaded(url, error);
  }
}

function notLoaded(url: string, error: unknown): InvalidJob {
  const message = error instanceof Error ? error.message : String(error);
  return new InvalidJob(fileURLToPath(url), `it could not be loaded: ${message}`, { cause: error });
}

function refuseDoubles(loaded: readonly LoadedJob[]): void {
  const seen = new Map<string, string>();
  for (const { definition, url } of loaded) {
    const first = seen.get(definition.name);
    if (first !== undefined) {
      const both = `${fileURLToPath(first)} and ${fileURLToPath(url)}`;
      throw new InvalidJob(definition.name, `two modules define this name: ${both}; rename one.`);
    }
    seen.set(definition.name, url);
  }
}
