/**
 * The house's rules, as tests: which way imports point, how large files and functions are, what each file opens with.
 *
 * A failure names the file, the rule, and what to do. `CONTRIBUTING.md` says why the rules are there.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { filesBelow, lineOf, ROOT, type SourceFile, sourceOf, sources, target } from "./source.ts";

const FILE_LINES_MAX = 400;
const FILE_LINES_MEDIAN_MAX = 150;
const FUNCTION_LINES_MAX = 70;
const HEADER_LINES_MIN = 3;
const HEADER_LINES_MAX = 8;

const BELOW_ACTORS = ["kernel", "jobs", "broker", "threads"];
const BELOW_RUNTIME = [...BELOW_ACTORS, "persist", "embedded", "amqp", "actors"];
/**
 * What each folder may import, beside itself. Nothing imports what plugs in, for which a port is defined below, but the
 * command, which puts it together.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  jobs: [],
  broker: ["kernel", "jobs"],
  persist: ["kernel", "jobs", "broker"],
  embedded: ["kernel", "jobs", "broker", "persist"],
  amqp: ["kernel", "jobs", "broker", "persist"],
  threads: ["kernel", "jobs"],
  actors: BELOW_ACTORS,
  runtime: BELOW_RUNTIME,
  cli: [...BELOW_RUNTIME, "runtime", "gateways"],
  gateways: [...BELOW_RUNTIME, "runtime"],
  dashboard: [...BELOW_RUNTIME, "runtime"],
  telemetry: [...BELOW_RUNTIME, "runtime"],
  testing: [...BELOW_RUNTIME, "runtime"],
};
/** The root of all errors is everybody's. */
const FOR_ALL = "src/kernel/errors.ts";

type Manifest = { readonly [field in "dependencies" | "peerDependencies"]: Readonly<Record<string, string>> };
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
const installed = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)];

const files = sources();

/** Every breach as one line: where, which rule, what to do. */
function breaches(
  rule: (file: SourceFile) => readonly string[],
  of: readonly SourceFile[] = files,
): string[] {
  return of.flatMap((file) => rule(file).map((breach) => `${file.path}${breach}`));
}

function importBreaches(file: SourceFile): string[] {
  const [, folder = ""] = file.path.split("/");
  if (!file.path.startsWith("src/") || folder.endsWith(".ts")) return [];
  const allowed = MAY_IMPORT[folder];
  if (allowed === undefined)
    return [`: the folder ${folder} is not in the house; add it to MAY_IMPORT on purpose`];
  return file.imports.flatMap(({ from, line }) => {
    if (!from.startsWith(".")) return [];
    const to = target(file, from);
    const [, other = ""] = to.split("/");
    if (to === FOR_ALL || other === folder || allowed.includes(other)) return [];
    return [
      `:${line}: ${folder} must not import ${to}; move what is shared down, or define a port in ${folder}`,
    ];
  });
}

function packageBreaches(file: SourceFile): string[] {
  return file.imports.flatMap(({ from, line }) => {
    if (from.startsWith(".")) {
      return /\.(ts|mts|cts)$/.test(from)
        ? []
        : [`:${line}: import ${from} with its .ts extension; tsc rewrites it`];
    }
    if (from === "effect") return [`:${line}: import effect/Module; the barrel costs 280 ms at start`];
    if (from.startsWith("effect/") && /^src\/(jobs|threads)\//.test(file.path)) {
      return [`:${line}: ${from}: no Effect in code that runs in threads`];
    }
    const name = from.startsWith("@") ? from.split("/").slice(0, 2).join("/") : (from.split("/")[0] ?? "");
    if (from.startsWith("node:") || installed.includes(name)) return [];
    return [`:${line}: ${from} is not in dependencies of package.json; users would not have it`];
  });
}

function functionBreaches(file: SourceFile): string[] {
  return file.nodes.flatMap((node) => {
    if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression|\w+Method)$/.test(node.type))
      return [];
    const lines = (node.loc?.end.line ?? 0) - lineOf(node) + 1;
    if (lines <= FUNCTION_LINES_MAX) return [];
    return [
      `:${lineOf(node)}: a function of ${lines} lines, the most is ${FUNCTION_LINES_MAX}; split it into steps`,
    ];
  });
}

function headerBreaches(file: SourceFile): string[] {
  const text = file.text.replace(/^#!.*\n/, "");
  if (!text.startsWith("/**\n"))
    return [": open with a block comment: what it is, owns, and promises when it dies"];
  const inner = text.slice(4, text.indexOf("*/")).split("\n").slice(0, -1);
  const written = inner.filter((line) => line.replace(/^\s*\*/, "").trim() !== "");
  if (inner.length >= HEADER_LINES_MIN && written.length <= HEADER_LINES_MAX) return [];
  return [
    `: its header has ${written.length} lines of text; say it in ${HEADER_LINES_MIN} to ${HEADER_LINES_MAX}`,
  ];
}

/** `any` is let pass where the line above tells biome, and the reader, why. */
function typeBreaches(file: SourceFile): string[] {
  const excused = new Set(
    file.comments.filter(({ value }) => EXCUSED.test(value)).map(({ line }) => line + 1),
  );
  return file.nodes.flatMap((node) => {
    const line = lineOf(node);
    if (node.type === "TSAnyKeyword" && !excused.has(line))
      return [`:${line}: any; use unknown and narrow it`];
    if (node.type === "TSNonNullExpression") return [`:${line}: a non-null assertion; narrow instead`];
    return [];
  });
}

const EXCUSED = /biome-ignore lint\/suspicious\/noExplicitAny: \w+/;

// In two parts each, so that this file does not break its own rules.
const LEFTOVER = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"].join("|")})\\b`);
const SILENCED = new RegExp(`@ts-(${["ig" + "nore", "no" + "check"].join("|")})`);
const MACHINE = new RegExp(
  ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/\\w", "/Us" + "ers/\\w", "C:\\\\Us" + "ers"].join("|"),
);

function commentBreaches(file: SourceFile): string[] {
  return file.comments.flatMap(({ value, line }) => {
    const leftover = LEFTOVER.exec(value)?.[0];
    if (leftover !== undefined)
      return [`:${line}: ${leftover}; do it, or open an issue and say what does not work`];
    return SILENCED.test(value)
      ? [`:${line}: a silenced compiler; mend the type, or use @ts-expect-error`]
      : [];
  });
}

function lineBreaches(path: string, wrong: RegExp, advice: string): string[] {
  const lines = readFileSync(join(ROOT, path), "utf8").split("\n");
  return lines.flatMap((line, index) => (wrong.test(line) ? [`${path}:${index + 1}: ${advice}`] : []));
}

test("there is a house to look at", () => {
  expect(files.length).toBeGreaterThan(10);
  expect(files.some((file) => file.imports.length > 3)).toBe(true);
});

test("imports point one way", () => {
  expect(breaches(importBreaches)).toEqual([]);
});

test("what is imported is installed with the package, and the Effect barrel is not used", () => {
  expect(breaches(packageBreaches)).toEqual([]);
});

test(`no file has more than ${FILE_LINES_MAX} lines`, () => {
  const rule = ({ lines }: SourceFile) =>
    lines > FILE_LINES_MAX ? [`: ${lines} lines, the most is ${FILE_LINES_MAX}; one concept, one file`] : [];
  expect(breaches(rule)).toEqual([]);
});

test(`the median file has at most ${FILE_LINES_MEDIAN_MAX} lines`, () => {
  const sizes = files.map((file) => file.lines).sort((a, b) => a - b);
  expect(sizes[Math.floor(sizes.length / 2)]).toBeLessThanOrEqual(FILE_LINES_MEDIAN_MAX);
});

test(`no function has more than ${FUNCTION_LINES_MAX} lines`, () => {
  expect(breaches(functionBreaches)).toEqual([]);
});

test("every file opens with what it is, in a few lines", () => {
  expect(breaches(headerBreaches)).toEqual([]);
});

test("no any, no non-null assertion", () => {
  expect(breaches(typeBreaches)).toEqual([]);
  expect(breaches(typeBreaches, sources("test"))).toEqual([]);
});

test("nothing is left over, and no compiler is silenced", () => {
  expect(breaches(commentBreaches)).toEqual([]);
  expect(breaches(commentBreaches, sources("test"))).toEqual([]);
});

test("no test is skipped, singled out or tried again", () => {
  const wrong =
    /\b(test|it|describe)\.(skip|only|todo|fails)\b|\b(test|it)(\.\w+)?\(.*\{[^{}]*\bretry: *[1-9]/;
  const found = filesBelow("test", ".test.ts").flatMap((path) =>
    lineBreaches(path, wrong, "skipped, singled out or tried again; mend the test, or delete it"),
  );
  expect(found.filter((line) => !line.startsWith("test/house/"))).toEqual([]);
});

test("no path of a machine is written down", () => {
  const folders = ["src", "test", "bench", "examples", "docs", ".ci"];
  const paths = folders.flatMap((folder) =>
    filesBelow(folder, ".ts", ".mjs", ".cjs", ".js", ".md", ".json", "run"),
  );
  const found = [
    ...paths,
    "package.json",
    "package-lock.json",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
  ]
    .filter(exists)
    .flatMap((path) =>
      lineBreaches(path, MACHINE, "a path of one machine; make it relative, or take os.tmpdir()"),
    );
  expect(found).toEqual([]);
});

test("the lock file names no registry but the public one", () => {
  const wrong = /"resolved": "(?!https:\/\/registry\.npmjs\.org\/)/;
  expect(
    lineBreaches("package-lock.json", wrong, "resolved from elsewhere; install from the public registry"),
  ).toEqual([]);
});

test("the licence, the guides and the change log are there", () => {
  for (const path of ["LICENSE", "CONTRIBUTING.md", "CHANGELOG.md"]) {
    expect(exists(path), `${path} is missing`).toBe(true);
  }
});

// The rules themselves, on source that breaks them: a rule that finds nothing anywhere proves nothing.

test.each([
  [
    "an upward import",
    'import { x } from "../runtime/y.ts";',
    importBreaches,
    "src/jobs/a.ts:1: jobs must not import src/runtime/y.ts",
  ],
  ["an upward type", 'import type { X } from "../runtime/y.ts";', importBreaches, "jobs must not import"],
  ["an upward re-export", 'export { x } from "../actors/y.ts";', importBreaches, "jobs must not import"],
  ["an upward import()", 'const x = import("../actors/y.ts");', importBreaches, "jobs must not import"],
  [
    "an upward import in a type",
    'type X = import("../actors/y.ts").Y;',
    importBreaches,
    "jobs must not import",
  ],
  ["an import without extension", 'import { x } from "./y";', packageBreaches, "with its .ts extension"],
  ["the Effect barrel", 'import { Effect } from "effect";', packageBreaches, "import effect/Module"],
  [
    "Effect in a thread",
    'import * as Effect from "effect/Effect";',
    packageBreaches,
    "no Effect in code that runs",
  ],
  [
    "a package that is not installed",
    'import x from "lodash/fp";',
    packageBreaches,
    "lodash/fp is not in dependencies",
  ],
  ["a long function", `const f = () => {${"\n".repeat(70)}};`, functionBreaches, "a function of 71 lines"],
  ["a long method", `class A { m() {${"\n".repeat(70)}} }`, functionBreaches, "a function of 71 lines"],
  ["no header", "export const x = 1;", headerBreaches, "open with a block comment"],
  ["a short header", "/**\n * A.\n */\n", headerBreaches, "its header has 1 lines"],
  ["a long header", `/**\n${" * A.\n".repeat(9)} */\n`, headerBreaches, "its header has 9 lines"],
  ["any", "const x: any = 1;", typeBreaches, "use unknown"],
  ["a non-null assertion", "const x = y!.z;", typeBreaches, "narrow instead"],
  ["a leftover", `// ${"TO" + "DO"} later`, commentBreaches, "do it, or open an issue"],
  ["a silenced compiler", `// @ts-${"ig" + "nore"}`, commentBreaches, "a silenced compiler"],
])("the rules see %s", (_what, text, rule, told) => {
  expect(breaches(rule, [sourceOf("src/jobs/a.ts", text)])).toEqual([expect.stringContaining(told)]);
});

test("the rules let pass what is right", () => {
  const text = `/**\n * A.\n *\n * B.\n */\nimport { SpillwayError } from "../kernel/errors.ts";\nimport "./b.ts";\nimport "node:fs";\n`;
  const excuse = "// biome-ignore lint/suspicious/noExplicitAny: children of any type\ntype A = any;\n";
  const file = [sourceOf("src/jobs/a.ts", `${text}${excuse}`)];
  for (const rule of [
    importBreaches,
    packageBreaches,
    functionBreaches,
    headerBreaches,
    typeBreaches,
    commentBreaches,
  ]) {
    expect(breaches(rule, file)).toEqual([]);
  }
});

test("runtime's errors are for runtime and what stands on it", () => {
  const imported = 'import { InvalidOptions } from "../runtime/errors.ts";';
  expect(breaches(importBreaches, [sourceOf("src/actors/a.ts", imported)])).toHaveLength(1);
  expect(breaches(importBreaches, [sourceOf("src/cli/a.ts", imported)])).toEqual([]);
});

function exists(path: string): boolean {
  return existsSync(join(ROOT, path));
}
