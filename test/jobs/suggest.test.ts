/** "Did you mean": near words are found, far ones are not guessed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { hint, suggest, unknownKeys } from "../../src/jobs/suggest.ts";

const OPTIONS = ["queueKey", "executionKey", "maxExecutionTime", "retry", "queue", "name", "perform"];

test.each([
  ["retrys", "retry"],
  ["quueue", "queue"],
  ["qeuue", "queue"],
  ["maxexecutiontime", "maxExecutionTime"],
  ["maxExecutionTme", "maxExecutionTime"],
  ["preform", "perform"],
  ["nmae", "name"],
])("%s is near to %s", (word, meant) => {
  expect(suggest(word, OPTIONS)).toBe(meant);
});

test.each(["", "x", "concurrency", "colour", "a".repeat(70)])("nothing is near to %s", (word) => {
  expect(suggest(word, OPTIONS)).toBeUndefined();
});

test("the nearest wins over one that is merely near", () => {
  expect(suggest("queueKye", ["queueKey", "queueKeys"])).toBe("queueKey");
});

test("a swap of neighbours counts as one slip", () => {
  expect(suggest("abdc", ["abcd"])).toBe("abcd");
  expect(suggest("badc", ["abcd"])).toBeUndefined();
});

test("any word is near to itself, and one letter too many does not hide it", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 3, maxLength: 40, unit: "grapheme-ascii" }), fc.nat(), (word, at) => {
      expect(suggest(word, [word])).toBe(word);
      const place = at % (word.length + 1);
      expect(suggest(`${word.slice(0, place)}~${word.slice(place)}`, [word])).toBe(word);
    }),
  );
});

test("a hint is empty when nothing is near", () => {
  expect(hint("retrys", OPTIONS)).toBe(' (did you mean "retry"?)');
  expect(hint("zzz", OPTIONS)).toBe("");
});

test("unknown keys are each a problem, known ones none", () => {
  expect(unknownKeys({ name: 1, quue: 2, zzz: 3 }, OPTIONS)).toEqual([
    'unknown key "quue" (did you mean "queue"?)',
    'unknown key "zzz"',
  ]);
});
