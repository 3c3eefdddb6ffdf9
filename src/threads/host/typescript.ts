/**
 * Makes `.ts` job modules loadable in this thread.
 *
 * Owns which of tsx's hooks are in place. Node's own type stripping is used where it is; else tsx is registered at
 * the first `.ts` module and not before, since it costs 20 to 200 ms a thread: for `require()` its CommonJS hook,
 * which runs in the thread itself; for `import()` also its ESM hook, which starts one more thread.
 */
import { tsxForImport, tsxForRequire } from "../modules/tsx.ts";

export class TypescriptLoader {
  #required = false;
  #imported = false;

  forRequire(url: string): void {
    if (stripsTypes() || this.#required) return;
    tsxForRequire(url).register();
    this.#required = true;
  }

  forImport(url: string): void {
    if (stripsTypes() || this.#imported) return;
    tsxForImport(url).register();
    this.#imported = true;
  }
}

function stripsTypes(): boolean {
  return Boolean((process.features as { typescript?: unknown }).typescript);
}
