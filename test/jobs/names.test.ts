/** Ids, keys and names: what passes, what does not, and that every check is total. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkId, checkJobName, checkKey, checkName, shown } from "../../src/jobs/names.ts";

const LONE = "\ud800";

test.each(["a", "resize:17", "größe", "日本語", "x".repeat(255), "é".repeat(127), "-0", "with space", "😀"])(
  "%j is an id and a key",
  (text) => {
    expect(checkId(text)).toBeUndefined();
    expect(checkKey(text)).toBeUndefined();
  },
);

test.each([
  ["", "is not empty"],
  ["x".repeat(256), "at most 255 bytes of UTF-8, got 256"],
  ["é".repeat(128), "at most 255 bytes of UTF-8, got 256"],
  ["日".repeat(86), "at most 255 bytes of UTF-8, got 258"],
  ["a\nb", "no control characters"],
  ["a\u0000", "no control characters"],
  ["a\u007f", "no control characters"],
  ["a\u0085", "no control characters"],
  [`a${LONE}b`, "no lone surrogates"],
  [7, "is text, got 7"],
  [undefined, "is text, got nothing"],
  [{}, "is text, got a object"],
])("%j is neither id nor key: %s", (text, problem) => {
  expect(checkId(text)).toContain(problem);
  expect(checkKey(text)).toContain(problem);
});

test.each(["default", "a", "A_b-9", "x".repeat(64)])("%j names a partition or a queue", (name) => {
  expect(checkName(name)).toBeUndefined();
});

test.each(["", "x".repeat(65), "a.b", "a b", "$retry", "größe", "a\n", 5, null])(
  "%j names no partition and no queue",
  (name) => {
    expect(checkName(name)).toContain("1 to 64 letters");
  },
);

test("a job's name has 1 to 128 well-formed characters", () => {
  expect(checkJobName("images/resize.v2 größe")).toBeUndefined();
  expect(checkJobName("x".repeat(128))).toBeUndefined();
  expect(checkJobName("")).toContain("1 to 128 characters");
  expect(checkJobName("x".repeat(129))).toContain("got 129");
  expect(checkJobName("a\tb")).toContain("no control characters");
  expect(checkJobName(LONE)).toContain("no lone surrogates");
  expect(checkJobName(Symbol("a"))).toContain("is text");
});

test("a key that passes has at most 255 bytes and survives UTF-8", () => {
  const text = fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)), maxLength: 300 });
  fc.assert(
    fc.property(fc.oneof(text, fc.string({ unit: "binary", maxLength: 300 })), (key) => {
      if (checkKey(key) !== undefined) return;
      const bytes = Buffer.from(key);
      expect(bytes.length).toBeLessThanOrEqual(255);
      expect(bytes.toString()).toBe(key);
      expect([...bytes].every((byte) => byte >= 32 && byte !== 127)).toBe(true);
    }),
  );
});

test("no check throws, whatever it is given", () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withNullPrototype: true }), (value) => {
      for (const check of [checkId, checkKey, checkName, checkJobName]) {
        const problem = check(value);
        expect(problem === undefined || problem.length > 0).toBe(true);
      }
    }),
  );
});

test("a value in a message is short and on one line", () => {
  expect(shown("a\nb")).toBe('"a\\nb"');
  expect(shown("x".repeat(1000)).length).toBeLessThan(70);
  expect(shown([1])).toBe("a list");
});
