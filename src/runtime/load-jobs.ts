/**
 * From the `jobs` option to definitions and the modules that threads load for them.
 *
 * Owns nothing. A definition stands for the file that it was defined in.
 */
import { isJobDefinition, type JobDefinition } from "../jobs/definition.ts";
import { type LoadedJob, loadModules } from "../threads/modules/load.ts";
import { InvalidOptions } from "./errors.ts";
import type { RuntimeOptions } from "./options.ts";

type Given = URL | string | JobDefinition;

export async function loadJobs(jobs: RuntimeOptions["jobs"]): Promise<readonly LoadedJob[]> {
  if (jobs === undefined) return [];
  const list: readonly Given[] = Array.isArray(jobs) ? jobs : [jobs as Given];
  const definitions = list.filter(isJobDefinition).map(located);
  const files = list.filter((one): one is URL | string => !isJobDefinition(one));
  for (const file of files)
    if (typeof file !== "string" && !(file instanceof URL))
      throw new InvalidOptions([
        `jobs: expected a folder URL, files, or definitions made by defineJob, got ${typeof file}`,
      ]);
  const loaded = files.length === 0 ? [] : await loadModules(files);
  const all = [...definitions, ...loaded];
  const problems = doubleNames(all);
  if (problems.length > 0) throw new InvalidOptions(problems);
  return all;
}

function doubleNames(all: readonly LoadedJob[]): string[] {
  const urls = new Map<string, string>();
  return all.flatMap(({ definition: { name }, url }) => {
    const first = urls.get(name);
    urls.set(name, first ?? url);
    if (first === undefined) return [];
    return [`jobs: two jobs are named "${name}", in ${first} and ${url}; rename one, or give it once`];
  });
}

function located(definition: JobDefinition): LoadedJob {
  if (definition.module !== undefined) return { definition, url: definition.module };
  throw new InvalidOptions([
    `jobs: the file of job "${definition.name}" is not known; give its file or folder instead`,
  ]);
}
