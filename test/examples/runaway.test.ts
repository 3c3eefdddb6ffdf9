/**
 * The runaway example: seven ways not to end, each ended in time, and what it says when one was not.
 */
import { expect, test, vi } from "vitest";
import { start } from "./process.ts";

// Whole processes, on a machine that others load.
vi.setConfig({ testTimeout: 120_000 });

const runaway = (...args: string[]) => start("examples/runaway/runaway.mjs", ...args);

interface Way {
  readonly job: string;
  readonly kind: string;
  readonly frames: readonly { readonly function: string; readonly file: string; readonly line: number }[];
  readonly steps: readonly { readonly step: string; readonly outcome: string }[];
}

test("each way not to end is ended, its stack names the line, and the other jobs go on", async () => {
  // How late is for a calm machine to say; that it is said is the next test.
  const { code, stdout, stderr } = await runaway("--json", "--within", "20000").ended;
  const seen = JSON.parse(stdout) as { ways: readonly Way[]; service: Record<string, number> };
  expect({ code, ...seen }).toMatchObject({ code: 0, problems: [], service: { failed: 0, wedged: 0 } });
  const tops = seen.ways.map(({ job, kind, frames: [top] }) => [
    job,
    kind,
    top?.file.startsWith("jobs/") === true ? `${top.function} ${top.file}:${top.line}` : undefined,
  ]);
  expect(tops).toEqual([
    ["spin", "timeout", expect.stringMatching(/^addUp jobs\/spin\.mjs:(6|7|8)$/)],
    ["regexp", "timeout", "isPlainText jobs/regexp.mjs:7"],
    ["lock", "timeout", "acquire jobs/lock.ts:9"],
    ["promise", "timeout", undefined],
    ["child", "timeout", undefined],
    ["native", "timeout", undefined],
    ["crash", "crash", undefined],
  ]);
  for (const { kind, steps } of seen.ways)
    if (kind === "timeout") expect(steps.at(-1)).toMatchObject({ step: "exit", outcome: "gone" });
  for (const { job } of seen.ways) expect(stderr).toMatch(new RegExp(`^ {2}${job} .* ✓$`, "m"));
  expect(Math.max(...stderr.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("a body that is there for longer than it may be is said, with exit code 1", async () => {
  const { code, stdout } = await runaway("--within", "0").ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/✗ spin: it was there \d+ ms after its limit, 0 may be/);
});

test("what it does not know is refused in words, with exit code 2", async () => {
  const { code, stdout, stderr } = await runaway("--within", "soon").ended;
  expect({ code, stdout, stderr }).toEqual({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("a whole number of milliseconds"),
  });
});
