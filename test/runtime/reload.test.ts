/** `watch: true`: what is edited is what runs next, without a restart. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { brokers, next, Place, start } from "./support.ts";

const [memory] = brokers;

class Edited {
  readonly place = new Place();
  readonly folder = join(this.place.folder, "jobs");

  write(name: string, text: string): void {
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(join(this.folder, name), text);
  }

  start(): Promise<Runtime> {
    return start(memory, this.place, { jobs: this.folder, watch: true });
  }
}

const body = (value: string, more = "") =>
  `export default { name: "says", ${more} perform: () => ${value} };\n`;

/** Runs the job until it gives this, or fails so: an edit is seen a moment after it was saved. */
async function until(runtime: Runtime, wanted: unknown, name = "says", args?: object): Promise<void> {
  const deadline = Date.now() + 40_000;
  const options = { partition: "p", timeout: "2 seconds" } as const;
  for (;;) {
    const got = await runtime.execute(name, args, options).catch((error: Error) => String(error.cause));
    if (wanted instanceof RegExp ? wanted.test(String(got)) : got === wanted) return;
    expect(Date.now(), `it still gives ${got}`).toBeLessThan(deadline);
  }
}

test("an edited module runs from the next job on", async () => {
  const jobs = new Edited();
  jobs.write("says.mjs", body("1"));
  const runtime = await jobs.start();
  await until(runtime, 1);
  jobs.write("says.mjs", body("2"));
  await until(runtime, 2);
  jobs.write("says.mjs", body("3"));
  await until(runtime, 3);
});

test("a body that runs is left alone, and ends as it began", async () => {
  const jobs = new Edited();
  const gate = jobs.place.path();
  const holds = (value: string) => `import { existsSync } from "node:fs";
export default { name: "holds", async perform({ gate }) {
  while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5));
  return ${value};
} };`;
  jobs.write("holds.mjs", holds('"old"'));
  jobs.write("says.mjs", body("1"));
  const runtime = await jobs.start();
  const started = next(runtime, "job.started");
  const handle = await runtime.enqueue("holds", { gate }, { partition: "p" });
  await started;
  jobs.write("holds.mjs", holds('"new"'));
  jobs.write("says.mjs", body("2"));
  await until(runtime, 2);
  jobs.place.open(gate);
  expect(await handle.result()).toBe("old");
  await until(runtime, "new", "holds", { gate });
});

test.each([
  ["says.mjs", "helper.mjs", "./helper.mjs", "export const value = "],
  ["says.cjs", "helper.cjs", "./helper.cjs", "exports.value = "],
  ["says.ts", "helper.ts", "./helper.ts", "export const value: number = "],
])("what %s imports may be edited too", async (name, helper, path, text) => {
  const jobs = new Edited();
  jobs.write(`_${helper}`, `${text}1;\n`);
  const specifier = path.replace("./", "./_");
  const cjs = name.endsWith(".cjs");
  const load = cjs ? `const { value } = require("${specifier}");` : `import { value } from "${specifier}";`;
  const job = '{ name: "says", perform: () => value }';
  jobs.write(name, `${load}\n${cjs ? `module.exports = ${job}` : `export default ${job}`};\n`);
  const runtime = await jobs.start();
  await until(runtime, 1);
  jobs.write(`_${helper}`, `${text}2;\n`);
  await until(runtime, 2);
});

test("a module that does not load any more fails its jobs with the reason, until it is mended", async () => {
  const jobs = new Edited();
  jobs.write("says.mjs", body("1"));
  jobs.write("other.mjs", body("7").replace('"says"', '"other"'));
  const runtime = await jobs.start();
  await until(runtime, 1);
  jobs.write("says.mjs", "export default { name: ");
  await until(runtime, /says\.mjs could not be loaded: SyntaxError/);
  await until(runtime, 7, "other");
  jobs.write("says.mjs", body("2"));
  await until(runtime, 2);
});

test("what the definition says is read anew: a time limit", async () => {
  const jobs = new Edited();
  jobs.write("says.mjs", body("1"));
  const runtime = await jobs.start();
  await until(runtime, 1);
  jobs.write("says.mjs", body("new Promise(() => {})", 'maxExecutionTime: "100 ms",'));
  await until(runtime, /after its limit of 100 ms/);
});

test("processes are renewed as threads are", async () => {
  const jobs = new Edited();
  jobs.write("says.mjs", body("process.pid * 0 + 1", 'runsIn: "process",'));
  const runtime = await jobs.start();
  await until(runtime, 1);
  jobs.write("says.mjs", body("process.pid * 0 + 2", 'runsIn: "process",'));
  await until(runtime, 2);
});
