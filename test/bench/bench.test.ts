/**
 * The bench itself: that it runs, that its rows say what they should, and that it fails when a job ran twice.
 *
 * What it measures here means nothing: sizes are a hundredth of a quick run's. It runs in a process of its own, as
 * `npm run bench` does, on what is compiled.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { figure, type Row } from "../../bench/report/rows.ts";
import { table } from "../../bench/report/terminal.ts";
import { Bench, median } from "../../bench/runner/bench.ts";
import { type Lines, run } from "../../bench/runner/run.ts";
import { readSettings, Usage } from "../../bench/runner/settings.ts";
import type { Need, Suite } from "../../bench/runner/suite.ts";
import { SUITES as all } from "../../bench/suites/all.ts";
import { suggest } from "../../src/jobs/suggest.ts";
import { describeAmqp } from "../amqp/support/broker.ts";
import { benchWith } from "./spawned.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SUITES = Object.keys(all);

const bench = (...args: readonly string[]) => benchWith({}, ...args);

const benchAt = (url: string, ...args: readonly string[]) => benchWith({ AMQP_URL: url }, ...args);

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bench-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("gloom runs, and every echo comes back", async () => {
  const json = join(temporaryFolder(), "rows.json");
  const { code, stderr } = await bench("gloom", "--quick", "--json", json);
  expect(code, stderr).toBe(0);
  const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
  expect(rows.map(({ baseline, goal }) => [baseline?.name, goal])).toEqual([
    ["bare TCP relay", 0.5],
    ["bare TCP relay", null],
  ]);
});

test("powerhose runs, and every result is its job's", async () => {
  const json = join(temporaryFolder(), "rows.json");
  const { code, stderr } = await bench("powerhose", "--quick", "--json", json);
  expect(code, stderr).toBe(0);
  const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
  expect(rows.map((row) => [row.case, row.baseline?.name, row.goal])).toEqual([
    ["64 in flight, 4 workers", "bare REQ/REP", null],
    ["1 in flight, 4 workers", "bare REQ/REP", null],
  ]);
});

test("kernel and memory run, print a table, and write rows whose every job ran exactly once", async () => {
  const json = join(temporaryFolder(), "rows.json");
  const { code, stdout, stderr } = await bench("memory", "kernel", "--quick", "--json", json);
  expect(code, stderr).toBe(0);
  const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
  const names = rows.map((row) => `${row.suite}: ${row.case}: ${row.metric}`);
  // against one system after the other: how many depends on what is installed
  expect([...new Set(names)]).toEqual([
    "kernel: cast, a burst: rate",
    "kernel: call, 1 caller: rate",
    "kernel: call, 64 callers: rate",
    "kernel: spawn + exit notice: rate",
    "kernel: crash → running again: rate",
    "kernel: 200 actors: start",
    "kernel: 200 actors: memory an actor",
    "kernel: 200 actors: a message to each",
    "kernel: 200 actors: memory an actor after it",
    "memory: 1 in flight: no-op jobs",
    "memory: 1 in flight: main thread a job",
    "memory: 16 in flight: no-op jobs",
    "memory: 16 in flight: main thread a job",
    "memory: 64 in flight: no-op jobs",
    "memory: 64 in flight: main thread a job",
  ]);
  for (const row of rows) {
    expect(row.checked, row.case).toBeGreaterThan(0);
    // The scheduler counts by the tick: so few jobs may have taken none. So few actors are lost in the heap's own noise.
    if (row.unit === "bytes") expect(row.value, row.case).not.toBeNaN();
    else if (row.unit === "µs") expect(row.value, row.case).toBeGreaterThanOrEqual(0);
    else expect(row.value, row.case).toBeGreaterThan(0);
    expect(row.low).toBeLessThanOrEqual(row.high);
    if (row.goal !== null && row.rule === "value <= goal") expect(row.holds).toBe(row.value <= row.goal);
    if (row.goal !== null && row.ratio !== null)
      expect(row.holds).toBe(row.ratio >= (row.goal ?? Number.NaN));
    expect(stdout).toContain(row.case);
  }
  const judged = rows.filter((row) => row.suite === "kernel" && row.goal !== null);
  expect(judged.map((row) => row.goal)).toEqual([1.2, 1.2, 1.2, 5]);
  expect(rows.map((row) => row.baseline?.name)).toContain("Effect, fibers and queues");
  const memory = rows.filter((row) => row.suite === "memory" && row.metric === "no-op jobs");
  expect(memory.map((row) => row.baseline?.name)).toEqual(["raw Piscina", "raw Piscina", "raw Piscina"]);
  expect(memory.map((row) => row.goal)).toEqual([1, 2.5, 4]);
});

test("threads measures processes beside threads, and kills that end in time", async () => {
  const json = join(temporaryFolder(), "rows.json");
  const { code, stderr } = await bench("threads", "--quick", "--rounds", "1", "--json", json);
  expect(code, stderr).toBe(0);
  const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
  const compared = rows.filter((row) => row.ratio !== null);
  expect(compared.map((row) => `${row.case}: ${row.metric}, ${row.baseline?.name}`)).toEqual([
    "start: until its first body has ended, a thread",
    "processes, 1 in flight: no-op jobs, threads",
    "processes, 2 in flight: no-op jobs, threads",
    "processes, 16 in flight: no-op jobs, threads",
  ]);
  const gone = rows.filter((row) => row.metric.startsWith("end of the grace"));
  expect(gone.map((row) => row.case)).toEqual(
    ["off", "on"].flatMap((capture) =>
      ["a body in native code", "for (;;)"].flatMap((of) => Array(2).fill(`${of}, capture ${capture}`)),
    ),
  );
  for (const row of rows) expect(row.checked, row.case).toBeGreaterThan(0);
}, 180_000);

test("kill, fairness and io have every body end once, and judge what the design sets", async () => {
  const json = join(temporaryFolder(), "rows.json");
  const { code, stderr } = await bench("kill", "fairness", "io", "--quick", "--rounds", "1", "--json", json);
  expect(code, stderr).toBe(0);
  const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
  for (const row of rows) expect(row.checked, row.case).toBeGreaterThan(0);
  const goals = (metric: string) => rows.filter((row) => row.metric === metric).map(({ goal }) => goal);
  expect(goals("end of the grace → thread gone, p50")).toEqual([15, 15, 15, 15, 80, 80, 80, 80, 15, 80]);
  expect(goals("end of the grace → thread gone, p99")).toEqual([40, 80, 40, 40, 250, 250, 250, 250, 40, 250]);
  expect(goals("its outcome → the next body begins, p99")).toEqual(Array(10).fill(10));
  const delays = rows.filter((row) => row.metric === "a lone job of another waits, worst");
  expect(delays.map((row) => row.goal)).toEqual([2, 6, 1.5]);
  expect(rows.find((row) => row.suite === "io")?.baseline?.name).toBe("one a thread");
}, 180_000);

test("start, backlog and partitions measure what grows, and every job of theirs runs once", async () => {
  const folder = temporaryFolder();
  const json = join(folder, "rows.json");
  const out = ["--json", json, "--markdown", join(folder, "report.md"), "--svg", join(folder, "pictures")];
  const suites = ["start", "backlog", "partitions"];
  const { code, stderr } = await bench(...suites, "--quick", "--rounds", "1", ...out);
  expect(code, stderr).toBe(0);
  const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
  const curves = new Set(rows.map(({ curve }) => curve?.title).filter((title) => title !== undefined));
  expect([...curves]).toEqual([
    "Heap and external, more than without",
    "On disk",
    "A new start over it",
    "Jobs that enter and leave meanwhile",
    "Until all run",
    "Heap and external",
    "No-op jobs a second, through all in turn",
  ]);
  const first = rows.filter((row) => row.suite === "start" && row.metric.startsWith("first job"));
  expect(first.map(({ baseline }) => baseline?.name)).toEqual(["Piscina alone", "Piscina alone"]);
  expect(first.every(({ value }) => value > 0)).toBe(true);
  const through = rows.filter((row) => row.metric === "no-op jobs, through all in turn");
  expect(through.map(({ curve }) => curve?.at)).toEqual([1, 10, 1, 10]);
  for (const row of through) expect(row.checked, row.case).toBeGreaterThan(0);
  const report = readFileSync(join(folder, "report.md"), "utf8");
  for (const name of suites) expect(report).toContain(`## ${name}`);
  const linked = [...report.matchAll(/\]\((pictures\/[\w-]+\.svg)\)/g)].map(([, path = ""]) => path);
  expect(linked).toContain("pictures/partitions-curves.svg");
  for (const path of linked) expect(readFileSync(join(folder, path), "utf8")).toContain("<svg");
}, 180_000);

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

test.each(["rabbitmq", "keys", "failover", "nodes"])(
  "without a RabbitMQ the suite %s says how to have one, and fails when it was asked for",
  async (suite) => {
    const { code, stdout, stderr } = await benchAt("amqp://me:secret@127.0.0.1:1", suite, "--quick");
    expect(code).toBe(1);
    expect(stderr).toContain("no RabbitMQ answers at 127.0.0.1:1: start one");
    expect(stdout + stderr).not.toContain("secret");
  },
);

test("a commit that is not there ends with 2, and says what a shallow clone lacks", async () => {
  const { code, stderr } = await bench("memory", "--compare", "no-such-commit");
  expect(code).toBe(2);
  expect(stderr).toContain('there is no commit "no-such-commit" here; a shallow clone has few');
});

test("another commit is built beside this one, both are measured, and nothing of it is left", async () => {
  const folder = temporaryFolder();
  const json = join(folder, "rows.json");
  const args = ["memory", "--quick", "--rounds", "1", "--compare", "HEAD", "--json", json];
  // Which is faster is chance at this size, so the verdict is not looked at.
  const { stdout, stderr } = await benchWith({ TMPDIR: folder }, ...args);
  expect(stdout, stderr).toContain("ratio: this build over ");
  expect(stderr).not.toContain("failed:");
  const rows = JSON.parse(readFileSync(json, "utf8")) as Row[];
  expect(rows.filter((row) => row.metric === "no-op jobs").map((row) => row.case)).toEqual([
    "1 in flight",
    "16 in flight",
    "64 in flight",
  ]);
  for (const row of rows) expect(row.baseline?.name).toMatch(/^[0-9a-f]{7,}$/);
  const worktrees = execFileSync("git", ["worktree", "list"], { cwd: ROOT, encoding: "utf8" });
  expect(worktrees).not.toContain(folder);
  expect(readdirSync(folder).filter((name) => name.startsWith("spillway"))).toEqual([]);
}, 300_000);

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
  const missed = suite(async (one) =>
    one.atMost({ case: "c", metric: "m", unit: "ms", values: [2], goal: 1, checked: 1 }),
  );
  const twice = suite(async (one) => one.check("runs of jobs", 10, 11));
  const broken = suite(() => Promise.reject(new Error("no disk")));
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

test("a suite without what it needs is left out with how to have it, and fails when it was asked for", async () => {
  const printed: string[] = [];
  const lines: Lines = { print: (line) => printed.push(line), say: (line) => printed.push(line) };
  const looked: string[] = [];
  const need = (name: string, version?: string): Need => ({
    name,
    find: async () => {
      looked.push(name);
      return version;
    },
    howTo: () => `install ${name}`,
  });
  const ran: string[] = [];
  const noting = (name: string, needs: readonly Need[]) => suite(async () => void ran.push(name), needs);
  const there = need("Redis", "7.0");
  const suites = {
    kernel: noting("kernel", [there]),
    memory: noting("memory", [there, need("PostgreSQL")]),
    keys: suite(async (one) => one.leaveOut("half of the rows", "install RabbitMQ")),
  };
  expect(await run(settingsOf([]), suites, lines)).toBe(0);
  expect(ran).toEqual(["kernel"]);
  expect(looked).toEqual(["Redis", "PostgreSQL"]);
  expect(printed.join("\n")).toContain("Redis 7.0");
  expect(printed.filter((line) => line === "left out: memory: install PostgreSQL")).toHaveLength(2);
  expect(printed).toContain("left out: keys, half of the rows: install RabbitMQ");
  expect(await run(settingsOf(["memory"]), suites, lines)).toBe(1);
  expect(printed.join("\n")).toContain("FAILED\nmemory: install PostgreSQL");
});

test("without baselines only ours is run", async () => {
  const one = new Bench("s", settingsOf(["--ours", "--rounds", "1"]), () => {});
  const baseline = { name: "theirs", run: () => Promise.reject(new Error("was run")) };
  await one.duel({
    case: "c",
    metric: "m",
    unit: "jobs/s",
    ours: async () => ({ value: 5, checked: 1 }),
    baseline,
    goal: 1,
  });
  expect(one.rows).toMatchObject([{ value: 5, baseline: null, ratio: null, holds: null }]);
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

const suite = (run: Suite["run"], needs: readonly Need[] = []): Suite => ({ about: "A suite.", needs, run });

function settingsOf(argv: readonly string[]) {
  const settings = readSettings(argv, SUITES, suggest);
  if (settings === "help") throw new Error("help was not asked for");
  return settings;
}
