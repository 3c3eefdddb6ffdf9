/** The ring against a simulated host: any interleaving gives each task exactly one way out. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  cellsOn,
  DONE,
  ENDED,
  MASK,
  MOST_OPEN,
  makeCellBuffer,
  QUEUED,
  RING,
  RUNNING,
  SKIPPED,
} from "../../src/threads/cells.ts";
import { Ring } from "../../src/threads/ring.ts";
import type { Task } from "../../src/threads/types.ts";

const taskOf = (id: string): Task => ({
  type: 0,
  id,
  partition: "p",
  queue: "q",
  attempt: 0,
  argsText: "",
  maxExecutionTimeMs: 0,
  ended: () => {},
});

/** What the host does with the cells: passes each slot once, in order. */
class SimulatedHost {
  readonly cells = cellsOn(makeCellBuffer());
  readonly ring = new Ring(this.cells);
  /** Slots that were posted and not passed. */
  readonly batch: number[] = [];
  /** Ended with a message that main has not read. */
  readonly messages: number[] = [];
  #running = -1;

  step(withValue: boolean): void {
    const { state } = this.cells;
    if (this.#running !== -1) {
      if (withValue) this.messages.push(this.#running);
      Atomics.store(state, this.#running, withValue ? ENDED : DONE);
      this.#running = -1;
      return;
    }
    const slot = this.batch.shift();
    if (slot === undefined) return;
    if (Atomics.compareExchange(state, slot, QUEUED, RUNNING) === QUEUED) this.#running = slot;
    else Atomics.store(state, slot, SKIPPED);
  }

  /** Ids of all that have come out by now. */
  drain(): string[] {
    const out: string[] = [];
    for (const slot of this.messages.splice(0)) out.push(this.ring.take(slot)?.id ?? "nobody");
    for (let slot = this.ring.nextDone(); slot !== -1; slot = this.ring.nextDone()) {
      out.push(this.ring.take(slot)?.id ?? "nobody");
    }
    return out;
  }
}

const op = fc.oneof(
  fc.record({ op: fc.constant("add" as const), count: fc.integer({ min: 1, max: 300 }) }),
  fc.record({
    op: fc.constant("host" as const),
    count: fc.integer({ min: 1, max: 400 }),
    value: fc.boolean(),
  }),
  fc.record({ op: fc.constant("drain" as const) }),
  fc.record({ op: fc.constant("revoke" as const), nth: fc.nat(1_000) }),
  fc.record({ op: fc.constant("revokeAll" as const) }),
);

test("each task leaves the ring once, whatever host and main do in between", () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
      const host = new SimulatedHost();
      const given: Task[] = [];
      const left: string[] = [];
      for (const one of ops) {
        if (one.op === "add") {
          for (let i = 0; i < one.count && host.ring.room > 0; i++) {
            const task = taskOf(`t${given.length}`);
            given.push(task);
            host.batch.push(host.ring.add(task));
          }
        } else if (one.op === "host") for (let i = 0; i < one.count; i++) host.step(one.value);
        else if (one.op === "drain") left.push(...host.drain());
        else if (one.op === "revokeAll") left.push(...host.ring.revokeAll().map((task) => task.id));
        else {
          const task = given[given.length - 1 - one.nth];
          const slot = task === undefined ? -1 : host.ring.slotOf(task);
          const taken = slot === -1 ? undefined : host.ring.revoke(slot);
          if (taken !== undefined) left.push(taken.id);
        }
        expect(host.ring.open).toBe(given.length - left.length);
        expect(host.ring.open).toBeLessThanOrEqual(MOST_OPEN);
      }
      // The host runs dry, main looks once more: nothing may stay.
      for (let i = 0; i < 2 * RING; i++) host.step(false);
      left.push(...host.drain());
      expect(left.toSorted()).toEqual(given.map((task) => task.id).toSorted());
      expect(host.ring.open).toBe(0);
      expect(host.ring.room).toBe(MOST_OPEN);
    }),
    { numRuns: 200 },
  );
});

test("after a death the cells say what ran, what had ended, and what never started", () => {
  const host = new SimulatedHost();
  const tasks = ["done", "runs", "waits"].map(taskOf);
  for (const task of tasks) host.batch.push(host.ring.add(task));
  host.step(false); // done starts
  host.step(false); // … and ends
  host.step(false); // runs starts
  expect(host.drain()).toEqual(["done"]);
  expect(host.ring.at(host.ring.running())?.id).toBe("runs");
  expect(host.ring.revokeAll().map((task) => task.id)).toEqual(["waits"]);
  expect(host.ring.slots().map((slot) => host.ring.at(slot)?.id)).toEqual(["runs"]);
});

test("slots are not given out again before the host has passed them", () => {
  const host = new SimulatedHost();
  for (let i = 0; i < MOST_OPEN; i++) host.batch.push(host.ring.add(taskOf(`t${i}`)));
  expect(host.ring.room).toBe(0);
  expect(host.ring.revokeAll().length).toBe(MOST_OPEN);
  // All are taken back, but the host still has to step over them.
  expect(host.ring.room).toBe(RING - MOST_OPEN);
  for (let i = 0; i < MOST_OPEN; i++) host.step(false);
  expect(host.drain()).toEqual([]);
  expect(host.ring.room).toBe(MOST_OPEN);
  expect(host.ring.add(taskOf("next"))).toBe(MOST_OPEN & MASK);
});
