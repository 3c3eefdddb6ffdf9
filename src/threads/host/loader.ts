/**
 * Loads job modules inside the thread, once each.
 *
 * Owns the table of types and what was loaded. `require()` first, ES modules too: it is synchronous and does not
 * wait for libuv's pool, which other bodies may have filled; `import()` only for a module with top-level await.
 * TypeScript goes through Node's own type stripping where it is, else through tsx. A failure is kept no longer
 * than its one job: the file may be mended.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Cells } from "../cells.ts";
import { TypescriptLoader } from "./typescript.ts";

/** What a job module's default export must have. */
export interface LoadedJob {
  readonly name: string;
  readonly args?: StandardSchemaV1;
  perform(args: unknown, context: unknown): unknown;
}

export class LoadProblem extends Error {
  constructor(
    override readonly name: "UnknownJob" | "ModuleLoadFailed",
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

const require = createRequire(import.meta.url);

export class Loader {
  readonly #names: string[] = [];
  readonly #urls: string[] = [];
  readonly #loaded: (LoadedJob | undefined)[] = [];
  readonly #typescript = new TypescriptLoader();
  readonly #cells: Cells;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  register(type: number, name: string, url: string): void {
    this.#names[type] = name;
    this.#urls[type] = url;
  }

  /** The job if its module is loaded already. */
  loaded(type: number): LoadedJob | undefined {
    return this.#loaded[type];
  }

  /** For the length of a call a job of the host's own stands where the first type will be. */
  standIn(job: LoadedJob, during: () => void): void {
    this.#loaded[0] = job;
    during();
    this.#loaded[0] = undefined;
  }

  /** Throws or rejects with a `LoadProblem`; a promise only where the module itself needs one. */
  load(type: number): LoadedJob | Promise<LoadedJob> {
    const known = this.#loaded[type];
    if (known !== undefined) return known;
    const url = this.#urls[type];
    if (url === undefined) throw new LoadProblem("UnknownJob", `job type ${type} was never registered`);
    try {
      if (isTypescript(url)) this.#typescript.forRequire(url);
      return this.#keep(type, this.#require(fileURLToPath(url)));
    } catch (error) {
      if (needsImport(error, url)) return this.#import(type, url);
      throw problem(url, error);
    }
  }

  /** As `load`, before there is a body to be blamed if it hangs: main reads from the cell what it was. */
  async loadAhead(type: number): Promise<void> {
    const { ahead } = this.#cells;
    Atomics.store(ahead, 0, type + 1);
    try {
      await this.load(type);
    } finally {
      Atomics.compareExchange(ahead, 0, type + 1, 0);
    }
  }

  /** While it says that it loads, main does not end this thread: that may take the process down (`cells.ts`). */
  #require(path: string): unknown {
    const { loading } = this.#cells;
    Atomics.store(loading, 0, 1);
    try {
      return require(path);
    } finally {
      Atomics.store(loading, 0, 0);
    }
  }

  async #import(type: number, url: string): Promise<LoadedJob> {
    try {
      if (isTypescript(url)) this.#typescript.forImport(url);
      return this.#keep(type, await import(url));
    } catch (error) {
      throw problem(url, error);
    }
  }

  #keep(type: number, module: unknown): LoadedJob {
    const name = this.#names[type];
    const job = exportNamed(module, name ?? "");
    if (!isJob(job))
      throw new LoadProblem("UnknownJob", `${this.#urls[type]} has no job as its default export (defineJob)`);
    if (job.name !== name)
      throw new LoadProblem("UnknownJob", `${this.#urls[type]} defines job "${job.name}", not "${name}"`);
    this.#loaded[type] = job;
    return job;
  }
}

/** The default export, also of a CommonJS module, and of one that TypeScript compiled to CommonJS. */
export function defaultExport(module: unknown): unknown {
  const inner = defaultOf(module);
  for (const one of [inner, defaultOf(inner), module]) if (isJob(one)) return one;
  return inner;
}

function defaultOf(module: unknown): unknown {
  return (module as { default?: unknown } | null | undefined)?.default;
}

/** The default export; else whichever export is the job of this name (a definition may be any export). */
function exportNamed(module: unknown, name: string): unknown {
  const main = defaultExport(module);
  if (isJob(main) && main.name === name) return main;
  const others = typeof module === "object" && module !== null ? Object.values(module) : [];
  return others.find((other) => isJob(other) && other.name === name) ?? main;
}

/** By shape: a module may have loaded another copy of this package. */
export function isJob(value: unknown): value is LoadedJob {
  if (typeof value !== "object" || value === null) return false;
  const { name, perform } = value as { name?: unknown; perform?: unknown };
  return typeof name === "string" && typeof perform === "function";
}

export function isTypescript(url: string): boolean {
  return /\.[mc]?ts$/.test(url);
}

function needsImport(error: unknown, url: string): boolean {
  if ((error as { code?: unknown }).code === "ERR_REQUIRE_ASYNC_MODULE") return true;
  // tsx compiles to CommonJS for require(), where top-level await is a syntax error.
  return (
    isTypescript(url) &&
    String((error as Error).message)
      .toLowerCase()
      .includes("top-level await")
  );
}

function problem(url: string, error: unknown): LoadProblem {
  if (error instanceof LoadProblem) return error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new LoadProblem("ModuleLoadFailed", `${url} could not be loaded: ${message}`, { cause: error });
}
