/** Where a definition says that it was made, in every way that a module can be loaded. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import defined from "./fixtures/defined.ts";
import { simple } from "./fixtures/helper.ts";
import again from "./fixtures/reexport.ts";

const run = promisify(execFile);
const urlOf = (name: string) => new URL(`./fixtures/${name}`, import.meta.url).href;

async function printed(name: string, ...flags: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [...flags, fileURLToPath(urlOf(name))]);
  return stdout.trim();
}

test("a definition names the file that it was made in", () => {
  expect(defineJob({ name: "here", perform() {} }).module).toBe(import.meta.url);
  expect(defined.module).toBe(urlOf("defined.ts"));
});

test("a re-exported definition names the file that made it", () => {
  expect(again).toBe(defined);
  expect(again.module).toBe(urlOf("defined.ts"));
});

test("a helper that wraps defineJob is named instead of its caller (documented)", () => {
  expect(simple("x").module).toBe(urlOf("helper.ts"));
});

test("an ES module names itself", async () => {
  expect(await printed("esm.mjs")).toBe(urlOf("esm.mjs"));
});

test("what a loader or a reload puts behind the file's name is left out", async () => {
  const load = `import(${JSON.stringify(`${urlOf("esm.mjs")}?reload=1#part`)})`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", load]);
  expect(stdout.trim()).toBe(urlOf("esm.mjs"));
});

test("a CommonJS module names itself", async () => {
  expect(await printed("common.cjs")).toBe(urlOf("common.cjs"));
});

test("a TypeScript module that tsx loads names itself, without the loader's query", async () => {
  expect(await printed("typed.ts", "--import", "tsx")).toBe(urlOf("typed.ts"));
});

test("what others did to Error does not matter, and is left as it was", async () => {
  expect(JSON.parse(await printed("odd.mjs"))).toEqual({
    first: urlOf("odd.mjs"),
    kept: true,
    frozen: true,
    named: "c",
  });
});

test("spillway/job loads only what is light", () => {
  const seen = new Set<string>();
  const bare = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, typeOnly, name = ""] of readFileSync(file, "utf8").matchAll(
      /^(?:import|export)( type)? [^;]*?from "([^"]+)"/gm,
    )) {
      if (typeOnly !== undefined) continue;
      if (name.startsWith(".")) visit(resolve(dirname(file), name));
      else bare.add(name);
    }
  };
  visit(fileURLToPath(new URL("../../src/jobs/index.ts", import.meta.url)));
  expect([...bare]).toEqual(["node:url"]);
  expect([...seen].some((file) => file.endsWith("definition.ts"))).toBe(true);
  expect([...seen].some((file) => file.includes("/src/kernel/") && !file.endsWith("errors.ts"))).toBe(false);
});
