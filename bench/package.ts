/**
 * The package as its users get it: compiled, by its own name; its kernel from beside it.
 *
 * Owns nothing. Types come from the source and code from `dist`, so that types are checked without a build and what
 * is measured is what is published. Build first: `npm run bench` does.
 */
import type { AnyJobDefinition } from "../src/jobs/definition.ts";

type Package = typeof import("../src/index.ts");
type KernelModule = typeof import("../src/kernel/index.ts");
type Suggest = typeof import("../src/jobs/suggest.ts");

/** A name the compiler can't follow: it would look for `dist`, which may not be there yet. */
const load = (name: string): Promise<unknown> => import(name);
const inDist = (path: string) => load(new URL(`../dist/${path}`, import.meta.url).href);

export const loadSpillway = () => load("spillway") as Promise<Package>;
export const loadKernel = () => inDist("kernel/index.js") as Promise<KernelModule>;
export const loadSuggest = () => inDist("jobs/suggest.js") as Promise<Suggest>;

/** A job of this folder, with the file that threads load for it. */
export async function loadJob<D extends AnyJobDefinition>(
  name: string,
): Promise<{ definition: D; url: URL }> {
  const url = new URL(`./jobs/${name}.mjs`, import.meta.url);
  const module = (await load(url.href)) as { readonly default: D };
  return { definition: module.default, url };
}
