/**
 * KeySet: the examples of Roger's documentation word for word, and what its bytes may be.
 *
 * SPILLWAY_SEED repeats a run.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidKeySet } from "../../src/jobs/errors.ts";
import { KeySet } from "../../src/jobs/key-set.ts";

const SEED = Number(process.env.SPILLWAY_SEED ?? Date.now() % 2 ** 31);

describe("Roger's examples", () => {
  test("add, contains?", () => {
    const keys = new KeySet();
    keys.add("bla");
    expect(keys.contains("bla")).toBe(true);
    expect(keys.contains("beh")).toBe(false);
  });

  test("keys can also be removed", () => {
    const keys = new KeySet();
    keys.add("bla");
    keys.remove("bla");
    expect(keys.contains("bla")).toBe(false);
  });

  test("the state can be given when the keyset is started", () => {
    const keys = new KeySet();
    keys.add("existing");
    const state = keys.getState();
    const second = new KeySet({ state });
    expect(second.contains("existing")).toBe(true);
  });

  test("many keys can also be added at once", () => {
    const keys = new KeySet();
    keys.addMany(["a", "b", "c"]);
    expect(["a", "b", "c"].map((key) => keys.contains(key))).toEqual([true, true, true]);
  });

  test("set operations are applied to the first keyset; the second is left untouched", () => {
    const a = new KeySet();
    a.addMany(["a1", "a2", "a3"]);
    const b = new KeySet();
    b.addMany(["b1", "b2"]);
    a.union(b);
    expect(a.contains("b1")).toBe(true);
    expect(b.contains("a1")).toBe(false);
    a.difference(b);
    expect(a.contains("b1")).toBe(false);
    expect(b.contains("b1")).toBe(true);
  });
});

test(`is what a set of texts is, also through its state (seed ${SEED})`, () => {
  const keys = fc.array(fc.string({ unit: "binary" }));
  fc.assert(
    fc.property(keys, keys, keys, (first, second, gone) => {
      const set = new KeySet();
      set.addMany(first);
      const other = new KeySet();
      other.addMany(second);
      set.union(other);
      for (const key of gone) set.remove(key);
      const model = new Set([...first, ...second]);
      for (const key of gone) model.delete(key);
      const again = new KeySet({ state: set.getState() });
      expect(again.size).toBe(model.size);
      for (const key of [...first, ...second, ...gone]) expect(again.contains(key)).toBe(model.has(key));
      again.difference(again);
      expect(again.size).toBe(0);
    }),
    { seed: SEED },
  );
});

test("a state of the first version is read for ever", () => {
  const state = Buffer.concat([Buffer.of(1), Buffer.from('["a","ü"]')]);
  const keys = new KeySet({ state });
  expect([keys.size, keys.contains("a"), keys.contains("ü")]).toEqual([2, true, true]);
});

test.each([
  ["nothing", Buffer.alloc(0)],
  ["another version", Buffer.of(2, 91, 93)],
  ["cut short", Buffer.concat([Buffer.of(1), Buffer.from('["a"')])],
  ["no list", Buffer.concat([Buffer.of(1), Buffer.from("7")])],
  ["no keys", Buffer.concat([Buffer.of(1), Buffer.from("[1]")])],
])("bytes that are no state (%s) are refused, and nothing has changed", (_, state) => {
  const keys = new KeySet();
  keys.add("a");
  expect(() => keys.putState(state)).toThrow(InvalidKeySet);
  expect([keys.size, keys.contains("a")]).toEqual([1, true]);
});
