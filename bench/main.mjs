/**
 * The entry of `npm run bench`: loads the suites, which are TypeScript, without touching what they measure.
 *
 * `--import tsx` would rewrite the package's compiled files too, and Piscina's, and make both a fifth slower. So tsx
 * is registered for the suites alone, and what is measured is imported from here, past it.
 */
import { register } from "tsx/esm/api";

globalThis[Symbol.for("spillway.bench.load")] = (name) => import(name);

const suites = register({ namespace: "bench" });
await suites.import("./main.ts", import.meta.url);
