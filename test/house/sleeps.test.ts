/**
 * No fixed sleeps in tests: one that waits long enough on this machine is too short on the next, and too long on most.
 *
 * Tests wait for an event, a line of output, or a virtual clock. Where a timer has another purpose, its file stands
 * in the list below with the reason; an entry that is no longer needed fails too.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { filesBelow, lineOf, ROOT, type SyntaxNode, sourceOf } from "./source.ts";

const ALLOWED: readonly { readonly path: RegExp; readonly because: string }[] = [
  { path: /\/fixtures\//, because: "bodies and child processes: what is under test takes its time" },
  {
    path: /^test\/conformance\/harness\.ts$/,
    because: "polls with a deadline: counts of a broker have no event",
  },
  {
    path: /^test\/amqp\/hot-key\.test\.ts$/,
    because: "bodies take 50 ms each: the pace is what is under test",
  },
  { path: /^test\/embedded\/kill\.test\.ts$/, because: "the moment of the kill is random on purpose" },
  { path: /^test\/kernel\/tree\.test\.ts$/, because: "holds the process open; cleared, never waited for" },
];

const TIMERS: ReadonlySet<string> = new Set(["setTimeout", "setInterval"]);

interface Sleep {
  readonly path: string;
  readonly line: number;
}

function sleepsOf(path: string, text: string): Sleep[] {
  const { nodes, imports } = sourceOf(path, text);
  const called = nodes.filter((node) => node.type === "CallExpression" && isTimer(node.callee));
  const imported = imports.filter(({ from }) => /^(node:)?timers\/promises$/.test(from));
  return [...called.map(lineOf), ...imported.map(({ line }) => line)].map((line) => ({ path, line }));
}

/** `setTimeout`, `globalThis.setTimeout`, and `Atomics.wait`, which sleeps without a timer. */
function isTimer(callee: unknown): boolean {
  const { type, name, object, property } = callee as SyntaxNode &
    Record<string, { name?: unknown } | undefined>;
  if (type === "Identifier") return TIMERS.has(String(name));
  if (type !== "MemberExpression") return false;
  return TIMERS.has(String(property?.name)) || (object?.name === "Atomics" && property?.name === "wait");
}

const sleeps = filesBelow("test", ".ts", ".mjs", ".cjs").flatMap((path) =>
  path.includes("/broken/") ? [] : sleepsOf(path, readFileSync(join(ROOT, path), "utf8")),
);

test("no test sleeps for a fixed time", () => {
  const found = sleeps.filter(({ path }) => !ALLOWED.some((allowed) => allowed.path.test(path)));
  const advice =
    "wait for an event, a line or a virtual clock; a timer with another purpose is listed in this test";
  expect(found.map(({ path, line }) => `${path}:${line}: ${advice}`)).toEqual([]);
});

test("every file that may use timers still does", () => {
  const stale = ALLOWED.filter((allowed) => !sleeps.some(({ path }) => allowed.path.test(path)));
  expect(stale.map(({ path, because }) => `${path} (${because})`)).toEqual([]);
});

test("the rule finds what it is there for", () => {
  const lines = (text: string) => sleepsOf("test/x.test.ts", text).map(({ line }) => line);
  expect(lines("await new Promise((resolve) => setTimeout(resolve, 100));")).toEqual([1]);
  expect(lines("const a = 1;\nglobalThis.setInterval(() => {}, 5);")).toEqual([2]);
  expect(lines('import { setTimeout as sleep } from "node:timers/promises";')).toEqual([1]);
  expect(lines("Atomics.wait(cell, 0, 0, 100);")).toEqual([1]);
  expect(lines("clock.timer(5, done); setImmediate(done); clearTimeout(held);")).toEqual([]);
});
