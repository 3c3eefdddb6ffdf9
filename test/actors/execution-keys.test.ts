import fc from "fast-check";
import { expect, test } from "vitest";
import { ExecutionKeys } from "../../src/actors/execution-keys.ts";

test("a key goes from job to job in the order of first arrival", () => {
  const keys = new ExecutionKeys<string>();
  expect(keys.acquire("k", { id: "1", who: "a", token: 1 })).toBe(true);
  expect(keys.acquire("k", { id: "2", who: "a", token: 2 })).toBe(false);
  expect(keys.acquire("k", { id: "3", who: "b", token: 3 })).toBe(false);
  expect(keys.release("k", "1")?.id).toBe("2");
  expect(keys.release("k", "2")?.id).toBe("3");
  expect(keys.release("k", "3")).toBeUndefined();
  expect(keys.holders()).toEqual([]);
});

test("a job that asks again keeps its place, and its answer carries the newer token", () => {
  const keys = new ExecutionKeys<string>();
  keys.acquire("k", { id: "1", who: "a", token: 1 });
  keys.acquire("k", { id: "2", who: "a", token: 2 });
  keys.acquire("k", { id: "3", who: "a", token: 3 });
  keys.acquire("k", { id: "2", who: "a", token: 4 });
  expect(keys.release("k", "1")).toEqual({ id: "2", who: "a", token: 4 });
});

test("who does not hold a key releases nothing", () => {
  const keys = new ExecutionKeys<string>();
  keys.acquire("k", { id: "1", who: "a", token: 1 });
  keys.acquire("k", { id: "2", who: "a", token: 2 });
  expect(keys.release("k", "2")).toBeUndefined();
  expect(keys.holders()).toEqual([{ key: "k", id: "1", waiting: 1 }]);
});

test("a requester that is gone leaves every line it stood in", () => {
  const keys = new ExecutionKeys<string>();
  keys.acquire("k", { id: "1", who: "a", token: 1 });
  keys.acquire("k", { id: "2", who: "b", token: 2 });
  keys.acquire("k", { id: "3", who: "a", token: 3 });
  keys.withdrawAll("b");
  expect(keys.release("k", "1")?.id).toBe("3");
});

test("a grant that crosses with its withdrawal goes to the next in line", () => {
  const keys = new ExecutionKeys<string>();
  keys.acquire("k", { id: "1", who: "a", token: 1 });
  keys.acquire("k", { id: "2", who: "a", token: 2 });
  expect(keys.withdraw("k", { id: "1", who: "a", token: 1 })).toEqual({ id: "2", who: "a", token: 2 });
  expect(keys.withdraw("k", { id: "2", who: "a", token: 2 })).toBeUndefined();
  expect(keys.isHeld("k")).toBe(false);
});

test("a body that runs keeps its key when a later ask of the same job is taken back", () => {
  const keys = new ExecutionKeys<string>();
  keys.acquire("k", { id: "1", who: "a", token: 1 });
  keys.acquire("k", { id: "2", who: "a", token: 2 });
  expect(keys.acquire("k", { id: "1", who: "a", token: 3 })).toBe(true);
  expect(keys.withdraw("k", { id: "1", who: "a", token: 3 })).toBeUndefined();
  expect(keys.holders()).toEqual([{ key: "k", id: "1", waiting: 1 }]);
});

const command = fc.record({
  kind: fc.constantFrom("acquire", "acquire", "release", "withdraw"),
  key: fc.constantFrom("k1", "k2"),
  id: fc.constantFrom("1", "2", "3", "4", "5"),
});

test("no key is ever held by two, none is leaked, and no waiter is forgotten", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 100 }), (commands) => {
      const keys = new ExecutionKeys<string>();
      const lines = new Map<string, string[]>([
        ["k1", []],
        ["k2", []],
      ]);
      for (const { kind, key, id } of commands) {
        const line = lines.get(key) ?? [];
        if (kind === "acquire") {
          if (!line.includes(id)) line.push(id);
          expect(keys.acquire(key, { id, who: "w", token: 0 })).toBe(line[0] === id);
        } else if (kind === "release") {
          const next = keys.release(key, id);
          if (line[0] !== id) expect(next).toBeUndefined();
          else {
            line.shift();
            expect(next?.id).toBe(line[0]);
          }
        } else {
          keys.withdraw(key, { id, who: "w", token: 1 });
          if (line.indexOf(id) > 0) line.splice(line.indexOf(id), 1);
        }
        const held = [...lines]
          .filter(([, l]) => l.length > 0)
          .map(([k, l]) => ({ key: k, id: l[0], waiting: l.length - 1 }));
        expect([...keys.holders()].sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual(held);
      }
    }),
  );
});
