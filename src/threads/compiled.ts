/**
 * Where the compiled entries of the job host are: of a thread, and of a child process.
 *
 * Owns the paths only. A thread can't load this project's `.ts` sources (`--import tsx` fails in threads on Node
 * 20), so it always runs what `tsc` built: beside this file in the package, in `dist` when sources are run.
 */
import { fileURLToPath } from "node:url";

/** Path of `host/entry.cjs`; `npm run build` makes it. */
export function hostEntry(): string {
  return compiled("host/entry.cjs");
}

/** Path of `process/entry.js`, which a child process runs. */
export function processEntry(): string {
  return compiled("process/entry.js");
}

function compiled(path: string): string {
  const built = import.meta.url.endsWith(".js");
  return fileURLToPath(new URL(built ? `./${path}` : `../../dist/threads/${path}`, import.meta.url));
}
