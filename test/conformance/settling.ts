/**
 * Conformance: complete, discard, retry, bury; cancel, purge, list and counts of what waits.
 */
import { expect, test } from "vitest";
import { Envelope } from "../../src/jobs/envelope.ts";
import {
  type Abilities,
  collect,
  counted,
  job,
  jobs,
  type Make,
  OTHER,
  P,
  Q,
  record,
  until,
  where,
  withBroker,
} from "./harness.ts";

export function settling(make: Make, can: Abilities): void {
  test("completed and discarded jobs are gone", () =>
    withBroker(make, async ({ broker }) => {
      const sent = jobs(4);
      await broker.publishMany(sent);
      const { inbox } = collect(broker, 4);
      const [a, b, c] = await inbox.take(4);
      if (a !== undefined) broker.complete(a);
      if (b !== undefined) broker.complete(b);
      if (c !== undefined) await broker.discard(c);
      await counted(broker, { available: 0, unsettled: 1, scheduled: 0, buried: 0 });
      for (const one of sent.slice(0, 3)) expect((await broker.cancelQueued(P, one.id)).found).toBe("absent");
    }));

  test("a retry comes again when it is due, as the envelope it was replaced by", () =>
    withBroker(make, async ({ broker }) => {
      const sent = job({ queueKey: "k" });
      await broker.publish(sent);
      const { inbox } = collect(broker, 1);
      const first = await inbox.next();
      const next = new Envelope({
        ...sent,
        attempt: 1,
        history: [{ attempt: 0, at: 9, kind: "error", message: "first" }],
      });
      const dueAt = Date.now() + can.tickMs;
      await broker.retry(first, next, dueAt);
      await counted(broker, { scheduled: 1, unsettled: 0, available: 0 });
      const second = await inbox.next();
      expect(Date.now()).toBeGreaterThanOrEqual(dueAt);
      expect({ ...second.envelope }).toEqual({ ...next });
      broker.complete(second);
      await counted(broker, { available: 0, scheduled: 0, unsettled: 0 });
      expect(await broker.holderOf(P, "k")).toBeUndefined();
    }));

  test("a retry that is due at once goes to the tail", () =>
    withBroker(make, async ({ broker }) => {
      const [a, b] = [job(), job()];
      await broker.publishMany([a, b]);
      const { inbox } = collect(broker, 1);
      await broker.retry(await inbox.next(), new Envelope({ ...a, hop: 1 }), Date.now());
      await broker.discard(await inbox.next());
      const third = await inbox.next();
      expect(inbox.ids()).toEqual([a.id, b.id, a.id]);
      expect(third.envelope.hop).toBe(1);
    }));

  where(can.index)("cancelQueued removes what waits, wherever it waits, and leaves the rest as it is", () =>
    withBroker(make, async ({ broker }) => {
      const [held, grave, waiting, later] = [job(), job(), job(), job()];
      await broker.publishMany([held, grave]);
      const { inbox } = collect(broker, 2);
      const deliveries = await inbox.take(2);
      const second = deliveries[1];
      if (second !== undefined) await broker.bury(second, grave, record());
      await broker.setPaused(Q, true);
      await broker.publish(waiting);
      await broker.publish(later, { dueAt: Date.now() + 60_000 });
      const places = [held, grave, waiting, later].map((one) => broker.find(P, one.id));
      expect(await Promise.all(places)).toEqual(["unsettled", "buried", "available", "scheduled"]);
      expect([await broker.find(P, "never-seen"), await broker.find("nowhere", held.id)]).toEqual([
        "absent",
        "absent",
      ]);
      const cancelled = await broker.cancelQueued(P, waiting.id);
      expect(cancelled.found).toBe("available");
      expect({ ...cancelled.envelope }).toEqual({ ...waiting });
      expect((await broker.cancelQueued(P, later.id)).found).toBe("scheduled");
      expect((await broker.cancelQueued(P, held.id)).found).toBe("unsettled");
      expect((await broker.cancelQueued(P, grave.id)).found).toBe("buried");
      expect((await broker.cancelQueued(P, "never-seen")).found).toBe("absent");
      expect((await broker.cancelQueued("nowhere", held.id)).found).toBe("absent");
      expect((await broker.cancelQueued(P, waiting.id)).found).toBe("absent");
      await counted(broker, { available: 0, scheduled: 0, buried: 1, unsettled: 1 });
      await broker.setPaused(Q, false);
      for (const one of deliveries) broker.complete(one);
      await counted(broker, { unsettled: 0, available: 0 });
    }),
  );

  where(can.index)(
    "a cancel races the hand-out: a job is cancelled or delivered, never both, never neither",
    () =>
      withBroker(make, async ({ broker }) => {
        const sent = jobs(60);
        const publishing = sent.map((one) => broker.publish(one));
        const { inbox } = collect(broker, 30);
        const outcomes = await Promise.all(sent.map((one) => broker.cancelQueued(P, one.id)));
        await Promise.all(publishing);
        const cancelled = sent.filter((_, at) => outcomes[at]?.found === "available").map((one) => one.id);
        const rest = sent.length - cancelled.length;
        for (let i = 0; i < rest; i++) broker.complete(await inbox.next());
        await counted(broker, { available: 0, unsettled: 0 });
        expect([...cancelled, ...inbox.ids()].sort()).toEqual(sent.map((one) => one.id).sort());
      }),
  );

  test("purge removes what waits and names it; what is unsettled or buried stays", () =>
    withBroker(make, async ({ broker }) => {
      const sent = jobs(8);
      await broker.publishMany(sent.slice(0, 7));
      await broker.publish(sent[7] ?? job(), { dueAt: Date.now() + 60_000 });
      const { inbox, subscription } = collect(broker, 2);
      const [kept, grave] = await inbox.take(2);
      subscription.pause();
      if (grave !== undefined) await broker.bury(grave, grave.envelope, record());
      const purged = await broker.purge(Q);
      expect([...purged].sort()).toEqual(
        sent
          .slice(2, can.index ? 8 : 7)
          .map((one) => one.id)
          .sort(),
      );
      await counted(broker, { available: 0, scheduled: 0, buried: 1, unsettled: 1 });
      if (kept !== undefined) broker.release(kept);
      const after = job();
      await broker.publish(after);
      subscription.resume();
      await inbox.count(4);
      expect(inbox.ids().slice(2)).toEqual([kept?.envelope.id, after.id]);
      expect(await broker.purge({ partition: P, queue: "none" })).toEqual([]);
    }));

  test("what is in this node's hands is told in its order, until it is settled", () =>
    withBroker(make, async ({ broker }) => {
      const sent = jobs(5);
      const ids = () => broker.held(Q).map(({ id }) => id);
      expect([ids(), broker.takes(Q)]).toEqual([[], false]);
      await broker.publishMany(sent);
      const { inbox, subscription } = collect(broker, 3);
      const [first, second] = await inbox.take(3);
      expect(ids().slice(0, 3)).toEqual(sent.slice(0, 3).map(({ id }) => id));
      expect(broker.takes(Q)).toBe(true);
      if (first !== undefined) broker.complete(first);
      expect(ids()).not.toContain(first?.envelope.id);
      if (second !== undefined) await broker.bury(second, second.envelope, record());
      expect(ids()).not.toContain(second?.envelope.id);
      await subscription.cancel();
      await until(
        () => broker.takes(Q),
        (takes) => !takes,
      );
      expect(broker.held({ partition: "none", queue: "none" })).toEqual([]);
    }));

  where(can.index)("list shows what waits, oldest first, and touches nothing", () =>
    withBroker(make, async ({ broker }) => {
      const sent = jobs(5);
      await broker.publishMany(sent);
      const later = job();
      const dueAt = Date.now() + 60_000;
      await broker.publish(later, { dueAt });
      const { inbox } = collect(broker, 1);
      await inbox.next();
      const part = await broker.list(Q, 2);
      expect(part.complete).toBe(false);
      expect(part.jobs.map((one) => one.envelope.id)).toEqual(sent.slice(1, 3).map((one) => one.id));
      const whole = await broker.list(Q, 100);
      expect(whole.complete).toBe(true);
      expect(whole.jobs.map((one) => one.envelope.id)).toEqual(
        [...sent.slice(1), later].map((one) => one.id),
      );
      expect(whole.jobs[4]).toMatchObject({ state: "scheduled", dueAt });
      expect(whole.jobs[0]).toMatchObject({ state: "available", dueAt: undefined });
      expect(await broker.list(OTHER, 10)).toEqual({ jobs: [], complete: true });
      await counted(broker, { available: 4, scheduled: 1, unsettled: 1 });
    }),
  );

  test("queues() names every queue that was declared, once", () =>
    withBroker(make, async ({ broker }) => {
      await broker.declare([Q, { partition: "two", queue: "mail" }]);
      const names = (await broker.queues()).map((one) => `${one.partition}/${one.queue}`).sort();
      expect(names).toEqual(["shop/mail", "shop/other", "two/mail"]);
      await broker.publish(job({ partition: "two", id: "same" }));
      expect(await broker.publish(job({ id: "same" })), "ids are a partition's own").toBeUndefined();
    }));
}
