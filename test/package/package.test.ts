/**
 * The package as it would be published: packed, installed into an empty folder, and used from there.
 *
 * Packed from a copy of the checkout, because `prepack` empties and rebuilds `dist`, which other tests load meanwhile.
 */
import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { builtinModules } from "node:module";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MODULES = join(ROOT, "node_modules");
const base = mkdtempSync(join(emptyAbove(), "spillway-package-"));
const copy = join(base, "checkout");
/** Knows nothing of the checkout: what resolves here resolves at a user's. */
const app = join(base, "app");
const INSTALL_MS = 240_000;

/** A folder for temporary files with no `node_modules` above it, since that would be found from within. */
function emptyAbove(): string {
  const found = [tmpdir(), "/var/tmp", homedir()].find((folder) => {
    for (let above = folder; ; above = dirname(above)) {
      if (existsSync(join(above, "node_modules"))) return false;
      if (above === dirname(above)) return existsSync(folder);
    }
  });
  if (found === undefined) throw new Error("every folder for temporary files has a node_modules above it");
  return found;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** npm hands its settings down to what it runs (`npm test`); a user's shell has none of them. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|VITEST)/i.test(name)),
);

function run(folder: string, command: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: folder, env, encoding: "utf8" }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

const node = (...args: readonly string[]) => run(app, process.execPath, ...args);

function file(name: string, text: string): void {
  mkdirSync(join(app, name, ".."), { recursive: true });
  writeFileSync(join(app, name), text);
}

/** Everything but what is made or installed; the modules are linked. */
function copyCheckout(): void {
  const left = new Set(["node_modules", "dist", ".git", ".demo", "spillway", "coverage"]);
  mkdirSync(copy);
  for (const name of readdirSync(ROOT).filter((one) => !left.has(one) && !one.endsWith(".tgz")))
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(MODULES, join(copy, "node_modules"));
}

let tarball: string;

beforeAll(async () => {
  copyCheckout();
  const packed = await run(copy, "npm", "pack", "--silent", "--pack-destination", base);
  expect(packed, packed.stderr).toMatchObject({ code: 0 });
  tarball = join(base, readdirSync(base).find((name) => name.endsWith(".tgz")) ?? "none.tgz");
  file("package.json", JSON.stringify({ name: "app", private: true, type: "module" }));
  file(
    "jobs/sum.mjs",
    `import { threadId } from "node:worker_threads";
     import { defineJob } from "spillway/job";
     export default defineJob({ name: "sum", perform: ({ a, b }) => ({ sum: a + b, threadId }) });`,
  );
  const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  const installed = await run(app, "npm", "install", `../${basename(tarball)}`, ...flags);
  expect(installed, installed.stderr).toMatchObject({ code: 0 });
}, INSTALL_MS);

afterAll(() => rmSync(base, { recursive: true, force: true }));

/** As a user of Node 20 has it. Linked, since it is compiled for minutes where no ready-made binary can be had. */
function installDriver(): void {
  symlinkSync(join(MODULES, "better-sqlite3"), join(app, "node_modules/better-sqlite3"));
}

test("the tarball holds the build, the docs, and what npm asks for", async () => {
  const { stdout } = await run(base, "tar", "-tzf", tarball);
  const paths = stdout
    .trim()
    .split("\n")
    .map((path) => path.replace(/^package\//, ""));
  const top = new Set(paths.map((path) => path.split("/")[0]));
  expect([...top].sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "dist", "docs", "package.json"]);
  const strange = paths.filter((path) => path.startsWith("dist/") && !/\.(c?js|d\.c?ts)$/.test(path));
  expect(strange).toEqual([]);
  expect(paths).toContain("docs/errors.md");
});

test("without a driver, on a Node that has no SQLite, the embedded broker says what to install", async () => {
  file(
    "no-driver.mjs",
    `import { Runtime } from "spillway";
     const logger = { debug() {}, info() {}, warn() {}, error() {} };
     const started = await Runtime.start({ logger }).catch((error) => error);
     if (started instanceof Error) console.log(started.code, started.message);
     else await started.stop().then(() => console.log("started"));`,
  );
  const { stdout } = await node("no-driver.mjs");
  // Behind a flag before 22.13, and then not listed.
  const builtin = builtinModules.some((name) => /^(node:)?sqlite$/.test(name));
  expect(stdout).toMatch(builtin ? /^started/ : /^StoreDriverMissing .*npm i better-sqlite3@12/);
});

test("an ES module imports every entry, and a job runs in a thread on the embedded broker", async () => {
  installDriver();
  file(
    "service.mjs",
    `import { embedded, Runtime } from "spillway";
     import { defineJob } from "spillway/job";
     import { Spillway } from "spillway/effect";
     import { startGloom } from "spillway/gateways";
     import { drain, perform, startTestRuntime, VirtualClock } from "spillway/testing";
     const runtime = await Runtime.start({
       broker: embedded({ path: "./data" }),
       jobs: new URL("./jobs/", import.meta.url),
       partitions: { myapp: { default: 2 } },
     });
     const result = await runtime.execute("sum", { a: 1, b: 2 }, { partition: "myapp" });
     await runtime.stop();
     const inline = await perform(defineJob({ name: "inline", perform: (n) => n + 1 }), 1);
     const entries = [Spillway.layer, startGloom, drain, startTestRuntime, VirtualClock].map((one) => typeof one);
     console.log(JSON.stringify({ ...result, inline, entries }));`,
  );
  const { code, stdout, stderr } = await node("service.mjs");
  expect(code, stderr).toBe(0);
  const said = JSON.parse(stdout);
  expect(said).toMatchObject({
    sum: 3,
    inline: 2,
    entries: ["function", "function", "function", "function", "function"],
  });
  expect(said.threadId).toBeGreaterThan(0);
});

test("without zeromq all of the gateways are there; only what speaks Powerhose says what to install", async () => {
  file(
    "no-zeromq.mjs",
    `import { memory, Runtime } from "spillway";
     import { JobRunner, PowerhoseWorker, powerhose } from "spillway/gateways";
     const logger = { debug() {}, info() {}, warn() {}, error() {} };
     const gateways = [powerhose({ serves: "x", endpoint: "ipc://x.ipc" })];
     for (const start of [
       () => new JobRunner("ipc://x.ipc").start(),
       () => new PowerhoseWorker("ipc://x.ipc", "ipc://y.ipc", () => "").run(),
       () => Runtime.start({ broker: memory(), gateways, logger }),
     ])
       console.log(await start().catch(({ code, message }) => code + " " + message));`,
  );
  const { code, stdout, stderr } = await node("no-zeromq.mjs");
  expect(code, stderr).toBe(0);
  const told = stdout.trim().split("\n");
  expect(told).toHaveLength(3);
  for (const line of told) expect(line).toMatch(/^ZeromqMissing .*npm i zeromq@6/);
});

test("a CommonJS module requires every entry", async () => {
  file(
    "service.cjs",
    `const { memory, Runtime, SpillwayError } = require("spillway");
     const { defineJob } = require("spillway/job");
     const { Spillway } = require("spillway/effect");
     const { startGloom } = require("spillway/gateways");
     const { perform } = require("spillway/testing");
     (async () => {
       const runtime = await Runtime.start({ broker: memory(), jobs: "jobs", partitions: { p: { default: 1 } } });
       const { sum } = await runtime.execute("sum", { a: 2, b: 3 }, { partition: "p" });
       await runtime.stop();
       const job = defineJob({ name: "inline", perform: (n) => n * 2 });
       console.log(sum, await perform(job, 4), typeof Spillway, typeof startGloom, SpillwayError.prototype instanceof Error);
     })();`,
  );
  const { code, stdout, stderr } = await node("service.cjs");
  expect(code, stderr).toBe(0);
  expect(stdout).toBe("5 8 function function true\n");
});

test("types flow from a definition to enqueue and result, for whoever installs the package", async () => {
  file(
    "types.ts",
    `import { defineJob, type JobHandle, Runtime, memory } from "spillway";
     import { Spillway } from "spillway/effect";
     import { perform } from "spillway/testing";
     import * as Effect from "effect/Effect";
     const job = defineJob({ name: "sum", perform: async (args: { a: number }) => args.a + 1 });
     const none = defineJob({ name: "none", perform: () => "text" });
     export async function use(): Promise<void> {
       const runtime = await Runtime.start({ broker: memory(), jobs: [job], partitions: { p: { default: 1 } } });
       const handle: JobHandle<number> = await runtime.enqueue(job, { a: 1 }, { partition: "p" });
       const result: number = await handle.result({ timeout: "1 second" });
       const text: string = await runtime.execute(none, undefined, { partition: "p" });
       const inline: number = await perform(job, { a: result });
       // @ts-expect-error args are checked
       await runtime.enqueue(job, { a: "1" }, { partition: "p" });
       // @ts-expect-error so are options
       await Runtime.start({ treads: 1 });
       // @ts-expect-error and results
       const wrong: string = await runtime.execute(job, { a: 1 }, { partition: "p" });
       runtime.on("job.completed", (event) => event.durationMs.toFixed() + text + inline + wrong);
     }
     export const held = Effect.gen(function* () {
       const spillway = yield* Spillway;
       const number: number = yield* spillway.execute(job, { a: 1 }, { partition: "p" });
       return number;
     }).pipe(Effect.catchTag("JobBuried", (error) => Effect.succeed(error.record.reason.length)));`,
  );
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    module: "nodenext",
    target: "es2023",
    noEmit: true,
    skipLibCheck: true,
    types: ["node"],
    typeRoots: [join(MODULES, "@types")],
  };
  file("tsconfig.json", JSON.stringify({ compilerOptions, files: ["types.ts"] }));
  const { code, stdout } = await node(join(MODULES, "typescript/bin/tsc"), "-p", "tsconfig.json");
  expect(stdout).toBe("");
  expect(code).toBe(0);
});

test("internals are closed", async () => {
  file(
    "closed.mjs",
    `for (const path of ["dist/runtime/runtime.js", "dist/index.js", "src/index.ts", "kernel"])
       await import("spillway/" + path).then(() => console.log("open", path), (error) => console.log(error.code));
     const { default: manifest } = await import("spillway/package.json", { with: { type: "json" } });
     console.log(manifest.name);`,
  );
  const { stdout } = await node("closed.mjs");
  expect(stdout).toBe(`${"ERR_PACKAGE_PATH_NOT_EXPORTED\n".repeat(4)}spillway\n`);
});

test("the command is there for npx", async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const said = await run(app, "npx", "--no-install", "spillway", "--version");
  expect(said).toMatchObject({ code: 0, stdout: `${version}\n` });
  const enqueued = await run(
    app,
    "npx",
    "--no-install",
    "spillway",
    "enqueue",
    "sum",
    '{"a":1,"b":1}',
    "--jobs",
    "jobs",
    "--wait",
    "--json",
  );
  expect(JSON.parse(enqueued.stdout).result.sum).toBe(2);
});
