/**
 * The verdict on two builds: which rows are compared, what is called slower, and what ends a run with 1.
 */
import { expect, test } from "vitest";
import { judge, slowerInAll } from "../../bench/compare/judge.ts";
import type { Row } from "../../bench/report/rows.ts";

const rowOf = (name: string, unit: string, value: number): Row => ({
  suite: "s",
  case: name,
  metric: "m",
  unit,
  value,
  low: value,
  high: value,
  baseline: null,
  ratio: null,
  goal: null,
  holds: null,
  rule: null,
  checked: 1,
});
const rates = (...values: number[]) => values.map((value) => [rowOf("rate", "jobs/s", value)]);
const times = (...values: number[]) => values.map((value) => [rowOf("time", "ms", value)]);

test("a row's ratio is the median of its rounds', this build over the other", () => {
  const { rows, alone } = judge(rates(10, 30, 90), rates(10, 10, 100), "abc");
  expect(alone).toEqual([]);
  expect(rows).toMatchObject([
    { value: 30, baseline: { name: "abc", value: 10 }, ratio: 1, low: 0.9, high: 3, holds: true },
  ]);
});

test.each([
  ["a rate of 0.69", rates(69), rates(100), false],
  ["a rate of 0.7", rates(70), rates(100), true],
  ["a time of 1.42 times", times(142), times(100), true],
  ["a time of 1.43 times", times(143), times(100), false],
])("%s holds or not", (_, ours, theirs, holds) => {
  expect(judge(ours, theirs, "abc").rows[0]?.holds).toBe(holds);
});

test("sizes, and what is divided by nothing, are shown and not judged", () => {
  const sizes = judge([[rowOf("heap", "MiB", 2)]], [[rowOf("heap", "MiB", 0.1)]], "abc").rows;
  expect(sizes).toMatchObject([{ ratio: 20, holds: null, goal: null }]);
  expect(judge(times(1), times(0), "abc").rows).toMatchObject([{ ratio: null, holds: null }]);
});

test("a row that one build lacks, even in one round, is named and not compared", () => {
  expect(judge(rates(1, 1), [[rowOf("rate", "jobs/s", 1)], []], "abc")).toEqual({
    rows: [],
    alone: ["s: rate, m"],
  });
});

test("only what is slower in every repeat is slower", () => {
  const slow = judge(rates(1), rates(10), "abc").rows;
  const fine = judge(rates(10), rates(10), "abc").rows;
  expect(slowerInAll([slow, slow, slow])).toEqual(["s: rate, m"]);
  expect(slowerInAll([slow, fine, slow])).toEqual([]);
  expect(slowerInAll([])).toEqual([]);
});
