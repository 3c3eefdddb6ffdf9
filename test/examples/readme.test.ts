/**
 * What the README says, held against what is there: its code is the examples' code, its links lead somewhere.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { filesBelow } from "../house/source.ts";
import { ROOT } from "./process.ts";

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** A fence behind a comment that names its file. */
function quoted(markdown: string): readonly (readonly [file: string, code: string])[] {
  const fences = markdown.matchAll(/<!-- (examples\/\S+) -->\n```\w*\n([\s\S]*?)```/g);
  return [...fences].map(([, file = "", code = ""]) => [file, code] as const);
}

test("the README's code is what the first example holds, letter by letter", () => {
  const code = quoted(read("README.md"));
  expect(code.map(([file]) => file)).toEqual(filesBelow("examples/first-job", ".mjs"));
  for (const [file, text] of code) expect(text, file).toBe(read(file));
});

test.each(["README.md", "docs/threads.md", "docs/architecture.md"])(
  "the links of %s lead to files that are there",
  (path) => {
    const links = [...read(path).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, to = ""]) => to);
    expect(links.filter((to) => !existsSync(join(ROOT, dirname(path), to)))).toEqual([]);
    if (path === "README.md") expect(links.length).toBeGreaterThan(5);
  },
);

test("the README's tree is the runtime's", async () => {
  const { memory, Runtime } = await import("../../src/index.ts");
  const runtime = await Runtime.start({ broker: memory(), partitions: { myapp: { default: 1 } } });
  const names: string[] = [];
  const visit = (nodes: ReturnType<typeof runtime.node.tree>) => {
    for (const { name, children } of nodes) {
      names.push(name.split("/").at(-1) ?? name);
      visit(children);
    }
  };
  visit(runtime.node.tree());
  await runtime.stop();
  const tree = /```\n(runtime[\s\S]*?)```/.exec(read("README.md"))?.[1] ?? "";
  const shown = tree
    .trimEnd()
    .split("\n")
    .map((line) => /[\w:-]+/.exec(line.replace(/[├└│─]/g, " "))?.[0]);
  expect(shown).toEqual(names);
});
