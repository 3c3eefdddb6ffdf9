/**
 * The demo as a stranger runs it: a process, its output, its exit code. Stopped by Ctrl-C, killed, and gone on with.
 *
 * Where it is killed is drawn by line of its output; the seed is printed, SPILLWAY_SEED repeats the choice.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { start } from "../examples/process.ts";

// Whole processes, several a test: on a machine that others load they take their time.
vi.setConfig({ testTimeout: 180_000 });

const DEMO = "examples/demo/demo.mjs";
const FILES = 300;
/** So many that a run is far from its end when it is stopped early on. */
const MANY = 1_500;
const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 1_000_000);

const GOOD = {
  submitted: FILES + 13,
  completed: FILES + 12,
  retried: 2,
  killed: 1,
  buried: 1,
  duplicatesRefused: 1,
  overlaps: 0,
  lost: 0,
  hungIn: expect.stringMatching(/^countLines \(examples\/demo\/jobs\/count-lines\.mjs:\d+\)$/),
};

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "spillway-demo-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const demo = (...args: string[]) => start(DEMO, ...args);
const small = (data: string, ...args: string[]) =>
  demo("--files", String(FILES), "--json", "--data", data, ...args);

const lastLine = (text: string): unknown => JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");

test.each(["memory", "embedded"])(
  "on %s every count is the expected one, and exit code 0 says so",
  async (broker) => {
    const run = small(folder(), "--broker", broker);
    const { code, stdout, stderr } = await run.ended;
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("lost") });
    const seen = lastLine(stdout) as { seconds: number; jobsPerSecond: number };
    expect(seen).toMatchObject({ ...GOOD, broker, repeated: 0 });
    expect(seen.seconds).toBeGreaterThan(2);
    expect(seen.jobsPerSecond).toBe(Math.round((FILES + 13) / seen.seconds));
  },
);

test("the output is plain without a terminal: no escapes, a line each tenth, and where the body hung", async () => {
  const { code, stdout, stderr } = await demo("--files", "100", "--data", folder()).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none is the point
  expect(stdout).not.toMatch(/[\x1b\r]/);
  for (const tenth of [10, 50, 100]) expect(stdout).toContain(`${tenth} %  `);
  expect(stdout).toMatch(/refused +send-report .* DuplicateJob/);
  expect(stdout.match(/failed +ask-mirror/g)).toHaveLength(2);
  expect(stdout).toMatch(
    /killed +count-lines +did not return; it hung here:\n +countLines +examples\/demo\/jobs\/count-lines\.mjs:\d+\n/,
  );
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("Ctrl-C stops in order and says how to go on, and going on ends all that was confirmed", async () => {
  const data = folder();
  const first = demo("--files", String(MANY), "--json", "--data", data);
  await first.saw(/refused +send-report/);
  first.kill("SIGINT");
  const stopped = await first.ended;
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toContain("stopping in order");
  expect(stopped.stderr).toContain(`--resume --data ${data}`);
  expect(lastLine(stopped.stdout)).toMatchObject({ interrupted: true, lost: null });

  const { code, stdout, stderr } = await small(data, "--resume").ended;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).toContain("Going on with an earlier run");
  expect(lastLine(stdout)).toMatchObject({ ...GOOD, submitted: MANY + 13, completed: MANY + 12 });
});

test("killed twice at random lines and gone on with, nothing is lost", async () => {
  const data = folder();
  process.stdout.write(`demo, kill -9: seed ${SEED}\n`);
  // Some of twelve lines that every run writes before its last job can have ended.
  for (const [round, line] of [SEED % 12, Math.floor(SEED / 12) % 12].entries()) {
    const killed = small(data, ...(round === 0 ? [] : ["--resume"]));
    await Promise.race([killed.lines(line + 1), killed.ended]);
    killed.kill("SIGKILL");
    await killed.ended;
  }
  const { code, stdout, stderr } = await small(data, "--resume").ended;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(lastLine(stdout)).toMatchObject(GOOD);
});

test("what has ended is not run again by --resume", async () => {
  const data = folder();
  await demo("--files", "20", "--data", data).ended;
  const { code, stdout } = await small(data, "--resume").ended;
  expect(code).toBe(0);
  expect(lastLine(stdout)).toMatchObject({ submitted: 33, lost: 0, repeated: 0, jobsPerSecond: 0 });
});

test("--resume without anything to resume starts afresh", async () => {
  const { code, stderr, stdout } = await demo("--files", "5", "--json", "--data", folder(), "--resume").ended;
  expect(code).toBe(0);
  expect(stderr).toContain("a fresh start");
  expect(lastLine(stdout)).toMatchObject({ submitted: 18, lost: 0 });
});

test.each([
  [["--broker", "amqp:localhost"], "that is no address"],
  [["--broker", "paper"], "--broker paper: there is memory and embedded"],
  [["--broker", "guest:secret@localhost"], "--broker: there is memory and embedded"],
  [["--prefix", "mine"], "--prefix is for RabbitMQ"],
  [["--broker", "memory", "--resume"], "keeps nothing that could be resumed"],
  [["--files", "many"], "a whole number"],
  [["--fast"], "Unknown option"],
])("%j is refused in words, with exit code 2", async (args, words) => {
  const { code, stdout, stderr } = await demo(...args).ended;
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: expect.stringContaining(words) });
});

test("a folder that is not the demo's is never wiped", async () => {
  const data = folder();
  mkdirSync(join(data, "photos"));
  writeFileSync(join(data, "photos", "1.jpg"), "x");
  const { code, stderr } = await demo("--data", data).ended;
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("not the demo's") });
  expect(readdirSync(join(data, "photos"))).toEqual(["1.jpg"]);
});

test("a run is not resumed on another broker than its own", async () => {
  const data = folder();
  await demo("--files", "5", "--data", data).ended;
  const { code, stderr } = await demo("--data", data, "--resume", "--broker", "amqp://localhost").ended;
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("that run was on embedded") });
});

test("a RabbitMQ that is not there is told in words, without the password", async () => {
  const { code, stdout, stderr } = await demo(
    "--files",
    "5",
    "--data",
    folder(),
    "--broker",
    "amqp://me:secret@localhost:1",
  ).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^demo: RabbitMQ at amqp:\/\/localhost:1\/%2F cannot be reached/);
  expect(stdout + stderr).not.toContain("secret");
});

test("two runs on one folder: the second is refused, and the first is not disturbed", async () => {
  const data = folder();
  const first = small(data);
  await first.saw(/refused +send-report/);
  // Held, so that it is there however long the second one takes to start.
  first.kill("SIGSTOP");
  const second = await small(data).ended;
  first.kill("SIGCONT");
  expect(second).toMatchObject({ code: 2, stderr: expect.stringContaining("in use by another run") });
  const { code, stdout } = await first.ended;
  expect(code).toBe(0);
  expect(lastLine(stdout)).toMatchObject(GOOD);
});
