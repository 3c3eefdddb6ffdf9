/**
 * The bytes that persisters keep: read back as written, cut short only at the end, and rubbish is never an empty state.
 */
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  endLine,
  groupLine,
  headLine,
  type KeptChange,
  Rubbish,
  readChanges,
  sliceLine,
} from "../../src/persist/lines.ts";

const P = "p";
const mark = (id: string) => ({ c: "mark", id, at: 1 });
const text = (id: string) => JSON.stringify(mark(id));
const head = (series: string) => headLine({ partition: P, epoch: 3, series });
const read = (bytes: Uint8Array): KeptChange[] => [...readChanges(bytes, P)].flat();
const ids = (bytes: Uint8Array) => read(bytes).map((one) => (one as unknown as { id: string }).id);

const whole = Buffer.concat([
  head("s"),
  sliceLine([text("a"), text("b")]),
  sliceLine([text("ü\n")]),
  endLine(2),
]);
const groups = [groupLine("s", 1, [text("c")]), groupLine("s", 2, [text("d"), text("e")])];
const all = Buffer.concat([whole, ...groups]);

describe("a state as lines", () => {
  test("reads as it was written: slices, then groups in order", () => {
    expect(ids(all)).toEqual(["a", "b", "ü\n", "c", "d", "e"]);
  });

  test("an empty state is a state", () => {
    expect(read(Buffer.concat([head("s"), endLine(0)]))).toEqual([]);
  });

  test("cut at any byte it is refused within the state, and loses only the cut group behind it", () => {
    const ends = [whole.length, whole.length + (groups[0]?.length ?? 0), all.length];
    for (let length = 0; length <= all.length; length++) {
      const cut = all.subarray(0, length);
      // a newline that is missing is no loss
      const complete = ends.filter((end) => length >= end - 1).length;
      if (length === 0) expect(() => read(cut), "0").toThrow(Rubbish);
      else if (complete === 0) expect(() => read(cut), String(length)).toThrow(Rubbish);
      else expect(ids(cut).length, String(length)).toBe([3, 4, 6][complete - 1]);
    }
  });

  test("any byte that is changed before the last line is found", () => {
    const last = all.length - (groups[1]?.length ?? 0);
    for (let at = 0; at < last; at++) {
      const damaged = Buffer.from(all);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(() => read(damaged), `byte ${at}`).toThrow(Rubbish);
    }
  });

  test("zeros at the end, as after a loss of power, are a cut", () => {
    expect(ids(Buffer.concat([all, Buffer.alloc(4096)]))).toHaveLength(6);
    const half = groupLine("s", 3, [text("f")]);
    half.fill(0, 20, half.length - 1);
    expect(ids(Buffer.concat([all, half]))).toHaveLength(6);
    expect(() => read(Buffer.concat([all, half, groupLine("s", 3, [text("f")])]))).toThrow(
      /line 7 is damaged/,
    );
  });

  test("a group of an older series, and one that comes twice, changes nothing", () => {
    const late = groupLine("before", 9, [text("late")]);
    const bytes = Buffer.concat([whole, late, ...groups, ...groups, late]);
    expect(ids(bytes)).toEqual(["a", "b", "ü\n", "c", "d", "e"]);
  });

  test.each([
    ["nothing at all", Buffer.alloc(0), /ends before the state is complete/],
    ["text", Buffer.from("rubbish\n"), /does not begin as a state does/],
    [
      "the state of another partition",
      Buffer.concat([headLine({ partition: "q", epoch: 1, series: "s" }), endLine(0)]),
      /is the state of partition q/,
    ],
    ["a state without its end", head("s"), /ends before the state is complete/],
    ["a group without a state", groups[0] ?? Buffer.alloc(0), /does not begin as a state does/],
    ["a slice that is missing", Buffer.concat([head("s"), endLine(1)]), /line 2 is out of place/],
    ["a group that is missing", Buffer.concat([whole, groups[1] ?? Buffer.alloc(0)]), /group 1 is missing/],
    ["a second state behind the first", Buffer.concat([all, whole]), /out of place/],
  ])("%s is rubbish", (_what, bytes, why) => {
    expect(() => read(bytes)).toThrow(why);
    expect(() => read(bytes)).toThrow(Rubbish);
  });

  test("a state of a later version says so", () => {
    const line = head("s").toString().replace(/^\w+ /, "").replace('state",1', 'state",2').trim();
    const sum = crc32(line).toString(16).padStart(8, "0");
    expect(() => read(Buffer.from(`${sum} ${line}\n`))).toThrow(/of version 2/);
  });
});
