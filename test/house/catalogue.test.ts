/**
 * docs/errors.md against the error classes: a row for each class, a class for each row, the fields as they are.
 *
 * Classes are read from the source (their code and fields) and from the loaded modules (what they extend), so a
 * class that hides in another file, or carries another code than its name, is found.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { SpillwayError } from "../../src/kernel/errors.ts";
import { lineOf, ROOT, type SourceFile, type SyntaxNode, sources } from "./source.ts";

interface ErrorClass {
  readonly name: string;
  readonly where: string;
  readonly code: string | undefined;
  readonly fields: readonly string[];
}

interface Row {
  readonly code: string;
  readonly cells: readonly string[];
}

const files = sources();
const classes = files.flatMap(errorClasses);
const rows = tableRows(readFileSync(join(ROOT, "docs/errors.md"), "utf8"));

function errorClasses(file: SourceFile): ErrorClass[] {
  return file.nodes.flatMap((node) => {
    if (!node.type.startsWith("Class") || node.type === "ClassBody" || !node.superClass) return [];
    if (nameOf(node.superClass) !== "SpillwayError") return [];
    const members = (node.body as { body: SyntaxNode[] }).body;
    const code = members.find((member) => nameOf(member.key) === "code");
    const value = (code?.value as SyntaxNode | undefined)?.value;
    return [
      {
        name: nameOf(node.id) ?? "(without a name)",
        where: `${file.path}:${lineOf(node)}`,
        code: typeof value === "string" ? value : undefined,
        fields: members.flatMap(fieldsOf),
      },
    ];
  });
}

/** Declared fields but the code, and the constructor's parameters that are fields. */
function fieldsOf(member: SyntaxNode): string[] {
  if (member.type === "ClassProperty") return [nameOf(member.key) ?? ""].filter((name) => name !== "code");
  if (member.kind !== "constructor") return [];
  return (member.params as SyntaxNode[]).flatMap((parameter) =>
    parameter.type === "TSParameterProperty" ? [nameOf(parameter.parameter) ?? ""] : [],
  );
}

/** An identifier's name, also of a parameter with a default. */
function nameOf(node: unknown): string | undefined {
  if (typeof node !== "object" || node === null) return undefined;
  const { name, left } = node as { name?: unknown; left?: unknown };
  return typeof name === "string" ? name : nameOf(left);
}

function tableRows(page: string): Row[] {
  return [...page.matchAll(/^\| `(\w+)` \|(.*)\|$/gm)].map(([, code = "", rest = ""]) => ({
    code,
    cells: rest.split(" | ").map((cell) => cell.trim()),
  }));
}

test("there are errors to look at", () => {
  expect(classes.length).toBeGreaterThan(20);
  expect(classes.some((found) => found.fields.length > 1)).toBe(true);
});

test("every error class stands in an errors.ts", () => {
  const elsewhere = classes.filter(({ where }) => !/\/errors\.ts:\d+$/.test(where));
  expect(elsewhere.map(({ name, where }) => `${where}: move ${name} to the errors.ts of its folder`)).toEqual(
    [],
  );
});

test("the code of every error is its name", () => {
  const wrong = classes.filter(({ name, code }) => name !== code);
  expect(
    wrong.map(({ name, where, code }) => `${where}: ${name} has the code ${code}; write "${name}"`),
  ).toEqual([]);
});

test("no two errors share a name", () => {
  const names = classes.map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test("every error has a row in docs/errors.md", () => {
  const listed = new Set(rows.map((row) => row.code));
  const missing = classes.filter(({ name }) => !listed.has(name));
  expect(missing.map(({ name, where }) => `${where}: add a row for ${name} to docs/errors.md`)).toEqual([]);
});

test("every row of docs/errors.md has an error, and stands there once", () => {
  const names = new Set(classes.map(({ name }) => name));
  const codes = rows.map((row) => row.code);
  expect(codes.filter((code, index) => !names.has(code) || codes.indexOf(code) !== index)).toEqual([]);
});

test("a row says when, what to do, and names the error's fields", () => {
  const problems = rows.flatMap(({ code, cells }) => {
    const found = classes.find(({ name }) => name === code);
    if (cells.length !== 3) return [`${code}: expected | code | when | what to do | fields |`];
    const [when = "", advice = "", fields = ""] = cells;
    if (when.length < 10 || advice.length < 10) return [`${code}: say when it comes and what to do`];
    const written = [...fields.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name);
    const missing = (found?.fields ?? []).filter((name) => !written.includes(name));
    const tooMany = written.filter((name) => !(found?.fields ?? []).includes(name));
    return [
      ...missing.map((name) => `${code}: field ${name} is missing in its row`),
      ...tooMany.map((name) => `${code}: has no field ${name}`),
    ];
  });
  expect(problems).toEqual([]);
});

test("what the modules export are the same classes, and they are SpillwayErrors", async () => {
  const exported = new Set<string>();
  for (const { path } of files.filter((file) => file.path.endsWith("/errors.ts"))) {
    const module = (await import(pathToFileURL(join(ROOT, path)).href)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(module)) {
      if (typeof value === "function" && value.prototype instanceof SpillwayError) exported.add(name);
    }
  }
  expect([...exported].sort()).toEqual(classes.map(({ name }) => name).sort());
});
