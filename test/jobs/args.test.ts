/** Args as text: what travels, what cannot, and where the reason is found. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeArgs, parseArgs, pathText, validateArgs } from "../../src/jobs/args.ts";
import { InvalidArgs } from "../../src/jobs/errors.ts";

function refusal(args: unknown): InvalidArgs {
  try {
    encodeArgs("resize", args);
  } catch (error) {
    if (error instanceof InvalidArgs) return error;
    throw error;
  }
  throw new Error("was not refused");
}

test("no args travel as null and come back as none", () => {
  expect(encodeArgs("resize", undefined)).toBe("null");
  expect(parseArgs("null")).toBeUndefined();
});

test("args of null are read as none, since both are written alike", () => {
  expect(parseArgs(encodeArgs("resize", null))).toBeUndefined();
  expect(parseArgs(encodeArgs("resize", { a: null }))).toEqual({ a: null });
});

test("every JSON value but null comes back as it was", () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const text = encodeArgs("resize", value);
      expect(text).not.toContain("\n");
      expect(parseArgs(text)).toEqual(value === null ? undefined : JSON.parse(JSON.stringify(value)));
    }),
  );
});

test.each([
  ["a BigInt", { a: [1, { b: 2n }] }, "a[1].b", "a BigInt cannot travel"],
  ["a BigInt as the args", 2n, "", "a BigInt cannot travel"],
  ["a function", () => 1, "", "a function cannot travel"],
  ["a symbol", Symbol("x"), "", "a symbol cannot travel"],
])("%s is refused with its path", (_what, args, path, message) => {
  const error = refusal(args);
  expect(error.issues).toEqual([{ path, message: expect.stringContaining(message) }]);
  expect(error.message).toContain('job "resize"');
});

test("a cycle is refused where it closes", () => {
  const user: Record<string, unknown> = { name: "x" };
  user.friends = [{ of: user }];
  expect(refusal({ user }).issues).toEqual([
    { path: "user.friends[0].of", message: "a cycle cannot travel as JSON" },
  ]);
});

test("one object in two places is no cycle", () => {
  const shared = { x: 1 };
  expect(encodeArgs("resize", [shared, shared])).toBe('[{"x":1},{"x":1}]');
  expect(refusal({ a: shared, b: shared, c: 1n }).issues).toMatchObject([{ path: "c" }]);
});

test("a getter or toJSON that throws is refused with what it threw", () => {
  const bad = {
    toJSON() {
      throw new Error("not me");
    },
  };
  const error = refusal({ bad });
  expect(error.issues).toEqual([{ path: "", message: "no JSON can be made of it (not me)" }]);
  expect(error.cause).toMatchObject({ message: "not me" });
  const getter = Object.defineProperty({}, "x", {
    enumerable: true,
    get() {
      throw new Error("nor me");
    },
  });
  expect(refusal(getter).message).toContain("nor me");
});

test("nesting that is too deep for JSON is refused", () => {
  let deep: unknown = 1;
  for (let i = 0; i < 200_000; i++) deep = [deep];
  expect(refusal(deep).message).toContain("no JSON can be made of it");
});

test.each([
  [[], ""],
  [["user", "name"], "user.name"],
  [["tags", 0, "x"], "tags[0].x"],
  [["a b", "größe", ""], '["a b"].größe[""]'],
  [[{ key: "a" }, { key: 1 }], "a[1]"],
  [[Symbol("s")], "[Symbol(s)]"],
])("a path reads as in code (%#)", (path, text) => {
  expect(pathText(path)).toBe(text);
});

const schemaOf = (validate: (value: unknown) => never) => ({
  "~standard": { version: 1, vendor: "test", validate } as const,
});

test("a schema that throws is a refusal with its cause", () => {
  const boom = new Error("boom");
  const schema = schemaOf(() => {
    throw boom;
  });
  expect(() => validateArgs("resize", schema, "1")).toThrow(InvalidArgs);
  expect(() => validateArgs("resize", schema, "1")).toThrow("the schema threw instead of answering (boom)");
});

test("a schema whose promise rejects is a refusal too", async () => {
  const schema = schemaOf(() => Promise.reject(new Error("late boom")) as never);
  await expect(validateArgs("resize", schema, "1")).rejects.toThrow(InvalidArgs);
  await expect(validateArgs("resize", schema, "1")).rejects.toThrow("late boom");
});

test("a schema that answers with nothing is a refusal", () => {
  const schema = schemaOf(() => undefined as never);
  expect(() => validateArgs("resize", schema, "1")).toThrow("it answered with no result");
});
