/**
 * Finds tsx, which loads TypeScript where Node can't.
 *
 * Owns no state. tsx is an optional peer: it is looked for beside the job first, then beside this package. Its ESM
 * interface must be loaded as an ES module (its CommonJS twin looks for its hooks in the wrong place), so the path
 * is read from its package.json.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

export interface TsxEsm {
  register(): unknown;
  tsImport(url: string, parent: string): Promise<unknown>;
}

export interface TsxCjs {
  register(): unknown;
}

/** @throws Error that says to install tsx. */
export function tsxForImport(jobUrl: string): TsxEsm {
  const found = packageJson(jobUrl);
  const { exports } = JSON.parse(readFileSync(found, "utf8")) as Manifest;
  const path = exports["./esm/api"]?.import?.default ?? "./dist/esm/api/index.mjs";
  return createRequire(found)(join(found, "..", path)) as TsxEsm;
}

/** @throws Error that says to install tsx. */
export function tsxForRequire(jobUrl: string): TsxCjs {
  return createRequire(packageJson(jobUrl))("tsx/cjs/api") as TsxCjs;
}

interface Manifest {
  readonly exports: Readonly<Record<string, { readonly import?: { readonly default?: string } } | undefined>>;
}

function packageJson(jobUrl: string): string {
  for (const from of [jobUrl, import.meta.url]) {
    try {
      return createRequire(from).resolve("tsx/package.json");
    } catch (error) {
      if ((error as { code?: unknown }).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new Error("TypeScript needs tsx on this version of Node: run npm i tsx, or compile the jobs");
}
