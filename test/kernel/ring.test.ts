import fc from "fast-check";
import { expect, test } from "vitest";
import { Ring } from "../../src/kernel/ring.ts";

test("a ring gives back what was put in, in order, whatever the mixture of pushes and shifts", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer(), fc.constant("take" as const)), { maxLength: 400 }),
      (script) => {
        const ring = new Ring<number>();
        const model: number[] = [];
        for (const one of script) {
          if (one === "take") expect(ring.shift()).toBe(model.shift());
          else {
            ring.push(one);
            model.push(one);
          }
          expect(ring.size).toBe(model.length);
        }
      },
    ),
  );
});

test("a ring keeps nothing alive that was taken from it", () => {
  const ring = new Ring<object>();
  for (let i = 0; i < 20; i++) ring.push({ i });
  for (let i = 0; i < 20; i++) ring.shift();
  expect(
    Object.values(ring)
      .flat()
      .filter((slot) => typeof slot === "object"),
  ).toEqual([]);
});

test("a ring gives its memory back after a burst", () => {
  const ring = new Ring<number>();
  for (let i = 0; i < 10_000; i++) ring.push(i);
  const slots = (): number => Object.values(ring).flat().length;
  expect(slots()).toBeGreaterThan(10_000);
  while (ring.size > 0) ring.shift();
  expect(slots()).toBeLessThan(10);
  ring.push(7);
  expect(ring.shift()).toBe(7);
});

test("undefined is an item like any other", () => {
  const ring = new Ring<undefined>();
  ring.push(undefined);
  expect(ring.size).toBe(1);
  ring.shift();
  expect(ring.size).toBe(0);
});
