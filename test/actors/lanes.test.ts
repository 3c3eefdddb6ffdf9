import fc from "fast-check";
import { expect, test } from "vitest";
import { Lanes } from "../../src/actors/lanes.ts";

interface Item {
  readonly name: string;
  readonly place: number;
}

let places = 0;
const item = (name: string): Item => ({ name, place: ++places });

function drain(lanes: Lanes<Item>): string[] {
  const order: string[] = [];
  for (let next = lanes.shift(); next !== undefined; next = lanes.shift()) order.push(next.name);
  return order;
}

test("partitions take turns, one job at a time", () => {
  const lanes = new Lanes<Item>();
  lanes.open(0, "a", "default", 10);
  lanes.open(1, "b", "default", 10);
  for (const name of ["a1", "a2", "a3"]) lanes.push(0, item(name));
  for (const name of ["b1", "b2"]) lanes.push(1, item(name));
  expect(drain(lanes)).toEqual(["a1", "b1", "a2", "b2", "a3"]);
});

test("within a partition a queue sends as many jobs a turn as its concurrency, 16 at most", () => {
  const lanes = new Lanes<Item>();
  lanes.open(0, "p", "wide", 3);
  lanes.open(1, "p", "narrow", 1);
  lanes.open(2, "p", "huge", 1_000);
  for (let i = 0; i < 20; i++) {
    lanes.push(0, item("w"));
    lanes.push(1, item("n"));
    lanes.push(2, item("h"));
  }
  expect(drain(lanes).slice(0, 24).join("")).toBe(`wwwn${"h".repeat(16)}wwwn`);
});

test("what gave its place up goes back to it, in whichever order it comes", () => {
  const lanes = new Lanes<Item>();
  lanes.open(0, "p", "q", 1);
  const [first, second, third] = [item("first"), item("second"), item("third")];
  lanes.push(0, item("fourth"));
  for (const one of [second, third, first]) lanes.putBack(0, one);
  expect(drain(lanes)).toEqual(["first", "second", "third", "fourth"]);
});

test("a queue is stuck when something has stood in it from one look to the next, and not because it was opened anew", () => {
  const lanes = new Lanes<Item>();
  const stuck = () => lanes.stuck(9).map(({ queue }) => queue);
  lanes.open(0, "p", "q", 1);
  for (const place of [1, 2, 3]) lanes.push(0, { name: "before", place });
  expect(stuck()).toEqual([]);
  expect(stuck()).toEqual(["q"]);
  drain(lanes);
  lanes.open(0, "p", "q", 1);
  lanes.push(0, { name: "after", place: 1 });
  expect(stuck()).toEqual([]);
  expect(stuck()).toEqual(["q"]);
});

type Command = { kind: "push" | "putBack" | "shift" | "remove"; lane: number; pick: number };

const command: fc.Arbitrary<Command> = fc.record({
  kind: fc.constantFrom("push", "push", "push", "putBack", "shift", "shift", "remove"),
  lane: fc.nat(5),
  pick: fc.nat(9),
});

test("whatever is done, nothing is lost or doubled, and order within a queue holds", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
      const lanes = new Lanes<Item>();
      const model: Item[][] = [[], [], [], [], [], []];
      const taken: { lane: number; item: Item }[] = [];
      for (let lane = 0; lane < 6; lane++) lanes.open(lane, `p${lane % 3}`, `q${lane}`, lane + 1);
      for (const { kind, lane, pick } of commands) {
        const mine = model[lane] ?? [];
        if (kind === "push") {
          const added = item("");
          lanes.push(lane, added);
          mine.push(added);
        } else if (kind === "putBack") {
          const [back] = taken.splice(pick, 1);
          if (back === undefined) continue;
          lanes.putBack(back.lane, back.item);
          model[back.lane]?.push(back.item);
          model[back.lane]?.sort((a, b) => a.place - b.place);
        } else if (kind === "shift") {
          const peeked = lanes.peek();
          const next = lanes.shift();
          expect(next).toBe(peeked);
          const from = model.findIndex((m) => m[0] === next);
          if (next === undefined) expect(model.flat()).toEqual([]);
          else {
            expect(model[from]?.shift()).toBe(next);
            taken.push({ lane: from, item: next });
          }
        } else {
          const some = mine[pick];
          if (some !== undefined) {
            expect(lanes.remove(lane, some)).toBe(true);
            mine.splice(pick, 1);
          }
        }
        expect(lanes.size).toBe(model.flat().length);
      }
    }),
  );
});

test("with a backlog of any size elsewhere, the next partition's job comes after at most one job of each", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 }),
      fc.nat(20),
      (backlogs, taken) => {
        const lanes = new Lanes<Item>();
        for (const [i, size] of backlogs.entries()) {
          lanes.open(i, `busy${i}`, "q", 10);
          for (let n = 0; n < size; n++) lanes.push(i, item("busy"));
        }
        for (let i = 0; i < taken; i++) lanes.shift();
        const id = backlogs.length;
        lanes.open(id, "calm", "q", 1);
        lanes.push(id, item("calm"));
        expect(drain(lanes).indexOf("calm")).toBeLessThanOrEqual(backlogs.length);
      },
    ),
  );
});
