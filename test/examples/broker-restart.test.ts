/**
 * The restart example, shortened: a broker is killed under two nodes, and each job has run once.
 *
 * It starts its broker itself and takes it away, whatever happens; the one that is there is left alone.
 */
import { connect } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { describeAmqp, describePrivate, freshPrefix } from "../amqp/support/broker.ts";
import { cleanUpPrefix } from "../amqp/support/made.ts";
import { start } from "./process.ts";

// Brokers are started, killed and started again, on a machine that other tests load.
vi.setConfig({ testTimeout: 240_000 });

const restart = (...args: string[]) => start("examples/broker-restart/restart.mjs", ...args);
const good = (jobs: number) => ({ jobs, ranOnce: jobs, doubled: 0, lost: 0, left: 0, attempts: 0 });

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

describePrivate("with a broker of its own", () => {
  test("a broker killed in the middle doubles nothing and loses nothing, and a table shows it", async () => {
    const run = restart("--jobs", "4", "--seconds", "6", "--json");
    const { code, stdout, stderr } = await run.ended;
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("by SIGKILL") });
    const seen = JSON.parse(stdout) as { outage: { stoodStillMs: number }; perJob: { starts: number }[] };
    expect(seen).toMatchObject({ ...good(4), nodes: { "node-a": 2, "node-b": 2 } });
    expect(seen.outage).toMatchObject({ what: "SIGKILL", runningThen: 4 });
    expect(seen.perJob.map(({ starts }) => starts)).toEqual([1, 1, 1, 1]);
    for (const id of ["01", "02", "03", "04"])
      expect(stderr).toMatch(new RegExp(`^ {2}${id} +node-[ab] +1`, "m"));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none without a terminal is the point
    expect(stderr).not.toMatch(/[\x1b\r]/);
    // what a node logs of a broker that is away is as long as it is
    const lines = stderr.split("\n").filter((line) => !line.includes("cannot be reached"));
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("Ctrl-C takes everything away that was started", async () => {
    const run = restart("--jobs", "2", "--seconds", "60");
    const [, port] = await run.saw(/RabbitMQ at 127\.0\.0\.1:(\d+)/);
    await run.saw(/running +/);
    run.kill("SIGINT");
    expect(await run.ended).toMatchObject({ code: 130, stderr: "" });
    expect(await answers(Number(port))).toBe(false);
  });
});

describeAmqp("with a broker that is there", (url) => {
  test("it is left alone, and two nodes share the jobs", async () => {
    const prefix = freshPrefix();
    const queues = ["long", "late"].map((queue) => ({ partition: "shop", queue }));
    onTestFinished(() => cleanUpPrefix(url, prefix, queues));
    const args = ["--broker", url, "--restart", "none", "--prefix", prefix];
    const { code, stdout } = await restart("--jobs", "4", "--seconds", "2", "--json", ...args).ended;
    expect({ code, seen: JSON.parse(stdout) }).toMatchObject({ code: 0, seen: { ...good(4), outage: null } });
  });
});

test.each([
  [["--broker", "amqp://me:secret@localhost"], "add --restart none"],
  [["--broker", "me:secret@localhost", "--restart", "none"], "expected amqp://"],
  [["--restart", "often"], "only none can be said"],
  [["--jobs", "many"], "a whole number"],
  [["--version", "1.0"], "there is no RabbitMQ 1.0 here"],
])("%j is refused in words, with exit code 2", async (args, words) => {
  const { code, stdout, stderr } = await restart(...args).ended;
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: expect.stringContaining(words) });
  expect(stderr).not.toContain("secret");
});
