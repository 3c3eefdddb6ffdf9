/**
 * `spillway start`: a node in the foreground, and how it ends.
 */
import { writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Place, type Running } from "./support.ts";

/** The types of the JSON lines, in order. */
function types(running: Running): string[] {
  return running.lines.map((line) => (JSON.parse(line) as { type: string }).type);
}

const WAITS = "async ({ pipe }) => (await import('node:fs/promises')).readFile(pipe, 'utf8')";
const BEGINS_AND_WAITS = `async ({ begun, pipe }) => {
  const { readFile, writeFile } = await import("node:fs/promises");
  await writeFile(begun, "");
  await readFile(pipe);
}`;
const HANGS = "async ({ pipe }) => (await import('node:fs')).readFileSync(pipe, 'utf8')";

test("Ctrl-C stops in order: the running body ends, what it returned is told, then the node stops with 0", async () => {
  const place = new Place();
  const pipe = place.pipe("pipe");
  place.job("waits", WAITS);
  await place.run("enqueue", "waits", JSON.stringify({ pipe }), "--declare");
  const node = place.start("start", "--jobs", "jobs", "--json");
  await node.line('"job.started"');
  node.kill("SIGINT");
  await node.line('"stopping"');
  node.kill("SIGINT");
  await node.line('"stopping.already"');
  await writeFile(pipe, "done");
  const { code, stderr } = await node.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const seen = types(node).filter((type) => type !== "actor.exited");
  expect(seen[0]).toBe("node.started");
  expect(seen.slice(seen.indexOf("stopping"))).toEqual([
    "stopping",
    "stopping.already",
    "job.completed",
    "node.stopped",
  ]);
  expect(await node.line('"job.completed"')).toContain('"result":"done"');
  const ps = await place.run("ps", "--json");
  expect(JSON.parse(ps.stdout).partitions[0].queues[0]).toMatchObject({
    queue: "default",
    ready: 0,
    buried: 0,
  });
});

test("SIGTERM stops it too, and lines for people say what happened", async () => {
  const place = new Place();
  place.job("fails", "() => { throw new Error('no luck') }");
  await place.run("enqueue", "fails", "--id", "f1", "--declare");
  const node = place.start("start", "--jobs", "jobs", "--threads", "1");
  expect(await node.line("runs on embedded")).toContain(`process ${node.child.pid}`);
  expect(await node.line("partition default")).toBe("partition default running: default=1");
  expect(await node.line("job.buried")).toMatch(/job\.buried fails f1 default\.default failed: .*no luck/);
  node.kill("SIGTERM");
  const { code, stderr } = await node.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(node.lines.slice(-2)).toEqual(["SIGTERM: stopping", "stopped"]);
});

test("a second signal is told that it is stopping already", async () => {
  const place = new Place();
  const args = { begun: place.pipe("begun"), pipe: place.pipe("pipe") };
  place.job("waits", BEGINS_AND_WAITS);
  await place.run("enqueue", "waits", JSON.stringify(args), "--declare");
  const node = place.start("start", "--jobs", "jobs");
  // One that had not begun would be handed back, and nobody would read the pipe.
  await readFile(args.begun);
  node.kill("SIGINT");
  await node.line("SIGINT: stopping");
  node.kill("SIGTERM");
  await node.line("SIGTERM: already stopping");
  await writeFile(args.pipe, "");
  expect((await node.ended).code).toBe(0);
});

test("a config file gives the options, and what the command line says wins", async () => {
  const place = new Place();
  place.job("noop", "() => {}");
  place.file(
    "node.mjs",
    `export default {
       node: "from-file", threads: 1, jobs: "jobs",
       partitions: { mine: { a: 1, b: 2 }, other: { c: 3 } },
     };`,
  );
  const args = ["--config", "node.mjs", "--partition", "mine", "--queue", "a=4", "--queue", "d=0", "--json"];
  const node = place.start("start", ...args);
  const started = JSON.parse(await node.line("node.started"));
  expect(started).toMatchObject({
    node: "from-file",
    pid: node.child.pid,
    broker: "embedded",
    partitions: { mine: { a: 4, d: 0 }, other: { c: 3 } },
    waiting: [],
  });
  node.kill("SIGINT");
  expect((await node.ended).code).toBe(0);
});

test("options that do not hold are refused with their problems, and a config file that is none with its path", async () => {
  const place = new Place();
  place.file("typo.mjs", "export default { treads: 1, watermark: 0 };");
  place.file("none.mjs", "export const options = {};");
  const [typo, none, missing, jobs] = await Promise.all([
    place.run("start", "--config", "typo.mjs", "--data", "a"),
    place.run("start", "--config", "none.mjs", "--data", "b"),
    place.run("start", "--config", "nowhere.mjs", "--data", "c"),
    place.run("start", "--jobs", "nowhere", "--data", "d"),
  ]);
  expect([typo, none, missing, jobs].map(({ code }) => code)).toEqual([1, 1, 1, 1]);
  expect(typo.stderr).toMatch(/^InvalidOptions: .*"treads"; did you mean "threads"\?.*watermark/);
  expect(none.stderr).toMatch(/^InvalidOptions: .*none\.mjs/);
  expect(missing.stderr).toMatch(/^InvalidOptions: .*nowhere\.mjs could not be loaded/);
  expect(jobs.stderr).toMatch(/^InvalidJob: .*no such file or folder/);
});

test("a body that hangs in a native call is named, and the process ends itself by SIGKILL", async () => {
  const place = new Place();
  const pipe = place.pipe("pipe");
  place.job("hangs", HANGS);
  place.job("noop", "() => {}");
  place.file(
    "node.mjs",
    `export default { jobs: "jobs", threads: 2, spares: 0, grace: 0, shutdownTimeout: 10, captureStack: false };`,
  );
  await place.enqueue({ name: "hangs", id: "h1", args: { pipe } }, { name: "noop", id: "n1" });
  const node = place.start("start", "--config", "node.mjs", "--json");
  await node.line(/"job\.started".*"h1"/);
  await node.line(/"job\.completed".*"n1"/);
  node.kill("SIGTERM");
  const { code, signal } = await node.ended;
  expect({ code, signal }).toEqual({ code: null, signal: "SIGKILL" });
  expect(JSON.parse(await node.line("node.stopped"))).toMatchObject({ wedged: [{ id: "h1" }] });
  // What had completed was on disk before the end; what hung is there to be run again.
  const ps = await place.run("ps", "--json");
  expect(JSON.parse(ps.stdout).partitions[0].queues[0]).toMatchObject({ ready: 1, buried: 0 });
});

test("a signal that comes while the config file is loaded starts nothing", async () => {
  const place = new Place();
  const pipe = place.pipe("pipe");
  const read = `(await import("node:fs/promises")).readFile(${JSON.stringify(pipe)})`;
  place.file("slow.mjs", `console.log("loading"); await ${read}; export default {};`);
  const node = place.start("start", "--config", "slow.mjs");
  await node.line("loading");
  node.kill("SIGINT");
  await node.line("SIGINT: stopping");
  await writeFile(pipe, "");
  expect(await node.ended).toMatchObject({ code: 0, stdout: "loading\nSIGINT: stopping\n" });
});

test("a node whose folder was taken ends by itself, says why, and exits with 1", async () => {
  const place = new Place();
  const node = place.start("start");
  await node.line("partition default running");
  writeFileSync(join(place.folder, "spillway/holder.json"), '{"pid":1,"host":"elsewhere","node":"thief"}');
  const { code, stdout, stderr } = await node.ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/broker\.lost .*no longer this process's/);
  expect(stderr).toContain("the node ended by itself");
});

test("a reader of its lines that goes away does not keep the node from stopping in order", async () => {
  const place = new Place();
  const node = place.start("start");
  await node.line("no --jobs");
  node.child.stdout?.destroy();
  // It writes to the closed pipe now: that it stops, and that it has.
  node.kill("SIGTERM");
  expect(await node.ended).toMatchObject({ code: 0, signal: null, stderr: "" });
  expect((await place.run("ps")).code).toBe(0);
});
