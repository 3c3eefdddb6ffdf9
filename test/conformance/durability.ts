/**
 * Conformance: opening and closing; for durable brokers, that everything survives them.
 */
import { expect, test } from "vitest";
import type { Broker } from "../../src/broker/contract.ts";
import {
  type Abilities,
  collect,
  counted,
  Heard,
  job,
  jobs,
  type Make,
  OTHER,
  P,
  Q,
  record,
  withBroker,
} from "./harness.ts";

/** Closes, opens the same store again and goes on there. */
async function again(
  make: Make,
  before: (broker: Broker) => Promise<void>,
  after: (broker: Broker) => Promise<void>,
) {
  await withBroker(make, async ({ broker, subject }) => {
    await before(broker);
    await broker.close();
    const second = subject.reopen?.();
    if (second === undefined) throw new Error("a durable broker can be opened again");
    await second.open(new Heard());
    try {
      await after(second);
    } finally {
      await second.close();
    }
  });
}

export function closing(make: Make): void {
  test("close is idempotent, and a closed broker takes nothing", () =>
    withBroker(make, async ({ broker }) => {
      await broker.close();
      await broker.close();
      await expect(broker.publish(job())).rejects.toThrow(/./);
    }));

  test("nothing is handed out after close", () =>
    withBroker(make, async ({ broker }) => {
      await broker.publishMany(jobs(3));
      const { inbox, subscription } = collect(broker, 1);
      const first = await inbox.next();
      await subscription.cancel();
      await broker.close();
      broker.complete(first);
      expect(inbox.all).toHaveLength(1);
    }));
}

export function durability(make: Make, can: Abilities): void {
  test("what waits, is scheduled or lies buried is there after a reopen, keys held, order kept", async () => {
    const sent = jobs(5, { queueKey: undefined });
    const keyed = job({ queueKey: "k" });
    const grave = job();
    const later = job();
    const dueAt = Date.now() + 60_000;
    await again(
      make,
      async (broker) => {
        await broker.publishMany([grave, ...sent]);
        await broker.publish(keyed);
        await broker.publish(later, { dueAt });
        const { inbox, subscription } = collect(broker, 1);
        await broker.bury(await inbox.next(), grave, record("kept"));
        await subscription.cancel();
        for (const held of inbox.all.slice(1)) broker.release(held);
      },
      async (broker) => {
        await broker.declare([Q, OTHER]);
        await counted(broker, { available: 6, scheduled: 1, buried: 1, unsettled: 0 });
        expect(await broker.holderOf(P, "k")).toBe(keyed.id);
        expect((await broker.listBuried(Q))[0]).toMatchObject({ id: grave.id, record: record("kept") });
        if (can.index)
          expect((await broker.list(Q, 10)).jobs.at(-1)).toMatchObject({ state: "scheduled", dueAt });
        const { inbox } = collect(broker, 10);
        const held = await inbox.take(6);
        expect(held.map((one) => ({ ...one.envelope }))).toEqual([...sent, keyed].map((one) => ({ ...one })));
        expect(
          held.every((one) => one.suspect === undefined),
          "closed in order",
        ).toBe(true);
      },
    );
  });

  test("ended jobs do not come back, though their completion was lazy when the broker was closed", async () => {
    const sent = jobs(20);
    await again(
      make,
      async (broker) => {
        await broker.publishMany(sent);
        const { inbox, subscription } = collect(broker, 10);
        const held = await inbox.take(10);
        await subscription.cancel();
        for (const one of held) broker.complete(one);
      },
      async (broker) => {
        await broker.declare([Q]);
        await counted(broker, { available: 10, unsettled: 0 });
        const { inbox } = collect(broker, 20);
        await inbox.count(10);
        expect(inbox.ids()).toEqual(sent.slice(10).map((one) => one.id));
      },
    );
  });

  test("what was unsettled at close is handed out again", async () => {
    const sent = jobs(3);
    await again(
      make,
      async (broker) => {
        await broker.publishMany(sent);
        const { inbox, subscription } = collect(broker, 2);
        await inbox.count(2);
        await subscription.cancel();
      },
      async (broker) => {
        const { inbox } = collect(broker, 5);
        await inbox.count(3);
        const expected = sent.map((one) => one.id);
        // what may have started elsewhere waits until nobody claims it, and what came first is overtaken meanwhile
        expect(can.index ? inbox.ids() : inbox.ids().sort()).toEqual(expected);
      },
    );
  });

  test("retries, pauses, queues and marks are there after a reopen", async () => {
    const sent = job();
    await again(
      make,
      async (broker) => {
        await broker.publish(sent);
        const { inbox } = collect(broker, 1);
        await broker.retry(await inbox.next(), job({ ...sent, attempt: 1 }), Date.now() + can.tickMs);
        await broker.setPaused(OTHER, true);
        await broker.mark(P, "gone");
      },
      async (broker) => {
        await broker.declare([Q, OTHER]);
        expect(broker.counts(OTHER)?.paused).toBe(true);
        expect(broker.isMarked(P, "gone")).toBe(true);
        expect((await broker.queues()).map((one) => one.queue).sort()).toEqual(["mail", "other"]);
        const { inbox } = collect(broker, 1);
        const second = await inbox.next();
        expect(second.envelope).toMatchObject({ id: sent.id, attempt: 1 });
        await broker.discard(second);
        await counted(broker, { available: 0, scheduled: 0, unsettled: 0 });
      },
    );
  });

  test("the epoch of an election grows over a reopen", async () => {
    const epochs: number[] = [];
    const elect = async (broker: Broker) => {
      const elected = new Promise<void>((resolve) => {
        const face = {
          elected: (epoch: number) => resolve(void epochs.push(epoch)),
          deposed: () => undefined,
        };
        void broker.cluster.candidate(P, face);
      });
      await broker.mark(P, "something to keep");
      await elected;
    };
    await again(make, elect, elect);
    expect(epochs[1]).toBeGreaterThan(epochs[0] ?? Number.POSITIVE_INFINITY);
  });
}
