/**
 * Makes `.ts` job modules loadable in this thread.
 *
 * Owns which of tsx's hooks are in place. Node's own type stripping is used where it is; else tsx is registered at
 * the first `.ts` module and not before, since it costs 20 to 200 ms a thread: for `require()` its CommonJS hook,
 * which runs in the thread itself; for `import()` also its ESM hook, which starts one more thread.
 */
import { createRequire } from "node:module";

type Register = { register(): unknown };

export class TypescriptLoader {
  #required = false;
  #imported = false;

  forRequire(url: string): void {
    if (stripsTypes() || this.#required) return;
    tsx("tsx/cjs/api", url).register();
    this.#required = true;
  }

  forImport(url: string): void {
    if (stripsTypes() || this.#imported) return;
    tsx("tsx/esm/api", url).register();
    this.#imported = true;
  }
}

function stripsTypes(): boolean {
  return Boolean((process.features as { typescript?: unknown }).typescript);
}

// The job's own project may have its tsx where this package can't see it.
function tsx(name: string, url: string): Register {
  for (const from of [url, import.meta.url]) {
    try {
      return createRequire(from)(name) as Register;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new Error(
    "jobs written in TypeScript need tsx on this version of Node: run npm i tsx, or compile the jobs",
  );
}
