import fc from "fast-check";
import { expect, test } from "vitest";
import { Lanes } from "../../src/actors/lanes.ts";

function drain(lanes: Lanes<string>): string[] {
  const order: string[] = [];
  for (let item = lanes.shift(); item !== undefined; item = lanes.shift()) order.push(item);
  return order;
}

test("partitions take turns, one job at a time", () => {
  const lanes = new Lanes<string>();
  lanes.open(0, "a", "default", 10);
  lanes.open(1, "b", "default", 10);
  for (const item of ["a1", "a2", "a3"]) lanes.push(0, item);
  for (const item of ["b1", "b2"]) lanes.push(1, item);
  expect(drain(lanes)).toEqual(["a1", "b1", "a2", "b2", "a3"]);
});

test("within a partition a queue sends as many jobs a turn as its concurrency, 16 at most", () => {
  const lanes = new Lanes<string>();
  lanes.open(0, "p", "wide", 3);
  lanes.open(1, "p", "narrow", 1);
  lanes.open(2, "p", "huge", 1_000);
  for (let i = 0; i < 20; i++) {
    lanes.push(0, "w");
    lanes.push(1, "n");
    lanes.push(2, "h");
  }
  expect(drain(lanes).slice(0, 24).join("")).toBe(`wwwn${"h".repeat(16)}wwwn`);
});

test("what gave its place back goes to the front of its queue", () => {
  const lanes = new Lanes<string>();
  lanes.open(0, "p", "q", 1);
  lanes.push(0, "second");
  lanes.unshift(0, "first");
  expect(drain(lanes)).toEqual(["first", "second"]);
});

type Command = { kind: "push" | "unshift" | "shift" | "remove"; lane: number; pick: number };

const command: fc.Arbitrary<Command> = fc.record({
  kind: fc.constantFrom("push", "push", "push", "unshift", "shift", "shift", "remove"),
  lane: fc.nat(5),
  pick: fc.nat(9),
});

test("whatever is done, nothing is lost or doubled, and order within a queue holds", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
      const lanes = new Lanes<number>();
      const model: number[][] = [[], [], [], [], [], []];
      for (let lane = 0; lane < 6; lane++) lanes.open(lane, `p${lane % 3}`, `q${lane}`, lane + 1);
      let items = 0;
      for (const { kind, lane, pick } of commands) {
        const mine = model[lane] ?? [];
        if (kind === "push") {
          lanes.push(lane, ++items);
          mine.push(items);
        } else if (kind === "unshift") {
          lanes.unshift(lane, ++items);
          mine.unshift(items);
        } else if (kind === "shift") {
          const peeked = lanes.peek();
          const item = lanes.shift();
          expect(item).toBe(peeked);
          const from = model.find((m) => m[0] === item);
          if (item === undefined) expect(model.flat()).toEqual([]);
          else expect(from?.shift()).toBe(item);
        } else {
          const item = mine[pick];
          if (item !== undefined) {
            expect(lanes.remove(lane, item)).toBe(true);
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
        const lanes = new Lanes<string>();
        for (const [i, size] of backlogs.entries()) {
          lanes.open(i, `busy${i}`, "q", 10);
          for (let n = 0; n < size; n++) lanes.push(i, `busy${i}`);
        }
        for (let i = 0; i < taken; i++) lanes.shift();
        const id = backlogs.length;
        lanes.open(id, "calm", "q", 1);
        lanes.push(id, "calm");
        expect(drain(lanes).indexOf("calm")).toBeLessThanOrEqual(backlogs.length);
      },
    ),
  );
});
