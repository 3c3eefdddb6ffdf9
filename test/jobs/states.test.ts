/** The table of states, against the page that draws it and the rules that follow from it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { canMove, holdsQueueKey, isEnd, JOB_STATES, TRANSITIONS } from "../../src/jobs/states.ts";

const page = readFileSync(new URL("../../docs/states.md", import.meta.url), "utf8");

test("docs/states.md draws exactly the moves of the table", () => {
  const drawn = [...page.matchAll(/^ {2}(\w+) --> (\w+)/gm)].map(([, from, to]) => `${from} → ${to}`);
  const table = JOB_STATES.flatMap((from) => TRANSITIONS[from].map((to) => `${from} → ${to}`));
  expect(drawn.sort()).toEqual(table.sort());
});

test("docs/states.md has a row for every state", () => {
  for (const state of JOB_STATES) expect(page).toMatch(new RegExp(`^\\| \`${state}\` \\|`, "m"));
});

test("a job can be brought to an end from every state that is none", () => {
  for (const state of JOB_STATES) {
    const reached = new Set([state]);
    for (const from of reached) for (const to of TRANSITIONS[from]) reached.add(to);
    expect([...reached].some(isEnd)).toBe(true);
  }
});

test("completed, cancelled, purged and dropped are ends, and nothing else is", () => {
  expect(JOB_STATES.filter(isEnd)).toEqual(["completed", "cancelled", "purged", "dropped"]);
});

test("a queue key is held until an end or burial", () => {
  expect(JOB_STATES.filter(holdsQueueKey)).toEqual(["available", "scheduled", "running"]);
});

test.each([
  ["available", "running", true],
  ["running", "available", true],
  ["running", "purged", false],
  ["buried", "running", false],
  ["buried", "cancelled", false],
  ["completed", "available", false],
  ["scheduled", "running", false],
] as const)("%s → %s: %s", (from, to, legal) => {
  expect(canMove(from, to)).toBe(legal);
});
