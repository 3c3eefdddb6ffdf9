/** What threads do that no job's event tells is said in the log. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { threadLog } from "../../src/runtime/thread-log.ts";
import type { PoolEvent } from "../../src/threads/types.ts";
import { brokers, next, Place, quiet, start } from "./support.ts";

const [memory] = brokers;
const fails = fileURLToPath(new URL("../fixtures/jobs/fails.mjs", import.meta.url));

test("a body that left something behind is named when it ends its thread under another one", async () => {
  const lines: string[] = [];
  const logger = { ...quiet, warn: (text: string) => lines.push(text) };
  const runtime = await start(memory, new Place(), { jobs: fails, threads: 1, spares: 0, logger });
  const guilty = await runtime.enqueue("fails", { way: "leavesBehind" }, { partition: "p" });
  await guilty.result();
  const rescued = next(runtime, "job.rescued");
  await runtime.enqueue("fails", { way: "setsOffBomb" }, { partition: "p" });
  await rescued;
  expect(lines).toEqual([
    expect.stringMatching(new RegExp(`^what job ${guilty.id} left behind .*left behind`)),
  ]);
});

const module = { name: "report", url: "file:///jobs/report.mjs" };
test.each<[PoolEvent, "warn" | "error", string]>([
  [{ type: "module.hung", module }, "warn", 'the module of job "report" did not finish loading'],
  [
    { type: "threads.failing", failures: 5, reason: "no memory" },
    "error",
    "5 in a row; it is tried again: no memory",
  ],
  [
    { type: "threads.wedged-limit", wedged: 3 },
    "error",
    "3 threads hang in native calls, more than maxWedged",
  ],
])("%o is a line of its level", (event, level, text) => {
  const lines: [string, string][] = [];
  const line = (at: string) => (said: string) => void lines.push([at, said]);
  threadLog({ debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") })(event);
  expect(lines).toEqual([[level, expect.stringContaining(text)]]);
});
