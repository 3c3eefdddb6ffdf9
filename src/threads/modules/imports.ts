/**
 * The files that a job module is made of: itself, and what it imports by a relative path, from file to file.
 *
 * Owns no state. Specifiers are found in the text, so a path that is put together while it runs is not seen; packages and
 * `node:` modules are left out on purpose. Reads synchronously: for development, at start and after an edit.
 */
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** `from "./x"`, `import "./x"`, `import("./x")`, `require("./x")`. */
const SPECIFIER = /\b(?:from|import|require)\s*\(?\s*["'`](\.{1,2}\/[^"'`\n]+)["'`]/g;
/** Tried after the path as it is written; TypeScript may write `.js` for what is a `.ts`. */
const ENDINGS = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json", "/index.ts", "/index.js"];
const MOST_FILES = 2_000;

/** Paths of all files below a module, itself first. What is not there or can't be read has no imports. */
export function filesOf(url: string): readonly string[] {
  const files = new Set([fileURLToPath(url)]);
  for (const file of files) {
    if (files.size > MOST_FILES) break;
    for (const imported of importsOf(file)) files.add(imported);
  }
  return [...files];
}

function importsOf(file: string): string[] {
  if (!/\.[mc]?[jt]s$/.test(file)) return [];
  const found = textOf(file).matchAll(SPECIFIER);
  return [...found].flatMap(([, specifier = ""]) => pathOf(resolve(dirname(file), specifier)) ?? []);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function pathOf(path: string): string | undefined {
  const bare = path.replace(/\.([mc]?)js$/, "");
  const written = [
    path,
    ...ENDINGS.map((ending) => path + ending),
    ...ENDINGS.map((ending) => bare + ending),
  ];
  return written.find((one) => statSync(one, { throwIfNoEntry: false })?.isFile() === true);
}
