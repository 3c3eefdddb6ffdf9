/**
 * Random operations on a queue against a model of arrays and sets, for both brokers: order, limits, counts.
 */

import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Broker, Delivery } from "../../src/broker/contract.ts";
import { EmbeddedBroker } from "../../src/embedded/broker.ts";
import { MemoryBroker } from "../../src/embedded/memory.ts";
import { Envelope } from "../../src/jobs/envelope.ts";
import { newId } from "../../src/jobs/ids.ts";
import { barrier, counted, Heard, job, OTHER, P, Q, record } from "../conformance/harness.ts";

type Step =
  | { readonly do: "publish"; readonly count: number; readonly fresh: boolean }
  | { readonly do: "later" }
  | { readonly do: "limit"; readonly limit: number }
  | { readonly do: "complete" | "release" | "retry" | "bury" | "cancel" | "discard"; readonly pick: number }
  | { readonly do: "purge" | "requeue" | "pause" | "resume" | "drop" };

const pick = fc.nat({ max: 1_000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      count: fc.integer({ min: 1, max: 12 }),
      fresh: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("later" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("limit" as const), limit: fc.integer({ min: 0, max: 6 }) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom("complete", "complete", "discard", "release", "retry", "bury", "cancel"),
      pick,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("purge", "requeue", "pause", "resume", "drop") }) },
);

/** What should be where, in plain lists. */
class Model {
  /** In order of place; a released job goes back to its own. */
  waiting: { id: string; place: number }[] = [];
  held: { id: string; place: number }[] = [];
  scheduled: string[] = [];
  buried: string[] = [];
  limit = 3;
  paused = false;
  place = 0;

  append(id: string): void {
    this.waiting.push({ id, place: this.place++ });
  }

  /** What a broker is to hand out now. */
  handOut(): string[] {
    const room = this.paused ? 0 : Math.max(0, this.limit - this.held.length);
    const out = this.waiting.splice(0, room);
    this.held.push(...out);
    return out.map((one) => one.id);
  }

  settle(id: string): void {
    this.held = this.held.filter((one) => one.id !== id);
  }

  release(id: string): void {
    const one = this.held.find((held) => held.id === id);
    if (one === undefined) return;
    this.settle(id);
    this.waiting = [...this.waiting, one].sort((a, b) => a.place - b.place);
  }
}

async function play(broker: Broker, steps: readonly Step[]): Promise<void> {
  await broker.open(new Heard());
  await broker.declare([Q, OTHER]);
  const model = new Model();
  const held = new Map<string, Delivery>();
  const seen: string[] = [];
  const subscription = broker.subscribe(Q, model.limit, (delivery) => {
    seen.push(delivery.envelope.id);
    held.set(delivery.envelope.id, delivery);
  });
  const expected: string[] = [];
  for (const one of steps) {
    await act(broker, subscription.setLimit.bind(subscription), model, held, one);
    expected.push(...model.handOut());
    await barrier(broker);
    expect(seen, "handed out, in this order").toEqual(expected);
    await counted(broker, {
      available: model.waiting.length,
      scheduled: model.scheduled.length,
      buried: model.buried.length,
      unsettled: model.held.length,
      paused: model.paused,
    });
  }
  const listed = await broker.list(Q, 10_000);
  expect(listed.jobs.map((one) => one.envelope.id)).toEqual([
    ...model.waiting.map((one) => one.id),
    ...model.scheduled,
  ]);
  await broker.close();
}

async function act(
  broker: Broker,
  setLimit: (limit: number) => void,
  model: Model,
  held: Map<string, Delivery>,
  one: Step,
) {
  switch (one.do) {
    case "publish": {
      const some = Array.from({ length: one.count }, () => job({ id: newId() }));
      // some in one commit, plain ones between others
      const [front, rest] = [some.slice(0, 4), some.slice(4)];
      await Promise.all([
        broker.publishMany(front, { fresh: one.fresh }),
        broker.publishMany(rest, { fresh: !one.fresh }),
      ]);
      for (const { id } of some) model.append(id);
      return;
    }
    case "later": {
      const later = job();
      await broker.publish(later, { dueAt: Date.now() + 3_600_000 + model.scheduled.length });
      model.scheduled.push(later.id);
      return;
    }
    case "limit":
      setLimit(one.limit);
      model.limit = one.limit;
      return;
    case "pause":
    case "resume":
      model.paused = one.do === "pause";
      return broker.setPaused(Q, model.paused);
    case "purge": {
      const purged = await broker.purge(Q);
      expect([...purged].sort()).toEqual([...model.waiting.map(({ id }) => id), ...model.scheduled].sort());
      model.waiting = [];
      model.scheduled = [];
      return;
    }
    case "requeue": {
      await broker.requeueBuried(Q, "all");
      for (const id of model.buried.splice(0)) model.append(id);
      return;
    }
    case "drop":
      expect([...(await broker.dropBuried(Q, "all"))].sort()).toEqual(model.buried.splice(0).sort());
      return;
    case "cancel":
      return cancel(broker, model, one.pick);
    default:
      return settle(broker, model, held, one.do, one.pick);
  }
}

async function cancel(broker: Broker, model: Model, at: number): Promise<void> {
  const all = [
    ...model.waiting.map(({ id }) => id),
    ...model.scheduled,
    ...model.held.map(({ id }) => id),
    ...model.buried,
  ];
  const id = all[at % Math.max(1, all.length)];
  if (id === undefined) return;
  const { found } = await broker.cancelQueued(P, id);
  const state = model.scheduled.includes(id)
    ? "scheduled"
    : model.buried.includes(id)
      ? "buried"
      : model.held.some((one) => one.id === id)
        ? "unsettled"
        : "available";
  expect(found).toBe(state);
  model.waiting = model.waiting.filter((one) => one.id !== id);
  model.scheduled = model.scheduled.filter((one) => one !== id);
}

async function settle(
  broker: Broker,
  model: Model,
  held: Map<string, Delivery>,
  how: "complete" | "discard" | "release" | "retry" | "bury",
  at: number,
): Promise<void> {
  const one = model.held[at % Math.max(1, model.held.length)];
  const delivery = one === undefined ? undefined : held.get(one.id);
  if (one === undefined || delivery === undefined) return;
  if (how === "release") {
    model.release(one.id);
    broker.release(delivery);
    return;
  }
  model.settle(one.id);
  if (how === "complete") return broker.complete(delivery);
  if (how === "discard") return broker.discard(delivery);
  if (how === "bury") {
    model.buried.push(one.id);
    return broker.bury(delivery, delivery.envelope, record());
  }
  model.append(one.id);
  const next = new Envelope({ ...delivery.envelope, attempt: delivery.envelope.attempt + 1 });
  return broker.retry(delivery, next, Date.now() - 1);
}

const steps = fc.array(step, { minLength: 1, maxLength: 40 });

test("the memory broker does what the model does", async () => {
  await fc.assert(
    fc.asyncProperty(steps, (run) => play(new MemoryBroker(), run)),
    { numRuns: 150 },
  );
});

for (const [name, tuning] of [
  ["kept in memory", {}],
  ["read back in small pages", { keepJobs: 2, takeJobs: 3 }],
  ["moved out of the journal at once", { journalMs: 1 }],
  ["few in the journal", { journalJobs: 3, keepJobs: 5 }],
] as const) {
  test(`the embedded broker does what the model does, jobs ${name}`, { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (run) => {
        const path = await mkdtemp(join(tmpdir(), "spillway-"));
        const broker = new EmbeddedBroker({ path, tuning: { ballastBytes: 0, ...tuning } });
        try {
          await play(broker, run);
        } finally {
          await broker.close();
          rmSync(path, { recursive: true, force: true });
        }
      }),
      { numRuns: process.env.SPILLWAY_LONG === undefined ? 25 : 500 },
    );
  });
}
