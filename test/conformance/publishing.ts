/**
 * Conformance: publish and confirm, refusals, duplicates by id and by key, delays.
 */
import { expect, test } from "vitest";
import { UnknownPartition, UnknownQueue } from "../../src/broker/errors.ts";
import { DuplicateJob } from "../../src/jobs/errors.ts";
import {
  type Abilities,
  barrier,
  collect,
  counted,
  job,
  jobs,
  type Make,
  P,
  Q,
  record,
  until,
  where,
  withBroker,
} from "./harness.ts";

export function publishing(make: Make, can: Abilities): void {
  test("a published job is handed out as it was published", () =>
    withBroker(make, async ({ broker, heard }) => {
      const { inbox } = collect(broker, 1);
      const sent = job({
        queueKey: "k",
        executionKey: "e",
        attempt: 2,
        hop: 3,
        levels: [1, 2],
        history: [{ attempt: 1, at: 5, kind: "timeout", message: "slow", stack: "at x" }],
        maxExecutionTimeMs: 5_000,
        startedAt: 7,
        replyTo: "node",
        trace: "00-1-2-01",
      });
      expect(await broker.publish(sent)).toBeUndefined();
      const delivery = await inbox.next();
      expect({ ...delivery.envelope }).toEqual({ ...sent });
      expect(delivery.redelivered).toBe(false);
      expect(delivery.suspect).toBeUndefined();
      expect(heard.said).toContain("connected");
    }));

  test("jobs of one queue are handed out in the order they were published", () =>
    withBroker(make, async ({ broker }) => {
      const sent = [...jobs(50), ...jobs(50)];
      await broker.publishMany(sent.slice(0, 50));
      const { inbox } = collect(broker, 1000);
      for (const one of sent.slice(50)) void broker.publish(one);
      await inbox.count(100);
      expect(inbox.ids()).toEqual(sent.map((one) => one.id));
    }));

  test("a big body comes back whole", () =>
    withBroker(make, async ({ broker }) => {
      const sent = [3_000, 250_000].map((n) => job({ argsText: JSON.stringify("ü".repeat(n)) }));
      await broker.publishMany(sent);
      const { inbox } = collect(broker, 10);
      await inbox.count(2);
      expect(inbox.all.map((one) => one.envelope.argsText)).toEqual(sent.map((one) => one.argsText));
    }));

  test("an unknown partition and an unknown queue are refused, the others of the group are in", () =>
    withBroker(make, async ({ broker }) => {
      const [good, nowhere, noQueue] = [job(), job({ partition: "nowhere" }), job({ queue: "none" })];
      const refused = await broker.publishMany([nowhere, good, noQueue]);
      expect(refused?.get(nowhere)).toBeInstanceOf(can.index ? UnknownPartition : UnknownQueue);
      expect(refused?.get(noQueue)).toBeInstanceOf(UnknownQueue);
      expect(refused?.has(good)).toBe(false);
      const { inbox } = collect(broker, 10);
      await barrier(broker);
      expect(inbox.ids()).toEqual([good.id]);
      expect((await broker.publish(nowhere))?.get(nowhere)).toBeInstanceOf(
        can.index ? UnknownPartition : UnknownQueue,
      );
      expect((await broker.publish(noQueue))?.get(noQueue)).toBeInstanceOf(UnknownQueue);
      expect(broker.counts({ partition: P, queue: "none" })).toBeUndefined();
    }));

  where(can.index)("an id whose job exists is refused in every state, and free after the job's end", () =>
    withBroker(make, async ({ broker }) => {
      const one = job();
      const again = () =>
        broker.publish(job({ id: one.id })).then((refused) => [...(refused?.values() ?? [])][0]);
      const refusal = { holder: one.id, by: "id" };
      await broker.publish(one, { dueAt: Date.now() + 60_000 });
      expect(await again(), "scheduled").toMatchObject(refusal);
      await broker.cancelQueued(P, one.id);
      await broker.publish(one);
      expect(await again(), "available").toBeInstanceOf(DuplicateJob);
      const { inbox } = collect(broker, 1);
      const first = await inbox.next();
      expect(await again(), "unsettled").toMatchObject(refusal);
      await broker.bury(first, first.envelope, record());
      expect(await again(), "buried").toMatchObject(refusal);
      await broker.dropBuried(Q, [one.id]);
      expect(await again(), "dropped").toBeUndefined();
      broker.complete(await inbox.next());
      expect(await again(), "completed").toBeUndefined();
      await broker.discard(await inbox.next());
      expect(await again(), "discarded").toBeUndefined();
    }),
  );

  where(can.index)("one id twice in one group: the first is in", () =>
    withBroker(make, async ({ broker }) => {
      const [a, b] = [job({ id: "twin" }), job({ id: "twin" })];
      const refused = await broker.publishMany([a, b]);
      expect([...(refused?.keys() ?? [])]).toEqual([b]);
      await counted(broker, { available: 1 });
    }),
  );

  test("a queue key is held through waiting, running and retry, and names its holder", () =>
    withBroker(make, async ({ broker }) => {
      const one = job({ queueKey: "user:1" });
      const rival = () => job({ queueKey: "user:1" });
      const refusedBy = async () => [...((await broker.publish(rival())) ?? new Map()).values()][0];
      await broker.publish(one);
      expect(await refusedBy()).toMatchObject({ holder: one.id, by: "queueKey" });
      expect(await broker.holderOf(P, "user:1")).toBe(one.id);
      const { inbox } = collect(broker, 1);
      const first = await inbox.next();
      expect(await refusedBy()).toMatchObject({ holder: one.id });
      await broker.retry(first, job({ ...one, attempt: 1 }), Date.now() + 60_000);
      expect(await refusedBy()).toMatchObject({ holder: one.id });
      expect(
        await broker.publish(job({ ...one, id: "elsewhere", partition: P, queueKey: "user:2" })),
      ).toBeUndefined();
    }));

  test("a queue key is free after completion, discard, burial, cancel and purge", () =>
    withBroker(make, async ({ broker }) => {
      const { inbox, subscription } = collect(broker, 1);
      const keyed = () => job({ queueKey: "k" });
      await broker.publish(keyed());
      broker.complete(await inbox.next());
      expect(await broker.publish(keyed()), "completed").toBeUndefined();
      await broker.discard(await inbox.next());
      expect(await broker.publish(keyed()), "discarded").toBeUndefined();
      const third = await inbox.next();
      await broker.bury(third, third.envelope, record());
      await subscription.cancel();
      const fourth = keyed();
      expect(await broker.publish(fourth), "buried").toBeUndefined();
      if (can.index) await broker.cancelQueued(P, fourth.id);
      else await broker.purge(Q);
      expect(await broker.publish(keyed()), "cancelled").toBeUndefined();
      await broker.purge(Q);
      expect(await broker.holderOf(P, "k")).toBeUndefined();
      expect(await broker.publish(keyed()), "purged").toBeUndefined();
    }));

  test("a delayed job is scheduled until it is due, then comes at the tail, in the order of due times", () =>
    withBroker(make, async ({ broker }) => {
      const { inbox } = collect(broker, 10);
      const [late, soon, plain] = [job(), job(), job()];
      const now = Date.now();
      const [later, sooner] = [now + 2 * can.tickMs, now + can.tickMs];
      await broker.publish(late, { dueAt: later });
      await broker.publish(soon, { dueAt: sooner });
      await broker.publish(plain);
      await counted(broker, { scheduled: 2 });
      await inbox.count(1);
      await inbox.count(2);
      expect(Date.now()).toBeGreaterThanOrEqual(sooner);
      await inbox.count(3);
      expect(Date.now()).toBeGreaterThanOrEqual(later);
      expect(inbox.ids()).toEqual([plain.id, soon.id, late.id]);
      await counted(broker, { scheduled: 0, unsettled: 3 });
    }));

  test("a job that is due already is available at once", () =>
    withBroker(make, async ({ broker }) => {
      const sent = job();
      await broker.publish(sent, { dueAt: Date.now() - 1_000 });
      const { inbox } = collect(broker, 1);
      expect((await inbox.next()).envelope.id).toBe(sent.id);
    }));

  where(can.index)("many writers at once are each told of their own job", () =>
    withBroker(make, async ({ broker }) => {
      const sent = jobs(200);
      const twice = sent.flatMap((one) => [one, job({ id: one.id })]);
      const told = await Promise.all(
        twice.map((one) => broker.publish(one).then((refused) => refused?.has(one) ?? false)),
      );
      expect(told.filter((refused) => refused)).toHaveLength(200);
      expect(told.every((refused, at) => refused === (at % 2 === 1))).toBe(true);
      const { inbox } = collect(broker, 1000);
      await until(
        () => inbox.all.length,
        (count) => count === 200,
      );
    }),
  );
}
