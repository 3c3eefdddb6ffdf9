/**
 * The project's own source as the house's tests read it: files, their imports, functions, classes, comments.
 *
 * Owns the parse (TypeScript 7 has no compiler API to call, so Babel's parser does it), once a file.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "@babel/parser";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A node of any kind, as much of it as is read here. */
export interface SyntaxNode {
  readonly type: string;
  readonly loc?: {
    readonly start: { readonly line: number };
    readonly end: { readonly line: number };
  } | null;
  readonly [field: string]: unknown;
}

export interface Import {
  /** As written. */
  readonly from: string;
  readonly line: number;
  readonly typeOnly: boolean;
}

export interface SourceFile {
  /** From the project's root, with slashes: `src/jobs/codec.ts`. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly nodes: readonly SyntaxNode[];
  readonly comments: readonly { readonly value: string; readonly line: number; readonly block: boolean }[];
  readonly imports: readonly Import[];
}

/** Files below a folder whose names end so; a folder that is not there has none. */
export function filesBelow(folder: string, ...endings: readonly string[]): string[] {
  let entries: ReturnType<typeof list>;
  try {
    entries = list(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return entries
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((path) => !path.split("/").includes("node_modules"))
    .sort();
}

function list(folder: string) {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
}

/** Every TypeScript file below `src`, parsed; declarations (`.d.ts`) are not code and left out. */
export function sources(folder = "src"): SourceFile[] {
  return filesBelow(folder, ".ts")
    .filter((path) => !path.endsWith(".d.ts"))
    .map((path) => sourceOf(path, readFileSync(join(ROOT, path), "utf8")));
}

export function sourceOf(path: string, text: string): SourceFile {
  const tree = parse(text, { sourceType: "module", plugins: ["typescript", "explicitResourceManagement"] });
  const nodes: SyntaxNode[] = [];
  collect(tree.program as unknown as SyntaxNode, nodes);
  const comments = (tree.comments ?? []).map((comment) => ({
    value: comment.value,
    line: comment.loc?.start.line ?? 0,
    block: comment.type === "CommentBlock",
  }));
  const lines = text.endsWith("\n") ? text.split("\n").length - 1 : text.split("\n").length;
  return { path, text, lines, nodes, comments, imports: nodes.flatMap(importOf) };
}

function collect(node: SyntaxNode, into: SyntaxNode[]): void {
  into.push(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) collect(child, into);
    }
  }
}

function isNode(value: unknown): value is SyntaxNode {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as SyntaxNode).type === "string" &&
    "loc" in value
  );
}

export function lineOf(node: SyntaxNode): number {
  return node.loc?.start.line ?? 0;
}

/** Static imports, re-exports, `import()` of a literal, and `import("…")` in types. */
function importOf(node: SyntaxNode): Import[] {
  const typeOnly = node.importKind === "type" || node.exportKind === "type" || node.type === "TSImportType";
  const from = isNode(node.source)
    ? node.source
    : node.type === "TSImportType" && isNode(node.argument)
      ? node.argument
      : node.type === "CallExpression" && isNode(node.callee) && node.callee.type === "Import"
        ? (node.arguments as SyntaxNode[])[0]
        : undefined;
  return typeof from?.value === "string" ? [{ from: from.value, line: lineOf(node), typeOnly }] : [];
}

/** Where a relative import leads, from the project's root. */
export function target(file: SourceFile, from: string): string {
  return relative(ROOT, resolve(ROOT, dirname(file.path), from))
    .split(sep)
    .join("/");
}
