/**
 * The demo on RabbitMQ, by one option: stopped, killed and gone on with, nothing is lost.
 *
 * Each test has a prefix of its own, and takes its queues away.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { describeAmqp, freshPrefix } from "../amqp/support/broker.ts";
import { cleanUpPrefix } from "../amqp/support/made.ts";
import { type Started, start } from "../examples/process.ts";

// A new process waits for ten seconds before it starts what a dead one had in hand.
vi.setConfig({ testTimeout: 240_000 });

const FILES = 150;
/** So many that a run is far from its end when it is stopped early on. */
const MANY = 600;
/** So many that a run is there for as long as another one takes to start. */
const LONG = 6_000;

const good = (files: number) => ({
  submitted: files + 13,
  completed: files + 12,
  retried: 2,
  killed: 1,
  buried: 1,
  duplicatesRefused: 1,
  overlaps: 0,
  lost: 0,
  broker: "rabbitmq",
  hungIn: expect.stringMatching(/^countLines /),
});

const lastLine = (text: string): unknown => JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "spillway-demo-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describeAmqp("the demo on RabbitMQ", (url) => {
  /** Runs of one prefix. */
  function place(): (files: number, data: string, ...args: string[]) => Started {
    const prefix = freshPrefix();
    const queues = ["files", "beside", "reports"].map((queue) => ({ partition: "demo", queue }));
    onTestFinished(() => cleanUpPrefix(url, prefix, queues));
    const broker = ["--broker", url, "--prefix", prefix];
    return (files, data, ...args) =>
      start("examples/demo/demo.mjs", "--files", String(files), "--data", data, ...broker, ...args);
  }

  test("every count is the expected one, of what needs keys too", async () => {
    const run = place()(FILES, folder());
    const { code, stdout, stderr } = await run.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/duplicatesRefused +1 +1 +✓/);
    expect(stdout).toMatch(/overlaps +0 +0 +✓/);
    expect(stdout).toMatch(/lost +0 +0 +✓/);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("stopped by Ctrl-C, then killed, and gone on with twice: nothing is lost", async () => {
    const [demo, data] = [place(), folder()];
    const first = demo(MANY, data, "--json");
    await first.saw(/ 10 % /);
    first.kill("SIGINT");
    const stopped = await first.ended;
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain("the rest is on the broker");
    expect(stopped.stderr).toContain(`--resume --data ${data} --broker amqp://`);

    const second = demo(FILES, data, "--resume");
    await second.saw(/ \d+ % /);
    second.kill("SIGKILL");
    await second.ended;

    const { code, stdout, stderr } = await demo(FILES, data, "--resume", "--json").ended;
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("waits 10 s") });
    expect(lastLine(stdout)).toMatchObject(good(MANY));
  });

  test("a fresh start begins with empty queues, whatever a killed run has left there", async () => {
    const demo = place();
    const first = demo(MANY, folder(), "--json");
    await first.saw(/ 10 % /);
    first.kill("SIGKILL");
    await first.ended;
    const { code, stdout, stderr } = await demo(20, folder(), "--json").ended;
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/\d+ old jobs are gone/),
    });
    expect(lastLine(stdout)).toMatchObject({ ...good(20), repeated: 0 });
  });

  test("a run whose queues another one is at work in is refused, and the other goes on", async () => {
    const demo = place();
    const first = demo(LONG, folder(), "--json");
    await first.saw(/ jobs\/s /);
    const second = await demo(5, folder()).ended;
    expect(second).toMatchObject({ code: 2, stderr: expect.stringContaining("is at work in these queues") });
    first.kill("SIGINT");
    const { code, stdout } = await first.ended;
    expect({ code, seen: lastLine(stdout) }).toMatchObject({ code: 130, seen: { interrupted: true } });
  });
});
