/** Ids: their shape, that they sort by age, and that none comes twice. */
import { expect, test } from "vitest";
import { newId } from "../../src/jobs/ids.ts";
import { checkId } from "../../src/jobs/names.ts";

const ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

function timeIn(id: string): number {
  return [...id.slice(0, 8)].reduce((ms, character) => ms * 64 + ALPHABET.indexOf(character), 0);
}

test("an id is 27 characters of the alphabet, and passes the check for ids", () => {
  for (let i = 0; i < 1000; i++) {
    const id = newId();
    expect(id).toMatch(/^[-0-9A-Z_a-z]{26}[-0-9A-E]$/);
    expect(checkId(id)).toBeUndefined();
  }
});

test("its first 8 characters are the time", () => {
  const before = Date.now();
  const ms = timeIn(newId());
  expect(ms).toBeGreaterThanOrEqual(before);
  expect(ms).toBeLessThanOrEqual(Date.now());
});

test("ids of later milliseconds sort behind earlier ones, as text", () => {
  const start = Date.now() + 1000;
  const ids = Array.from({ length: 5000 }, (_, i) => newId(start + i));
  expect([...ids].sort()).toEqual(ids);
});

test("a clock that was set back does not turn the order around", () => {
  const later = newId(Date.now() + 100_000);
  const afterSetBack = newId(Date.now() - 100_000);
  expect(afterSetBack.slice(0, 8)).toBe(later.slice(0, 8));
});

test("200,000 ids within one millisecond are all different, and every character varies", () => {
  const at = Date.now() + 200_000;
  const ids = new Set<string>();
  const seen = Array.from({ length: 27 }, () => new Set<string>());
  for (let i = 0; i < 200_000; i++) ids.add(newId(at));
  expect(ids.size).toBe(200_000);
  for (const id of [...ids].slice(0, 5000)) [...id].forEach((c, i) => void seen[i]?.add(c));
  expect(seen.map((s) => s.size)).toEqual([...new Array(8).fill(1), ...new Array(18).fill(64), 16]);
});

test("all 48 bits of time can be written", () => {
  expect(timeIn(newId(2 ** 48 - 1))).toBe(2 ** 48 - 1);
});
