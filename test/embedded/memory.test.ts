/**
 * The memory broker on a virtual clock, and the two structures under it.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { TooManyCancelled } from "../../src/broker/errors.ts";
import { DueHeap } from "../../src/embedded/due-heap.ts";
import { memory } from "../../src/embedded/index.ts";
import { MARK_KEPT_MS, Marks, MOST_MARKS } from "../../src/embedded/marks.ts";
import { MemoryBroker } from "../../src/embedded/memory.ts";
import { type Linked, OrderedList } from "../../src/embedded/ordered-list.ts";
import type { Clock } from "../../src/kernel/types.ts";
import { collect, Heard, job, P, Q } from "../conformance/harness.ts";

/** Time that passes when it is told to. */
class VirtualClock implements Clock {
  time = 1_000_000;
  #timers: { at: number; callback: () => void }[] = [];
  now(): number {
    return this.time;
  }
  timer(afterMs: number, callback: () => void): () => void {
    const timer = { at: this.time + afterMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }
  turn(callback: () => void): void {
    setImmediate(callback);
  }
  get armed(): number {
    return this.#timers.length;
  }
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const next = this.#timers.sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers.shift();
      this.time = Math.max(this.time, next.at);
      next.callback();
    }
    this.time = end;
  }
}

async function virtual() {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock });
  await broker.open(new Heard());
  await broker.declare([Q]);
  return { clock, broker };
}

test("scheduled jobs come when the virtual clock says so, with one timer for all of them", async () => {
  const { clock, broker } = await virtual();
  const { inbox } = collect(broker, 10);
  const [a, b, c] = [job(), job(), job()];
  await broker.publish(a, { dueAt: clock.now() + 40 * 86_400_000 });
  await broker.publish(b, { dueAt: clock.now() + 2_000 });
  await broker.publish(c, { dueAt: clock.now() + 1_000 });
  expect(clock.armed).toBe(1);
  clock.advance(999);
  expect(broker.counts(Q)).toMatchObject({ scheduled: 3 });
  clock.advance(1);
  await inbox.count(1);
  clock.advance(10_000);
  await inbox.count(2);
  clock.advance(40 * 86_400_000);
  await inbox.count(3);
  expect(inbox.ids()).toEqual([c.id, b.id, a.id]);
  expect(clock.armed).toBe(0);
});

test("a publish that was taken answers with the one promise that all share", async () => {
  const { broker } = await virtual();
  const [first, second] = [broker.publish(job()), broker.publish(job())];
  expect(first).toBe(second);
  expect(await first).toBeUndefined();
});

test("nothing of a job is to be found after its end", async () => {
  const { broker } = await virtual();
  const { inbox } = collect(broker, 1);
  const gone = job({ queueKey: "k" });
  await broker.publish(gone);
  broker.complete(await inbox.next());
  expect(await broker.find(P, gone.id)).toBe("absent");
  expect(await broker.holderOf(P, "k")).toBeUndefined();
  expect(await broker.list(Q, 10)).toEqual({ jobs: [], complete: true });
});

test("marks are bounded: none is dropped for room, those of 30 days ago make it", () => {
  const marks = new Marks();
  for (let i = 0; i < MOST_MARKS; i++) marks.add(P, `id-${i}`, i < 2 ? 0 : MARK_KEPT_MS);
  expect(() => marks.add(P, "more", MARK_KEPT_MS)).toThrow(TooManyCancelled);
  expect(() => marks.add(P, "id-5", MARK_KEPT_MS), "known already").not.toThrow();
  expect(() => marks.add("other", "more", 0)).not.toThrow();
  marks.add(P, "more", MARK_KEPT_MS + 1);
  expect([marks.has(P, "id-0"), marks.has(P, "id-2"), marks.has(P, "more")]).toEqual([false, true, true]);
});

test("a descriptor opens nothing and makes a broker", () => {
  expect(memory()).toMatchObject({ kind: "memory" });
  expect(memory().create({ node: "n" })).toBeInstanceOf(MemoryBroker);
});

test("the heap gives up what is due in order, whatever was removed from it", () => {
  const dues = fc.array(fc.record({ dueAt: fc.nat({ max: 50 }), keep: fc.boolean() }));
  fc.assert(
    fc.property(dues, (all) => {
      const heap = new DueHeap<{ dueAt: number; ord: number; slot: number }>();
      const items = all.map(({ dueAt, keep }, ord) => ({ dueAt, ord, slot: -1, keep }));
      for (const item of items) heap.add(item);
      for (const item of items) if (!item.keep) heap.remove(item);
      const left: number[] = [];
      for (let item = heap.peek(); item !== undefined; item = heap.peek()) {
        left.push(item.ord);
        heap.remove(item);
      }
      const expected = items.filter((item) => item.keep).sort((a, b) => a.dueAt - b.dueAt || a.ord - b.ord);
      expect(left).toEqual(expected.map((item) => item.ord));
    }),
  );
});

test("the list keeps its order through push, shift, remove and insert", () => {
  class Item implements Linked<Item> {
    before: Item | undefined;
    behind: Item | undefined;
    constructor(public ord: number) {}
  }
  fc.assert(
    fc.property(
      fc.array(fc.record({ how: fc.constantFrom("push", "shift", "back", "remove"), at: fc.nat() })),
      (steps) => {
        const list = new OrderedList<Item>();
        let model: number[] = [];
        const out: Item[] = [];
        let next = 0;
        for (const { how, at } of steps) {
          if (how === "push") {
            model.push(next);
            list.push(new Item(next++));
          } else if (how === "back") {
            const [item] = out.splice(at % Math.max(1, out.length), 1);
            if (item === undefined) continue;
            list.insert(item);
            model = [...model, item.ord].sort((a, b) => a - b);
          } else {
            const item = how === "shift" ? list.head : [...list][at % Math.max(1, list.size)];
            if (item === undefined) continue;
            list.remove(item);
            out.push(item);
            model = model.filter((ord) => ord !== item.ord);
          }
          expect([...list].map((item) => item.ord)).toEqual(model);
          expect([list.size, list.tail?.ord]).toEqual([model.length, model.at(-1)]);
        }
      },
    ),
  );
});
