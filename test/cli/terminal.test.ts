/**
 * What a terminal gets and what a pipe gets, and values that JSON has no words for.
 */
import { expect, test } from "vitest";
import { UsageError } from "../../src/cli/errors.ts";
import { jsonText } from "../../src/cli/json.ts";
import { Terminal } from "../../src/cli/terminal.ts";

function collecting(isTTY: boolean) {
  let text = "";
  const write = (more: string): void => {
    text += more;
  };
  return { isTTY, write, text: () => text };
}

const ROWS = [
  ["a", "1"],
  ["longer", "20"],
];

test("a terminal gets aligned columns, numbers to the right, and colour", () => {
  const out = collecting(true);
  new Terminal(out, out, { json: false }).table(["NAME", "COUNT"], ROWS);
  expect(out.text()).toBe("\u001b[1mNAME    COUNT\u001b[0m\na           1\nlonger     20\n");
});

test("NO_COLOR leaves the columns and takes the colour", () => {
  const out = collecting(true);
  const terminal = new Terminal(out, out, { json: false, colour: false });
  terminal.table(["NAME", "COUNT"], ROWS);
  expect(out.text()).toBe("NAME    COUNT\na           1\nlonger     20\n");
  expect(terminal.style("red", "x")).toBe("x");
});

test("a pipe gets tabs and no colour", () => {
  const out = collecting(false);
  const terminal = new Terminal(out, out, { json: false });
  terminal.table(["NAME", "COUNT"], ROWS);
  expect(out.text()).toBe("NAME\tCOUNT\na\t1\nlonger\t20\n");
  expect(terminal.style("red", "x")).toBe("x");
});

test("an error of ours is one line; a mistake in a program has its stack", () => {
  const [out, err] = [collecting(false), collecting(false)];
  const terminal = new Terminal(out, err, { json: false });
  terminal.error(new UsageError("what?", "ps"));
  expect(err.text()).toBe("UsageError: what? See spillway ps --help.\n");
  terminal.error(new TypeError("oops"));
  expect(err.text()).toMatch(/TypeError: oops\n +at /);
  expect(out.text()).toBe("");
});

test("any value is one line of JSON", () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  expect(
    jsonText({ big: 12n, bytes: new Uint8Array([1, 2]), map: new Map([["a", 1]]), set: new Set([1]) }),
  ).toBe('{"big":"12","bytes":"AQI=","map":{"a":1},"set":[1]}');
  expect(jsonText(undefined)).toBe("null");
  expect(JSON.parse(jsonText(cycle))).toHaveProperty("unwritable");
  expect(JSON.parse(jsonText(new UsageError("what?", "ps")))).toMatchObject({
    code: "UsageError",
    command: "ps",
  });
  expect(JSON.parse(jsonText(new Error("a", { cause: new TypeError("b") })))).toEqual({
    name: "Error",
    message: "a",
    cause: { name: "TypeError", message: "b" },
  });
});
