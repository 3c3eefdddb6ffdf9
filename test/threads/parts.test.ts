/** The small parts that need no thread: sizes, source maps, what the system says, whose end it was. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { serialize } from "node:v8";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { failureOf } from "../../src/threads/host/failure.ts";
import { sizeOf } from "../../src/threads/host/size.ts";
import { childrenOf, inspectThread, killAll } from "../../src/threads/inspect.ts";
import { outcomeAtExit } from "../../src/threads/outcome.ts";
import { mapFrame } from "../../src/threads/source-map.ts";

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

const quiet = { code: 1, error: undefined, dying: undefined, because: undefined };
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
