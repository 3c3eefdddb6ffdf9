/**
 * The reference pages against the code: errors, events, options, commands. A row for each, and each with a row.
 *
 * Classes are read from the source (their code and fields) and from the loaded modules (what they extend), so a
 * class that hides in another file, or carries another code than its name, is found.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { type EventType, eventTypes } from "../../src/actors/events.ts";
import { rabbitOptionNames } from "../../src/amqp/options.ts";
import { commands } from "../../src/cli/commands.ts";
import { gloomOptionNames } from "../../src/gateways/gloom/options.ts";
import {
  powerhoseOptionNames,
  runnerOptionNames,
  workerOptionNames,
} from "../../src/gateways/powerhose/options.ts";
import { SpillwayError } from "../../src/kernel/errors.ts";
import { optionNames } from "../../src/runtime/options.ts";
import { filesBelow, lineOf, ROOT, type SourceFile, type SyntaxNode, sources } from "./source.ts";

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

/** The members of an interface in a source file, with their types. */
function members(path: string, name: string): ReadonlyMap<string, SyntaxNode | undefined> {
  const nodes = files.find((file) => file.path === path)?.nodes ?? [];
  const found = nodes.find((node) => node.type === "TSInterfaceDeclaration" && nameOf(node.id) === name);
  const body = (found?.body as { body: SyntaxNode[] } | undefined)?.body ?? [];
  return new Map(
    body.map((member) => {
      const key = member.key as { name?: string; value?: string };
      const type = (member.typeAnnotation as SyntaxNode | undefined)?.typeAnnotation;
      return [key.value ?? key.name ?? "", type as SyntaxNode | undefined];
    }),
  );
}

/** What stands in code marks in the first cell of each row, below one heading or in the whole page. */
function firstCells(path: string, heading?: string): string[] {
  const page = readFileSync(join(ROOT, path), "utf8");
  const part =
    heading === undefined ? page : (page.split(/^## /m).find((text) => text.startsWith(heading)) ?? "");
  return [...part.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = ""]) => name);
}

test("every option of a runtime has a row in docs/options.md, and every row an option", () => {
  expect(firstCells("docs/options.md", "Of a runtime").filter((name) => !name.includes("("))).toEqual(
    optionNames,
  );
});

test("the options that are checked are the options that are typed", () => {
  const typed = [...members("src/runtime/options.ts", "RuntimeOptions").keys()];
  expect(typed.sort()).toEqual([...optionNames].sort());
});

test("options of rabbitmq have a row each, in their order, and are the ones that are typed", () => {
  expect(firstCells("docs/options.md", "Of `rabbitmq`")).toEqual(rabbitOptionNames);
  expect([...members("src/amqp/options.ts", "RabbitOptions").keys()]).toEqual(rabbitOptionNames);
});

test("options of Gloom's gateway have a row each, in their order, and are the ones that are typed", () => {
  expect(firstCells("docs/gateways.md", "Of Gloom")).toEqual(gloomOptionNames);
  expect([...members("src/gateways/gloom/options.ts", "GloomOptions").keys()]).toEqual(gloomOptionNames);
});

test.each([
  ["Of the Powerhose gateway", "PowerhoseOptions", powerhoseOptionNames],
  ["Of `JobRunner`", "JobRunnerOptions", runnerOptionNames],
  ["Of `PowerhoseWorker`", "PowerhoseWorkerOptions", workerOptionNames],
])(
  "options of Powerhose have a row each, in their order, and are the ones that are typed: %s",
  (heading, type, names) => {
    expect(firstCells("docs/gateways.md", heading)).toEqual(names);
    const inherited =
      type === "JobRunnerOptions"
        ? [...members("src/runtime/worker-options.ts", "UpkeepOptions").keys()]
        : [];
    expect([...members("src/gateways/powerhose/options.ts", type).keys(), ...inherited]).toEqual(names);
  },
);

test("options of enqueue and of execute have a row each, in their order", () => {
  expect(firstCells("docs/options.md", "Of `enqueue`")).toEqual([
    ...members("src/runtime/enqueue.ts", "EnqueueOptions").keys(),
  ]);
  expect(firstCells("docs/options.md", "Of `execute`")).toEqual([
    ...members("src/runtime/runtime.ts", "ExecuteOptions").keys(),
  ]);
});

test("callbacks have a row each", () => {
  const rows = firstCells("docs/options.md").flatMap((cell) => /^(\w+)\(/.exec(cell)?.[1] ?? []);
  expect(rows).toEqual([...members("src/actors/callbacks.ts", "Callbacks").keys()]);
});

const eventFields = members("src/actors/events.ts", "EventFields");

test("every event type has a row in docs/events.md, and every row a type", () => {
  expect(firstCells("docs/events.md").sort()).toEqual([...eventTypes].sort());
  expect([...eventFields.keys()].sort()).toEqual([...eventTypes].sort());
});

test("an event's row names its fields", () => {
  const page = readFileSync(join(ROOT, "docs/events.md"), "utf8");
  const written = new Map(
    [...page.matchAll(/^\| `([\w.]+)` \| (.*?) \| (.*) \|$/gm)].map(
      ([, type = "", fields = "", when = ""]) => {
        const names = [...fields.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name);
        return [type, { ofJob: fields.startsWith("of a job"), names, when }] as const;
      },
    ),
  );
  for (const type of eventTypes) {
    const { ofJob, names, when } = written.get(type) ?? { ofJob: false, names: [], when: "" };
    expect({ ofJob, names }, type).toEqual(fieldsOfEvent(type));
    expect(when.length, `${type}: say when it comes`).toBeGreaterThan(10);
  }
});

/** `JobFields`, `{ … }`, or both. */
function fieldsOfEvent(type: EventType): { ofJob: boolean; names: string[] } {
  const written = eventFields.get(type);
  const parts = written?.type === "TSIntersectionType" ? (written.types as SyntaxNode[]) : [written];
  const literals = parts.filter((part) => part?.type === "TSTypeLiteral");
  const names = literals.flatMap((part) =>
    ((part?.members ?? []) as SyntaxNode[]).map(({ key }) => nameOf(key) ?? ""),
  );
  return { ofJob: literals.length < parts.length, names };
}

test("every command has a part of docs/cli.md, and each of its options a row there", () => {
  for (const { name, options } of commands) {
    const rows = firstCells("docs/cli.md", `spillway ${name}`);
    const spelled = Object.entries(options).map(([option, { value }]) =>
      value === undefined ? `--${option}` : `--${option} ${value}`,
    );
    expect(rows, name).toEqual(spelled);
  }
});

test("docs/README.md leads to every page", () => {
  const index = readFileSync(join(ROOT, "docs/README.md"), "utf8");
  const pages = filesBelow("docs", ".md").map((path) => path.slice("docs/".length));
  const missing = pages.filter(
    (page) => !page.includes("/") && page !== "README.md" && !index.includes(`](${page})`),
  );
  expect(missing).toEqual([]);
  const links = [...index.matchAll(/\]\(([\w.-]+\.md)\)/g)].map(([, page = ""]) => page);
  expect(links.filter((page) => !pages.includes(page))).toEqual([]);
});
