/**
 * The package as its users get it: compiled, by its own name; its kernel from beside it.
 *
 * Owns nothing. Types come from the source and code from `dist`, so that types are checked without a build and what
 * is measured is what is published. Build first: `npm run bench` does.
 */
import type { AnyJobDefinition } from "../../src/jobs/definition.ts";

type Package = typeof import("../../src/index.ts");
type KernelModule = typeof import("../../src/kernel/index.ts");
type PiscinaModule = typeof import("piscina");
type AmqplibModule = typeof import("amqplib");
type ZeromqModule = typeof import("zeromq");
type GatewaysModule = typeof import("../../src/gateways/index.ts");
type RouterModule = typeof import("../../src/threads/router.ts");
type Suggest = typeof import("../../src/jobs/suggest.ts");

/**
 * `main.mjs`'s own import, past the loader that compiles the suites. The compiler can't follow the names, and is not
 * to: it would look for `dist`, which may not be there yet.
 */
const plain: unknown = Reflect.get(globalThis, Symbol.for("spillway.bench.load"));
const load = (name: string): Promise<unknown> => {
  if (typeof plain !== "function") throw new Error("start the bench by bench/main.mjs");
  return plain(name);
};
const inDist = (path: string) => load(new URL(`../../dist/${path}`, import.meta.url).href);

export const loadSpillway = () => load("spillway") as Promise<Package>;
export const loadGateways = () => load("spillway/gateways") as Promise<GatewaysModule>;
export const loadKernel = () => inDist("kernel/index.js") as Promise<KernelModule>;
export const loadRouter = () => inDist("threads/router.js") as Promise<RouterModule>;
export const loadSuggest = () => inDist("jobs/suggest.js") as Promise<Suggest>;

export const loadPiscina = () => load("piscina") as Promise<PiscinaModule>;
export const loadEffect = async () => ({
  Effect: (await load("effect/Effect")) as typeof import("effect/Effect"),
  Queue: (await load("effect/Queue")) as typeof import("effect/Queue"),
  Deferred: (await load("effect/Deferred")) as typeof import("effect/Deferred"),
  Fiber: (await load("effect/Fiber")) as typeof import("effect/Fiber"),
});
export const loadZeromq = () => load("zeromq") as Promise<ZeromqModule>;
export const loadAmqplib = () => load("amqplib") as Promise<AmqplibModule>;

/** A file that is to be loaded as it stands, past the compiler of the suites. */
export const loadFile = (url: URL) => load(url.href);

/** A job of this folder, with the file that threads load for it. */
export async function loadJob<D extends AnyJobDefinition>(
  name: string,
): Promise<{ definition: D; url: URL }> {
  const url = new URL(`../jobs/${name}.mjs`, import.meta.url);
  const module = (await load(url.href)) as { readonly default: D };
  return { definition: module.default, url };
}
