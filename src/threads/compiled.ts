/**
 * Where the compiled entry of the job host is.
 *
 * Owns the path only. A thread can't load this project's `.ts` sources (`--import tsx` fails in threads on Node
 * 20), so it always runs what `tsc` built: beside this file in the package, in `dist` when sources are run.
 */
import { fileURLToPath } from "node:url";

/** Path of `host/entry.cjs`; `npm run build` makes it. */
export function hostEntry(): string {
  const built = import.meta.url.endsWith(".js");
  return fileURLToPath(
    new URL(built ? "./host/entry.cjs" : "../../dist/threads/host/entry.cjs", import.meta.url),
  );
}
