/** The job registry as files: what is taken, and in which words the rest is refused. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { loadModules } from "../../src/threads/modules/load.ts";
import { broken, fixture, fixturePath } from "./support.ts";

function folder(files: Record<string, string>): string {
  const path = mkdtempSync(join(tmpdir(), "spillway-modules-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

const job = (name: string) => `export default { name: ${JSON.stringify(name)}, perform() {} };`;

test("a folder is every module in it, sorted, without helpers, declarations and folders", async () => {
  const path = folder({
    "b.mjs": job("bee"),
    "a.mjs": job("ay"),
    "_helper.mjs": "throw 1;",
    ".hidden.mjs": "throw 1;",
    "types.d.ts": "export {};",
    "notes.txt": "no module",
  });
  const loaded = await loadModules(pathToFileURL(`${path}/`));
  expect(loaded.map(({ definition, url }) => [definition.name, url])).toEqual([
    ["ay", pathToFileURL(join(path, "a.mjs")).href],
    ["bee", pathToFileURL(join(path, "b.mjs")).href],
  ]);
});

test("a list takes files by path and URL, CommonJS and TypeScript too, each once", async () => {
  const loaded = await loadModules([
    fixturePath("echo.mjs"),
    new URL(fixture("common.cjs")),
    fixture("typed.ts"),
    fixture("echo.mjs"),
    fixture("late-ready.mjs"),
  ]);
  expect(loaded.map(({ definition }) => definition.name)).toEqual(["echo", "common", "typed", "late-ready"]);
});

test("TypeScript loads on plain Node, where nothing has registered a loader", async () => {
  const built = new URL("../../dist/threads/modules/load.js", import.meta.url).href;
  const files = JSON.stringify([fixture("typed.ts"), fixture("typed-late.ts")]);
  const script = `
    const { loadModules } = await import(${JSON.stringify(built)});
    const loaded = await loadModules(${files});
    console.log(loaded.map(({ definition }) => definition.name).join());`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  expect(stdout.trim()).toBe("typed,typed-late");
});

test("a plain object is checked as a definition is", async () => {
  const path = folder({ "a.mjs": "export default { name: 'a', queu: 'x', perform() {} };" });
  await expect(loadModules(path)).rejects.toMatchObject({ code: "InvalidJob", job: "a" });
});

test("a module that never finishes loading is refused when its time is over", async () => {
  const path = folder({ "a.mjs": "await new Promise(() => {});\nexport default {};" });
  await expect(loadModules(path, 200)).rejects.toMatchObject({
    code: "InvalidJob",
    job: join(path, "a.mjs"),
    message: expect.stringMatching(/not done after 200 ms; does a top-level await wait/),
  });
});

test.each([
  ["a folder that is not there", () => "/no/such/folder", /no such file or folder/],
  ["a URL that is no file", () => new URL("https://example.org/job.mjs"), /file: URLs only/],
  ["a module that throws", () => broken("throws.mjs"), /this module cannot be loaded/],
  ["a module without a job", () => broken("nothing.mjs"), /default export is no job/],
  ["a module that exports nothing", () => folder({ "a.mjs": "export {};" }), /default export is no job/],
  ["a CommonJS one that exports nothing", () => folder({ "a.cjs": "" }), /default export is no job/],
  ["a module that is no JavaScript", () => folder({ "a.mjs": "export default {" }), /could not be loaded/],
  ["a module that imports what is not there", () => folder({ "a.mjs": 'import "./b.mjs";' }), /b\.mjs/],
  [
    "a job without a body",
    () => folder({ "a.mjs": 'export default { name: "a" };' }),
    /default export is no job/,
  ],
  [
    "two modules with one name",
    () => folder({ "a.mjs": job("same"), "b.mjs": job("same") }),
    /two modules define this name: .*a\.mjs and .*b\.mjs/,
  ],
])("%s is refused with InvalidJob", async (_, place, message) => {
  await expect(loadModules(place())).rejects.toMatchObject({
    code: "InvalidJob",
    message: expect.stringMatching(message),
  });
});
