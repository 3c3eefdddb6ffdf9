/**
 * Which versions a run measures: ours, with its commit, and those of what stands beside it.
 *
 * Owns nothing. Outside of a git checkout there is no commit, and none is shown.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Of ours those that the figures depend on. */
const PACKAGES = ["piscina", "amqplib", "better-sqlite3"];

export function versions(found: ReadonlyMap<string, string>): Record<string, string> {
  const ours = versionIn(join(ROOT, "package.json"));
  const commit = git("rev-parse", "--short", "HEAD");
  return {
    Spillway: commit === undefined ? ours : `${ours} (${commit})`,
    "Node.js": process.versions.node,
    ...Object.fromEntries(PACKAGES.flatMap((name) => entry(name))),
    ...Object.fromEntries(found),
  };
}

function entry(name: string): [string, string][] {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  for (const folder of folders)
    try {
      return [[name, versionIn(join(folder, name, "package.json"))]];
    } catch {
      // not in this one
    }
  return [];
}

const versionIn = (path: string): string =>
  (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;

/** What a git command prints; `undefined` when it fails, or there is no git. */
export function git(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}
