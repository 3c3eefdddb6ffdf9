/** The filter before the memory of ended jobs: what is in is never denied, and nearly all else is. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Ended } from "../../src/amqp/ended.ts";
import { hashOf, IdFilter } from "../../src/amqp/id-filter.ts";
import { newId } from "../../src/jobs/ids.ts";

test("what was added is never denied, whatever the ids are", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 40 }), { maxLength: 200 }), (ids) => {
      const filter = new IdFilter();
      for (const id of ids) filter.add(hashOf(id));
      for (const id of ids) expect(filter.mayHave(hashOf(id))).toBe(true);
    }),
  );
});

test.each([
  ["ids of ours", () => newId()],
  ["numbers in a row", (at: number) => `order-${at}`],
] as const)("of 100,000 others, %s, fewer than one in ten is taken for one of 100,000", (_name, make) => {
  const filter = new IdFilter();
  const ids = Array.from({ length: 200_000 }, (_, at) => make(at));
  for (const id of ids.slice(0, 100_000)) filter.add(hashOf(id));
  const mistaken = ids.slice(100_000).filter((id) => filter.mayHave(hashOf(id))).length;
  expect(mistaken).toBeLessThan(10_000);
});

test("ids that end alike are told apart", () => {
  const ended = new Ended(0);
  const job = { attempt: 0, hop: 0, enqueuedAt: 1 };
  ended.add({ ...job, id: "monday:the same long end" }, 0, false);
  expect(ended.has({ ...job, id: "sunday:the same long end" })).toBe(false);
  expect(ended.has({ ...job, id: "monday:the same long end" })).toBe(true);
});
