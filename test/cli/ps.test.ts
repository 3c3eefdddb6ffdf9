/**
 * `spillway ps`, and what all commands say of a folder that another process holds.
 */
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { embedded, Runtime } from "../../src/index.ts";
import { Place } from "./support.ts";

/** One job of each kind, and a queue that is paused. */
async function fill(place: Place): Promise<void> {
  const runtime = await Runtime.start({
    broker: embedded({ path: join(place.folder, "spillway") }),
    jobs: [join(place.folder, "jobs")],
    partitions: { myapp: { default: 1, slow: 0 }, other: { default: 0 } },
    threads: 1,
    spares: 0,
  });
  const failing = await runtime.enqueue("fails", undefined, { partition: "myapp" });
  await failing.result().catch(() => {});
  await runtime.enqueue("fails", undefined, { partition: "myapp", queue: "slow" });
  await runtime.enqueue("fails", undefined, { partition: "myapp", queue: "slow" });
  await runtime.enqueue("fails", undefined, { partition: "other", delay: "1 hour" });
  await runtime.queues.pause("myapp", "slow");
  await runtime.stop();
}

test("ps shows each queue with what is ready, scheduled and buried, and which is paused", async () => {
  const place = new Place();
  place.job("fails", "() => { throw new Error('no luck') }");
  await fill(place);
  const [plain, json] = [await place.run("ps"), await place.run("ps", "--json")];
  expect(plain).toMatchObject({ code: 0, stderr: "" });
  // No terminal: tabs, for programs.
  expect(plain.stdout.split("\n").map((line) => line.split("\t"))).toEqual([
    ["PARTITION", "QUEUE", "READY", "SCHEDULED", "BURIED", "STATE", "BURIED FOR"],
    ["myapp", "default", "0", "0", "1", "open", "failed 1"],
    ["myapp", "slow", "2", "0", "0", "paused", ""],
    ["other", "default", "0", "1", "0", "open", ""],
    [""],
  ]);
  const empty = { ready: 0, scheduled: 0, buried: 0, paused: false, reasons: {} };
  expect(JSON.parse(json.stdout)).toEqual({
    data: "./spillway",
    partitions: [
      {
        partition: "myapp",
        queues: [
          { ...empty, queue: "default", buried: 1, reasons: { failed: 1 } },
          { ...empty, queue: "slow", ready: 2, paused: true },
        ],
      },
      { partition: "other", queues: [{ ...empty, queue: "default", scheduled: 1 }] },
    ],
  });
});

test("ps of a folder without a store says so, and makes none", async () => {
  const place = new Place();
  const { code, stderr } = await place.run("ps", "--data", "nowhere");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^StoreMissing: there is no store in nowhere/);
  expect(existsSync(join(place.folder, "nowhere"))).toBe(false);
});

test("a folder that another process holds: every command names the holder and exits with 1", async () => {
  const place = new Place();
  const holder = place.start("start", "--json");
  const { node, pid } = JSON.parse(await holder.line("node.started")) as { node: string; pid: number };
  for (const command of [["ps"], ["start"], ["enqueue", "hello"], ["enqueue", "hello", "--declare"]]) {
    const { code, stdout, stderr } = await place.run(...command);
    expect({ code, stdout }, command.join(" ")).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^BrokerInUse: /);
    expect(stderr.split("\n"), "one line, no stack").toHaveLength(2);
    for (const name of [String(pid), hostname(), node]) expect(stderr).toContain(name);
  }
  const { code, stdout } = await place.run("ps", "--json");
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    error: { code: "BrokerInUse", message: expect.stringContaining(String(pid)) },
  });
  holder.kill("SIGINT");
  expect((await holder.ended).code).toBe(0);
  expect((await place.run("ps")).code).toBe(0);
});
