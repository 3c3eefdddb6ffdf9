/**
 * The packages of this folder, each behind as much of its type as is used: nothing here needs them to be installed
 * until one is asked for, not even the compiler.
 *
 * Owns nothing. Where they are not installed, suites say `HOW_TO` and leave their rows out.
 */
import { existsSync, readFileSync } from "node:fs";
import { loadFile } from "../runner/package.ts";

export const HOW_TO = "what it compares with is not installed: npm ci --prefix bench/peers";

/** npm writes this file last. */
const INSTALLED = new URL("./node_modules/.package-lock.json", import.meta.url);

export const installed = (): boolean => existsSync(INSTALLED);

/** `bullmq 5.1.0, pg-boss 10.0.0, …`, as they are installed. */
export function installedVersions(): string {
  const { packages } = JSON.parse(readFileSync(INSTALLED, "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly version: string }>>;
  };
  const { dependencies } = JSON.parse(readFileSync(new URL("./package.json", import.meta.url), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  return Object.keys(dependencies)
    .map((name) => `${name} ${packages[`node_modules/${name}`]?.version}`)
    .join(", ");
}

export async function loadPeer<T>(name: string): Promise<T> {
  const { load } = (await loadFile(new URL("./load.mjs", import.meta.url))) as {
    readonly load: (name: string) => Promise<T>;
  };
  return load(name);
}

/** A body of `bodies/bodies.mjs`. */
export type Body = "noop" | "computes" | "marked";

/** The bodies, for what runs them in this process. */
export const loadBodies = () =>
  loadFile(new URL("./bodies/bodies.mjs", import.meta.url)) as Promise<
    Readonly<Record<Body, (args?: unknown) => void>>
  >;
