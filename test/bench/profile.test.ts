/**
 * The budget and the flames of a job, from a profile written by hand whose sums are known, and the command that measures one.
 *
 * The command runs as `npm run bench -- profile` does, in a process of its own, at a hundredth of the size: that it runs is
 * seen, what it measures means nothing.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  between,
  budgetInMarkdown,
  budgetOnTerminal,
  FROM,
  type Measured,
  shares,
  TO,
} from "../../bench/profile/budget.ts";
import { flame } from "../../bench/profile/flame.ts";
import {
  type CpuProfile,
  fileOf,
  foldCpu,
  foldHeap,
  type HeapNode,
  total,
} from "../../bench/profile/frames.ts";
import { readProfileSettings } from "../../bench/profile/settings.ts";
import { byStage, STAGES, shortened, staged, unnamed } from "../../bench/profile/stages.ts";
import { Usage } from "../../bench/runner/settings.ts";
import { suggest } from "../../src/jobs/suggest.ts";
import { benchWith } from "./spawned.ts";

const DIST = "file:///somewhere/spillway/dist";
const MICROTASKS = "node:internal/process/task_queues";

/** 100 samples that count: 40 wake threads, 10 of them without a frame of the flush; 20 collect; 5 are of a file without a stage. */
const cpu: CpuProfile = {
  nodes: [
    node(1, "(root)", "", 0, [2, 3, 4, 5]),
    node(2, "(idle)", "", 900),
    node(3, "(garbage collector)", "", 20),
    node(4, "runMicrotask", MICROTASKS, 1, [6]),
    node(5, "enqueue", `${DIST}/runtime/enqueue.js`, 6, [7, 8]),
    node(6, "", MICROTASKS, 2, [9, 10, 11]),
    node(7, "randomFillSync", "node:internal/crypto/random", 4),
    node(8, "emit", `${DIST}/actors/events.js`, 3, [12]),
    node(9, "#flush", `${DIST}/threads/thread.js`, 5, [13]),
    node(10, "postMessage", "", 10),
    node(11, "runBatch", `${DIST}/kernel/actor.js`, 12, [14, 15]),
    node(12, "slice", "", 2),
    node(13, "postMessage", "", 25),
    node(14, "stepWorker", `${DIST}/actors/worker.js`, 6),
    // the same function, as the engine has it twice
    node(15, "stepWorker", `${DIST}/actors/worker.js`, 4),
  ],
};
const heap: HeapNode = bytes("(root)", "", 0, [
  bytes("enqueue", `${DIST}/runtime/enqueue.js`, 3_000, [bytes("set", "", 1_000)]),
  bytes("emit", `${DIST}/actors/events.js`, 500),
]);
const measured: Measured = {
  jobs: 10,
  us: 5,
  usUnderCpu: 6,
  usUnderHeap: 7,
  cpu: foldCpu(cpu),
  heap: foldHeap(heap),
};
const profiled = [{ name: "memory", about: "64 in flight", measured }];

function node(id: number, functionName: string, url: string, hitCount: number, children: number[] = []) {
  return { id, callFrame: { functionName, url }, hitCount, children };
}

function bytes(functionName: string, url: string, selfSize: number, children: HeapNode[] = []): HeapNode {
  return { callFrame: { functionName, url }, selfSize, children };
}

const flameOf = (tree = staged(shortened(measured.cpu))): string =>
  flame({ title: "memory", about: "<64> in flight", tree, figure: (amount) => `${amount} samples` });

/** What is drawn: name, left edge and width of each frame. */
const framesOf = (svg: string) =>
  [
    ...svg.matchAll(
      /<title>([^<]+?): (\d+) samples[^<]*<\/title><rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"/g,
    ),
  ].map(([, name = "", amount, x, y, width]) => ({
    name,
    amount: Number(amount),
    x: Number(x),
    y: Number(y),
    width: Number(width),
  }));

test("frames have the files that readers know, and no path of a machine", () => {
  for (const [url, file] of [
    ["", ""],
    ["node:internal/timers", "node:internal/timers"],
    ["file:///home-of/x/dist/kernel/out.js", "src/kernel/out.ts"],
    ["file:///x/src/kernel/out.ts", "src/kernel/out.ts"],
    ["file:///x/bench/nodes/memory-node.ts?namespace=bench", "bench/nodes/memory-node.ts"],
    ["/x/node_modules/amqplib/lib/mux.js", "amqplib/lib/mux.js"],
    ["file:///x/node_modules/a/node_modules/@scope/b/dist/c.js", "@scope/b/dist/c.js"],
    ["file:///D:/a%20b/elsewhere/tool.js", "tool.js"],
  ] as const)
    expect(fileOf(url), url).toBe(file);
});

test("idle samples count for nothing, and frames that a reader can't tell apart are one", () => {
  expect(total(measured.cpu)).toBe(100);
  const microtask = measured.cpu.children.find(({ name }) => name === "runMicrotask");
  const batch = microtask?.children[0]?.children.find(({ name }) => name === "runBatch");
  expect(batch?.children).toEqual([
    { name: "stepWorker", file: "src/actors/worker.ts", self: 10, children: [] },
  ]);
});

test("each sample is of one stage, the engine's own of the stage that called it", () => {
  const sums = byStage(staged(measured.cpu));
  const named = [...sums].map(([{ name }, samples]) => [name.replace(/:.*/, ""), samples]);
  expect(Object.fromEntries(named)).toEqual({
    enqueue: 10,
    "waking threads": 40,
    kernel: 12,
    "worker supervisor, worker, effects": 10,
    "garbage collection": 20,
    "the engine and Node": 3,
    "all else": 5,
  });
});

test("rows add up to what the scheduler counted, and to all that was allocated", () => {
  const rows = shares(measured);
  expect(rows).toHaveLength(STAGES.length);
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((all, row) => all + of(row), 0);
  expect(sum(({ part }) => part)).toBeCloseTo(1, 12);
  expect(sum(({ us }) => us)).toBeCloseTo(5, 12);
  expect(sum((row) => row.bytes)).toBe(450);
});

test("what no stage names is told by its file", () => {
  expect(unnamed(staged(measured.cpu))).toEqual([["src/actors/events.ts", 5]]);
  const told = budgetOnTerminal(profiled);
  expect(told).toContain("all else: src/actors/events.ts 0.25 µs; src/actors/events.ts 50 bytes");
  expect(told).toContain("5.0 µs a job, 6.0 under the CPU profiler, 7.0 under the heap's");
});

test("the table has a row for each stage that took something, with its share and where it is", () => {
  const facts = { date: "2026-01-02", machine: "2 cores", version: "22.0.0", load: 0.1 };
  const told = budgetInMarkdown(profiled, facts, ["![flame](x.svg)"]);
  for (const part of [
    "*memory*: 64 in flight. 2026-01-02, Node.js 22.0.0, 2 cores, load before it 0.1 a core.\n",
    "| stage | memory: µs a job | bytes | where |\n|---|--:|--:|---|\n",
    "| waking threads: one post for all that a turn hands over | 2.00 · 40 % | – | `threads/thread.ts` |\n",
    "| garbage collection | 1.00 · 20 % | – |  |\n",
    "| all else | 0.25 · 5 % | 50 |  |\n",
    "| **sum** | **5.00** | **450** |  |\n\n![flame](x.svg)",
  ])
    expect(told).toContain(part);
  expect(told).not.toContain("RabbitMQ");
  expect(told).not.toContain("shares count");
  expect(budgetInMarkdown(profiled, { ...facts, load: 3 }, [])).toContain("shares count here, sums do not");
});

test("a flame is as wide as its samples, callees below their callers, the widest first", () => {
  const svg = flameOf();
  const drawn = framesOf(svg);
  const at = (name: string) => drawn.find((frame) => frame.name.startsWith(name));
  const unit = (1_200 - 40) / 100;
  for (const { name, amount, width } of drawn) expect(width, name).toBeCloseTo(amount * unit - 0.6, 0);
  const roots = drawn.filter(({ y }) => y === at("runMicrotask")?.y);
  expect(roots.map(({ name, amount }) => [name.split(",")[0], amount])).toEqual([
    ["runMicrotask", 65],
    ["(garbage collector)", 20],
    ["enqueue", 15],
  ]);
  expect(roots.reduce((sum, { amount }) => sum + amount, 0)).toBe(100);
  // the engine's way from a microtask to its function is not drawn
  expect(drawn.filter(({ name }) => name.includes(MICROTASKS))).toHaveLength(1);
  expect(at("#flush, src/threads/thread.ts")?.y).toBe((at("runMicrotask")?.y ?? 0) + 19);
  const inside = (inner: string, outer: string) => {
    const [a, b] = [at(inner), at(outer)];
    expect(a?.x).toBeGreaterThanOrEqual(b?.x ?? Number.NaN);
    expect((a?.x ?? 0) + (a?.width ?? 0)).toBeLessThanOrEqual((b?.x ?? 0) + (b?.width ?? 0) + 0.2);
  };
  inside("stepWorker", "runBatch");
  inside("runBatch", "runMicrotask");
});

test("words of a flame stay within their boxes, and what is in them is text", () => {
  const svg = flameOf();
  expect(svg).toContain("&#60;64&#62; in flight");
  expect(svg).not.toMatch(/NaN|undefined|<script/);
  for (const [, width, words = ""] of svg.matchAll(
    /<svg x="[^"]+" y="[^"]+" width="([\d.]+)"[^>]*><text[^>]*>([^<]*)/g,
  ))
    expect(words.length * 6.4, words).toBeLessThanOrEqual(Number(width));
  expect(svg.match(/<g>/g)).toHaveLength(svg.match(/<\/g>/g)?.length ?? 0);
});

test("what is too narrow to be seen is left out with all below it, and so is a stage that took nothing", () => {
  const speck = { name: "speck", file: "src/amqp/lane.ts", self: 2, children: [] };
  const root = { name: "(root)", file: "", self: 0 };
  const broad = { name: "run", file: "src/kernel/actor.ts", self: 999, children: [speck] };
  const narrow = { name: "narrow", file: "src/amqp/lane.ts", self: 0, children: [speck] };
  const svg = flameOf(staged({ ...root, children: [broad, narrow] }));
  expect(framesOf(svg).map(({ name }) => name)).toEqual(["run, src/kernel/actor.ts"]);
  expect(svg).toContain(">RabbitMQ broker</text>");
  expect(svg).not.toContain(">results</text>");
});

test("only what stands between the two marks of a file is written anew", () => {
  const text = `before\n${FROM}\nold\n${TO}\nafter\n`;
  const once = between(text, "new");
  expect(once).toBe(`before\n${FROM}\n\nnew\n\n${TO}\nafter\n`);
  expect(between(once ?? "", "new")).toBe(once);
  for (const wrong of ["", FROM, `${TO}\n${FROM}`]) expect(between(wrong, "new")).toBeUndefined();
});

test.each([
  [["memroy"], 'There is no node "memroy". Did you mean "memory"?'],
  [["--svgs", "x"], 'There is no option "--svgs". Did you mean "--svg"?'],
  [["--jobs", "0"], '--jobs is "0", expected a whole number'],
  [["--into"], "--into wants a value"],
])("the command line %j is refused in words", (argv, told) => {
  expect(() => readProfileSettings(argv, suggest)).toThrow(Usage);
  expect(() => readProfileSettings(argv, suggest)).toThrow(told);
});

test("a file without the marks is refused before anything is measured", async () => {
  const { code, stderr } = await benchWith({}, "profile", "--into", "README.md");
  expect(code).toBe(2);
  expect(stderr).toContain("README.md does not have the two marks");
  expect(stderr).not.toContain("warm up");
});

test("a node that is asked for and not there fails the run, in words", async () => {
  const { code, stderr } = await benchWith(
    { AMQP_URL: "amqp://me:secret@127.0.0.1:1" },
    "profile",
    "rabbitmq",
  );
  expect(code).toBe(1);
  expect(stderr).toContain("no RabbitMQ answers at 127.0.0.1:1: start one");
  expect(stderr).not.toContain("secret");
});

test("memory and embedded are profiled: a table, two flames each, and the part of a page", async () => {
  const folder = mkdtempSync(join(tmpdir(), "profile-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const page = join(folder, "page.md");
  writeFileSync(page, `# Page\n${FROM}\n${TO}\n`);
  const out = ["--svg", join(folder, "pictures"), "--into", page];
  const { code, stdout, stderr } = await benchWith(
    {},
    "profile",
    "memory",
    "embedded",
    "--jobs",
    "4000",
    ...out,
  );
  expect(code, stderr).toBe(0);
  expect(stdout).toContain("memory: 4,000 jobs a pass");
  const written = readFileSync(page, "utf8");
  expect(written).toContain("| kernel: mailboxes, buffer, spawn and end |");
  const linked = [...written.matchAll(/\]\((pictures\/[\w-]+\.svg)\)/g)].map(([, path = ""]) => path);
  expect(linked).toEqual([
    "pictures/flame-memory.svg",
    "pictures/flame-memory-bytes.svg",
    "pictures/flame-embedded.svg",
    "pictures/flame-embedded-bytes.svg",
  ]);
  for (const path of linked) {
    expect(existsSync(join(folder, path))).toBe(true);
    const svg = readFileSync(join(folder, path), "utf8");
    expect(svg).toContain("src/kernel/");
    expect(svg).not.toMatch(/dist\/|file:|\/spillway\//);
  }
}, 120_000);
