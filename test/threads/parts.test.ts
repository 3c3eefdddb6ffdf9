/** The small parts that need no thread: sizes, source maps, what the system says, whose end it was. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { serialize } from "node:v8";
import * as fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { failureOf } from "../../src/threads/host/failure.ts";
import { sizeOf } from "../../src/threads/host/size.ts";
import { childrenOf, inspectThread, killAll } from "../../src/threads/kill/inspect.ts";
import { mapFrame, sourceMapUrlOf } from "../../src/threads/kill/source-map.ts";
import { framesTold } from "../../src/threads/kill/told-stack.ts";
import { outcomeAtExit } from "../../src/threads/outcome.ts";

test("a size is never below what serializing says by more than its header, within the limit", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(sizeOf(value, 1_000_000)).toBeGreaterThanOrEqual(serialize(value).length - 16);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  [undefined, 9],
  [new Uint8Array(500), 500],
  ["ä".repeat(500), 500],
  ["€".repeat(500), 1_000],
])("the size of what lies above the limit is exact", (value, bytes) => {
  expect(sizeOf(value, 1)).toBe(bytes === 9 ? serialize(value).length : bytes);
});

test("what cannot be serialized has no size: the post will say so", () => {
  expect(sizeOf(() => {}, 1)).toBe(0);
  expect(sizeOf(new Proxy({}, { ownKeys: () => JSON.parse("{") }), 1)).toBe(0);
});

test("anything that can be thrown becomes a failure", () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }), (thrown) => {
      const failure = failureOf(thrown);
      expect(failure.kind).toBe("error");
      expect(typeof failure.message).toBe("string");
      expect(() => structuredClone(failure)).not.toThrow();
    }),
    { numRuns: 2_000 },
  );
});

test("a huge message is cut", () => {
  expect(failureOf(new Error("x".repeat(1_000_000))).message.length).toBeLessThan(10_000);
});

test("a frame is mapped by an inline source map, and left alone by a broken one", () => {
  const map = { version: 3, sources: ["a.ts"], names: [], mappings: ";;AAUE" };
  const inline = `data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString("base64")}`;
  const raw = { function: "", url: "file:///jobs/a.js", sourceMapUrl: inline, line: 2, column: 4 };
  expect(mapFrame(raw)).toEqual({ function: "(anonymous)", file: "/jobs/a.ts", line: 11, column: 3 });
  expect(mapFrame({ ...raw, sourceMapUrl: "missing.map" })).toEqual({
    function: "(anonymous)",
    file: "/jobs/a.js",
    line: 3,
    column: 5,
  });
});

test("which map a script has is said in its file, by the last who says so", () => {
  const folder = mkdtempSync(join(tmpdir(), "spillway-map-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "a.js");
  writeFileSync(path, "//# sourceMappingURL=old.map\ncode();\n//# sourceMappingURL=a.js.map\n");
  expect(sourceMapUrlOf(path)).toBe("a.js.map");
  expect(sourceMapUrlOf(`${pathToFileURL(path).href}?v=2`)).toBe("a.js.map");
  writeFileSync(path, "code();\n");
  expect(sourceMapUrlOf(path)).toBe("");
  expect(sourceMapUrlOf("evalmachine.<anonymous>")).toBe("");
});

const ASKED = [
  ["tell", "/lib/threads/host/stack.js", 20, 5],
  [null, "", 1, 1],
];
const told = (frames: unknown) => framesTold({ result: { result: { value: JSON.stringify(frames) } } });

test("of what a thread tells, the body's frames are its stack: not the question, the engine or the host", () => {
  const frames = [
    ...ASKED,
    ["wait", null, null, null],
    ["hangs", "/jobs/a.js", 7, 3],
    [null, "file:///jobs/a.js", 9, 1],
    ["begin", "/lib/threads/host/body.js", 30, 2],
    ["next", "node:internal/timers", 5, 1],
  ];
  expect(told(frames)).toEqual([
    { function: "hangs", file: "/jobs/a.js", line: 7, column: 3 },
    { function: "(anonymous)", file: "/jobs/a.js", line: 9, column: 1 },
  ]);
});

test.each([
  ["nothing but Node's own", [["processTicksAndRejections", "node:internal/process/task_queues", 95, 5]]],
  ["a file in TypeScript", [["hangs", "/jobs/a.ts", 7, 3]]],
  ["a frame that is none", [["hangs", "/jobs/a.js", "7", 3]]],
  ["no body", [["begin", "/lib/threads/host/body.js", 30, 2]]],
])("where a thread tells of %s, the debugger is asked", (_, frames) => {
  expect(told([...ASKED, ...frames])).toBeUndefined();
});

test("whatever a thread answers instead of its stack is none", () => {
  fc.assert(
    fc.property(fc.anything(), fc.jsonValue(), (answer, value) => {
      expect(framesTold({ result: answer })).toBeUndefined();
      expect(told(value)).toBeUndefined();
    }),
    { numRuns: 2_000 },
  );
});

test.runIf(process.platform === "linux")("a thread's state and its child processes are read", async () => {
  const tid = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
  expect(inspectThread(tid)).toMatchObject({ state: "R", cpuTicks: expect.any(Number) });
  const child = spawn("sleep", ["25"]);
  expect(childrenOf(tid)).toContain(child.pid);
  const exit = once(child, "exit");
  killAll([child.pid ?? 0]);
  expect(await exit).toEqual([null, "SIGKILL"]);
  killAll([child.pid ?? 0]);
  expect(childrenOf(tid)).not.toContain(child.pid);
});

test("a thread number that is not known tells nothing", () => {
  expect(inspectThread(0)).toEqual({});
  expect(inspectThread(-5)).toEqual({});
  expect(childrenOf(0)).toEqual([]);
});

const quiet = { code: 1, error: undefined, dying: undefined, killed: false, because: undefined };
const dying = { slot: 3, jobId: "guilty", failure: failureOf(new Error("boom"), "crash") };

test.each([
  ["says it died of this body", { ...quiet, dying }, { kind: "failed", failure: { kind: "crash" } }],
  ["says it died of another", { ...quiet, dying: { ...dying, slot: 4 } }, { kind: "rescued" }],
  ["just exits", { ...quiet, code: 9 }, { kind: "failed", failure: { kind: "exit" } }],
  ["was ended by main", { ...quiet, because: "stop" }, { kind: "rescued", reason: "stop" }],
  ["has an error", { ...quiet, error: new Error("x") }, { kind: "failed", failure: { kind: "crash" } }],
  [
    "outgrew its heap",
    { ...quiet, error: Object.assign(new Error("x"), { code: "ERR_WORKER_OUT_OF_MEMORY" }) },
    { kind: "failed", failure: { kind: "memory" } },
  ],
])("the end of a body whose thread %s", (_, exit, outcome) => {
  expect(outcomeAtExit(exit, 3, undefined, 5)).toMatchObject(outcome);
});
