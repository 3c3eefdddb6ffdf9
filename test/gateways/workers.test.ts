/** `Workers`: real processes that are started, numbered, listened to, started again, and ended with all they have begun. */
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import {
  type WorkerExited,
  type WorkerLine,
  Workers,
  type WorkersOptions,
} from "../../src/gateways/index.ts";
import { withId, wordsOf } from "../../src/gateways/processes/command.ts";
import { Place } from "../cli/support.ts";
import { isAlive } from "../threads/alive.ts";

const FIXTURE = fileURLToPath(new URL("../fixtures/worker-process.mjs", import.meta.url));

class Heard {
  readonly lines: WorkerLine[] = [];
  readonly exits: WorkerExited[] = [];
  #waiting: (() => void)[] = [];

  readonly options: WorkersOptions = {
    onLine: (line) => this.#note(() => this.lines.push(line)),
    onExit: (error) => this.#note(() => this.exits.push(error)),
  };

  #note(add: () => void): void {
    add();
    for (const look of this.#waiting.splice(0)) look();
  }

  async until(seen: () => boolean): Promise<void> {
    while (!seen()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  texts(wid: number): string[] {
    return this.lines.filter((line) => line.wid === wid).map(({ text }) => text);
  }
}

async function started(what: string, count: number, options: WorkersOptions = {}) {
  const heard = new Heard();
  const workers = new Workers([process.execPath, FIXTURE, what, "w-$WID/x"], count, {
    ...heard.options,
    ...options,
  });
  onTestFinished(() => workers.stop());
  await workers.start();
  return { workers, heard };
}

async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
}

test("each has its number, wherever it stands in the command, and its lines are told with it", async () => {
  const { workers, heard } = await started("stay", 3);
  await heard.until(() => heard.lines.length >= 3);
  for (const { wid, pid } of workers.running)
    expect(heard.texts(wid)).toEqual([`stay w-${wid}/x WID=${wid} pid=${pid}`]);
  expect(workers.running.map(({ wid }) => wid).sort()).toEqual([1, 2, 3]);
  await workers.stop();
  expect(workers.running).toEqual([]);
  await heard.until(() => heard.lines.length === 6);
  expect(heard.lines.slice(3).map(({ text }) => text)).toEqual(Array(3).fill("é without an end"));
  expect(heard.exits).toEqual([]);
});

test("one that is killed is started again, with the same number and not before it is gone", async () => {
  const { workers, heard } = await started("stay", 2);
  await heard.until(() => heard.lines.length >= 2);
  const [first] = workers.running;
  process.kill(first?.pid ?? Number.NaN, "SIGKILL");
  await heard.until(
    () => heard.texts(first?.wid ?? 0).filter((text) => text.startsWith("stay")).length === 2,
  );
  expect(heard.exits).toMatchObject([
    { wid: first?.wid, pid: first?.pid, signal: "SIGKILL", exitCode: null },
  ]);
  expect(new Set(workers.running.map(({ wid }) => wid)).size).toBe(2);
});

test("one that ends at once is tried again, slower each time", async () => {
  const { heard } = await started("exit", 1);
  await heard.until(() => heard.exits.length === 3);
  expect(heard.exits[0]).toMatchObject({ code: "WorkerExited", wid: 1, exitCode: 3, signal: null });
});

test("one that does not heed the signal is killed after the grace", async () => {
  const { workers, heard } = await started("stubborn", 2, { grace: 300 });
  await heard.until(() => heard.lines.length >= 2);
  const pids = workers.running.map(({ pid }) => pid);
  await workers.stop();
  expect(pids.some(isAlive)).toBe(false);
  expect(heard.lines.filter(({ stream, text }) => stream === "stderr" && text === "no")).toHaveLength(2);
});

test("what a worker has started ends with it", async () => {
  const { workers, heard } = await started("parent", 1);
  await heard.until(() => heard.lines.some(({ text }) => text.startsWith("child=")));
  const child = Number(
    heard
      .texts(1)
      .find((text) => text.startsWith("child="))
      ?.slice(6),
  );
  expect(isAlive(child)).toBe(true);
  await workers.stop();
  await gone(child);
});

test("a command that is not there keeps start from resolving", async () => {
  const workers = new Workers("no-such-command-$WID", 2);
  await expect(workers.start()).rejects.toMatchObject({ code: "ENOENT" });
  expect(workers.running).toEqual([]);
});

test("options that are none are refused", () => {
  expect(() => new Workers("x", 0)).toThrow(/count must be a whole number from 1 to 1000, got 0/);
  expect(() => new Workers("  ")).toThrow(/no command/);
  expect(() => new Workers("a 'b")).toThrow(/a quote is not closed/);
  expect(() => new Workers("x", 1, { graze: 1 } as never)).toThrow(/did you mean "workers.grace"/);
});

test("a command is split as a shell would", () => {
  expect(wordsOf(`a  "b c"'d' e\\ f "" "\\"$x\\""`)).toEqual(["a", "b cd", "e f", "", '"$x"']);
  expect(withId(wordsOf(`w /tmp/$WID/s-$\{WID}.sock $WIDTH`), 7)).toEqual(["w", "/tmp/7/s-7.sock", "7TH"]);
});

test("the command keeps them, and none is left when it is killed outright", async () => {
  const running = new Place().start(
    "workers",
    "--count",
    "2",
    "--json",
    "--",
    process.execPath,
    FIXTURE,
    "stubborn",
    "$WID",
    "--json",
  );
  const pids = [];
  for (const wid of [1, 2])
    pids.push(JSON.parse(await running.line(new RegExp(`worker.started.*"wid":${wid}`))).pid);
  await running.line(`stubborn 2 WID=2`);
  running.kill("SIGKILL");
  await running.ended;
  await Promise.all(pids.map(gone));
});

test("the command ends them in order at a signal", async () => {
  const running = new Place().start(
    "workers",
    "--count",
    "2",
    "--",
    process.execPath,
    FIXTURE,
    "stay",
    "$WID",
  );
  const line = await running.line(/^\[1\] stay 1 WID=1/);
  running.kill("SIGINT");
  expect(await running.ended).toMatchObject({ code: 0 });
  await gone(Number(line.split("pid=")[1]));
  const none = await new Place().run("workers", "--count", "x", "--", "y");
  expect(none).toMatchObject({ code: 2 });
});
