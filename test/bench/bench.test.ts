/**
 * The bench itself: that it runs, that its rows say what they should, and that it fails when a job ran twice.
 *
 * What it measures here means nothing: sizes are a hundredth of a quick run's. It runs in a process of its own, as
 * `npm run bench` does, on what is compiled.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { figure, type Row, table } from "../../bench/report.ts";
import { type Lines, run } from "../../bench/run.ts";
import { Bench, median } from "../../bench/runner.ts";
import { readSettings, Usage } from "../../bench/settings.ts";
import { suggest } from "../../src/jobs/suggest.ts";
import { describeAmqp } from "../amqp/support/broker.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SUITES = ["kernel", "memory", "embedded", "rabbitmq", "keys", "failover"];

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const bench = (...args: readonly string[]) => benchAt(undefined, ...args);

/** With `AMQP_URL`. */
function benchAt(url: string | undefined, ...args: readonly string[]): Promise<Ended> {
  const env = {
    ...process.env,
    SPILLWAY_BENCH_SCALE: "0.01",
    ...(url === undefined ? {} : { AMQP_URL: url }),
  };
  const child = spawn(process.execPath, ["bench/main.mjs", ...args], { cwd: ROOT, env });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bench-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("kernel and memory run, print a table, and write rows whose every job ran exactly once", async () => {
  const json = join(temporaryFolder(), "rows.json");
  const { code, stdout, stderr } = await bench("memory", "kernel", "--quick", "--json", json);
  expect(code, stderr).toBe(0);
  const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
  expect(rows.map((row) => `${row.suite}: ${row.case}: ${row.metric}`)).toEqual([
    "kernel: cast, a burst: rate",
    "kernel: call, 1 caller: rate",
    "kernel: call, 64 callers: rate",
    "kernel: spawn + exit notice: rate",
    "memory: 1 in flight: no-op jobs",
    "memory: 1 in flight: main thread a job",
    "memory: 16 in flight: no-op jobs",
    "memory: 16 in flight: main thread a job",
    "memory: 64 in flight: no-op jobs",
    "memory: 64 in flight: main thread a job",
  ]);
  for (const row of rows) {
    expect(row.checked, row.case).toBeGreaterThan(0);
    // The scheduler counts by the tick: so few jobs may have taken none.
    if (row.unit === "µs") expect(row.value, row.case).toBeGreaterThanOrEqual(0);
    else expect(row.value, row.case).toBeGreaterThan(0);
    expect(row.low).toBeLessThanOrEqual(row.high);
    if (row.goal !== null && row.rule === "value <= goal") expect(row.holds).toBe(row.value <= row.goal);
    if (row.ratio !== null) expect(row.holds).toBe(row.ratio >= (row.goal ?? Number.NaN));
    expect(stdout).toContain(row.case);
  }
  const memory = rows.filter((row) => row.suite === "memory" && row.metric === "no-op jobs");
  expect(memory.map((row) => row.baseline?.name)).toEqual(["raw Piscina", "raw Piscina", "raw Piscina"]);
  expect(memory.map((row) => row.goal)).toEqual([1, 2.5, 2.5]);
});

describeAmqp("with a RabbitMQ", (url) => {
  test("its suite runs on queues of both types, and leaves nothing on the broker", async () => {
    const json = join(temporaryFolder(), "rows.json");
    const { code, stderr } = await benchAt(url, "rabbitmq", "--quick", "--rounds", "1", "--json", json);
    expect(code, stderr).toBe(0);
    const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
    const judged = rows.filter((row) => row.goal !== null);
    expect(judged.map((row) => `${row.case}: ${row.metric}`)).toEqual(
      ["quorum", "classic"].flatMap((type) => [
        `prefetch 10, ${type}: no-op jobs from a filled queue`,
        `prefetch 100, ${type}: no-op jobs from a filled queue`,
        `prefetch 100, ${type}: main thread a job`,
        `1,024 enqueues awaited, ${type}: confirmed`,
        `enqueueMany of 1,000, ${type}: confirmed`,
        `a lone job, ${type}: until it began, p50`,
        `a lone job, ${type}: until it began, p99`,
        `a lone job, ${type}: until it ended, p50`,
        `a lone job, ${type}: until it ended, p99`,
      ]),
    );
    for (const { checked, baseline, ...row } of judged) {
      expect(checked, row.case).toBeGreaterThan(0);
      expect(baseline?.name, row.case).toBe("bare loop");
    }
    expect(stderr).toContain("no broker is killed");
  });

  const judgedOf = async (suite: string) => {
    const json = join(temporaryFolder(), "rows.json");
    const { code, stderr } = await benchAt(url, suite, "--quick", "--rounds", "1", "--json", json);
    expect(code, stderr).toBe(0);
    const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
    const judged = rows.filter((row) => row.goal !== null);
    for (const { case: name, checked } of judged) expect(checked, name).toBeGreaterThan(0);
    return judged.map((row) => `${row.case}: ${row.metric}: ${row.rule}`);
  };

  test("keys are compared with none, and with bare calls; nothing is left on the broker", async () => {
    expect(await judgedOf("keys")).toEqual([
      "embedded, all keys different: no-op jobs, queueKey + executionKey: value >= goal",
      "embedded, 50 execution keys shared: no-op jobs, queueKey + executionKey: value >= goal",
      "RabbitMQ, one by one: enqueue with a queueKey, p50: ratio <= goal",
      "RabbitMQ, one by one: enqueue with a queueKey, p99: ratio <= goal",
      "RabbitMQ, one by one, 3 ms between: enqueue with a queueKey, p50: ratio <= goal",
      "RabbitMQ, one by one, 3 ms between: enqueue with a queueKey, p99: ratio <= goal",
      "RabbitMQ, one by one, 3 ms between: what the executionKey adds, p50: ratio <= goal",
    ]);
  });

  test("a coordinator that is killed or frozen is followed, and its keys are kept", async () => {
    expect(await judgedOf("failover")).toEqual([
      "SIGKILL, 0 queue keys: until a call is served: value <= goal",
      "SIGSTOP, 0 queue keys: until a call is served: value <= goal",
      "SIGKILL, 20 queue keys: until a call is served: value <= goal",
      "SIGSTOP, 20 queue keys: until a call is served: value <= goal",
    ]);
  });
});

test.each(["rabbitmq", "keys", "failover"])(
  "without a RabbitMQ the suite %s says how to have one, and fails when it was asked for",
  async (suite) => {
    const { code, stdout, stderr } = await benchAt("amqp://me:secret@127.0.0.1:1", suite, "--quick");
    expect(code).toBe(1);
    expect(stderr).toContain("no RabbitMQ answers at 127.0.0.1:1: start one");
    expect(stdout + stderr).not.toContain("secret");
  },
);

test("an unknown suite ends with 2 and the suite that was meant", async () => {
  const { code, stdout, stderr } = await bench("memroy");
  expect(code).toBe(2);
  expect(stderr).toContain('There is no suite "memroy". Did you mean "memory"?');
  expect(stdout).toBe("");
});

test.each([
  [["--quik"], 'There is no option "--quik". Did you mean "--quick"?'],
  [["--rounds", "0"], '--rounds is "0", expected a whole number'],
  [["--json"], "--json wants a value"],
])("the command line %j is refused in words", (argv, told) => {
  expect(() => readSettings(argv, SUITES, suggest)).toThrow(Usage);
  expect(() => readSettings(argv, SUITES, suggest)).toThrow(told);
});

test("without names all suites run, with names those, in the bench's own order", () => {
  expect(settingsOf([]).suites).toEqual(SUITES);
  expect(settingsOf(["embedded", "kernel"]).suites).toEqual(["kernel", "embedded"]);
  expect([settingsOf([]).named, settingsOf(["kernel"]).named]).toEqual([false, true]);
  expect(settingsOf([]).rounds).toBe(5);
  expect(settingsOf(["--quick"]).rounds).toBe(2);
  expect(settingsOf([]).count(1_000)).toBe(1_000);
  expect(settingsOf(["--quick"]).count(1_000)).toBe(200);
});

test("a job that ran twice fails the run, a missed goal does not", async () => {
  const said: string[] = [];
  const lines: Lines = { print: () => {}, say: (line) => said.push(line) };
  const missed = async (one: Bench) =>
    one.atMost({ case: "c", metric: "m", unit: "ms", values: [2], goal: 1, checked: 1 });
  const twice = async (one: Bench) => one.check("runs of jobs", 10, 11);
  const broken = () => Promise.reject(new Error("no disk"));
  expect(await run(settingsOf(["kernel"]), { kernel: missed }, lines)).toBe(0);
  expect(said).toEqual([]);
  expect(await run(settingsOf(["kernel"]), { kernel: twice }, lines)).toBe(1);
  expect(said.join("\n")).toContain("kernel: runs of jobs: expected 10, got 11");
  const json = join(temporaryFolder(), "rows.json");
  const both = { kernel: broken, memory: missed };
  expect(await run(settingsOf(["kernel", "memory", "--json", json]), both, lines)).toBe(1);
  expect(said.join("\n")).toContain("kernel: Error: no disk");
  expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject([{ suite: "memory", holds: false }]);
});

test("a row's ratio is the median of the rounds' own ratios, taken in turn after one warm-up of each", async () => {
  const turns: string[] = [];
  const play = (name: string, values: number[]) => async () => {
    turns.push(name);
    return { value: values.shift() ?? Number.NaN, checked: 7 };
  };
  const one = new Bench("s", settingsOf(["--rounds", "3"]), () => {});
  await one.duel({
    case: "c",
    metric: "m",
    unit: "jobs/s",
    ours: play("ours", [1, 10, 20, 90]),
    baseline: { name: "theirs", run: play("theirs", [1, 10, 5, 30]) },
    goal: 3.5,
  });
  expect(turns).toEqual(["ours", "theirs", "ours", "theirs", "ours", "theirs", "ours", "theirs"]);
  expect(one.rows).toEqual([
    {
      suite: "s",
      case: "c",
      metric: "m",
      unit: "jobs/s",
      value: 20,
      low: 1,
      high: 4,
      baseline: { name: "theirs", value: 10 },
      ratio: 3,
      goal: 3.5,
      holds: false,
      rule: "ratio >= goal",
      checked: 21,
    },
  ]);
});

test("a value is judged where its least is given, a ratio where its most is", async () => {
  const one = new Bench("s", settingsOf(["--rounds", "1"]), () => {});
  const row = { case: "c", metric: "m", unit: "x" };
  const ours = async () => ({ value: 5, checked: 1 });
  await one.duel({
    ...row,
    ours,
    baseline: { name: "theirs", run: async () => ({ value: 10, checked: 1 }) },
    leastValue: 4,
  });
  one.within({
    ...row,
    ours: [4, 6, 9],
    baseline: { name: "theirs", values: [2, 2, 10] },
    goal: 1.5,
    checked: 3,
  });
  expect(one.rows).toMatchObject([
    { value: 5, ratio: 0.5, goal: 4, holds: true, rule: "value >= goal" },
    {
      value: 6,
      ratio: 2,
      low: 0.9,
      high: 3,
      goal: 1.5,
      holds: false,
      rule: "ratio <= goal",
      baseline: { value: 2 },
    },
  ]);
  expect(table(one.rows)).toMatch(/≥ 4 .*✓[\s\S]*≤ 1.5 .*✗/);
});

test("without a baseline a row has a value, no ratio, and judges nothing", async () => {
  const one = new Bench("s", settingsOf(["--rounds", "1"]), () => {});
  const ours = async () => ({ value: 5, checked: 1 });
  await one.duel({
    case: "c",
    metric: "m",
    unit: "x/s",
    ours,
    baseline: undefined,
    goal: 2,
    note: "install it",
  });
  expect(one.rows).toMatchObject([
    { value: 5, baseline: null, ratio: null, holds: null, note: "install it" },
  ]);
  expect(table(one.rows)).toContain("install it");
});

test("medians and figures", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect([0, 1_234_567, 0.012_345, 12.34].map(figure)).toEqual(["0", "1,230,000", "0.012", "12.3"]);
});

function settingsOf(argv: readonly string[]) {
  const settings = readSettings(argv, SUITES, suggest);
  if (settings === "help") throw new Error("help was not asked for");
  return settings;
}
