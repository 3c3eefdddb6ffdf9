/**
 * Conformance: what a broker that cannot do something must do instead: refuse by a typed error, with nothing changed.
 *
 * For brokers without an index of their jobs, and without a coordinator.
 */
import { expect, test } from "vitest";
import { UnsupportedByBroker } from "../../src/broker/errors.ts";
import { collect, counted, job, type Make, P, Q, withBroker } from "./harness.ts";

export function limits(make: Make): void {
  test("a job with a queue key or an execution key is refused by name, and not stored", () =>
    withBroker(make, async ({ broker }) => {
      const keyed = [job({ queueKey: "k" }), job({ executionKey: "e" })];
      const refused = await broker.publishMany(keyed);
      for (const one of keyed) expect(refused?.get(one)).toBeInstanceOf(UnsupportedByBroker);
      await counted(broker, { available: 0, unsettled: 0 });
    }));

  test("a stored pause and a mark are refused, and nothing counts as paused or marked", () =>
    withBroker(make, async ({ broker }) => {
      await expect(broker.setPaused(Q, true)).rejects.toBeInstanceOf(UnsupportedByBroker);
      await expect(broker.mark(P, "x")).rejects.toBeInstanceOf(UnsupportedByBroker);
      expect([broker.counts(Q)?.paused, broker.isMarked(P, "x")]).toEqual([false, false]);
    }));

  test("a job that is not in this node's hands is not called absent: it may be anywhere", () =>
    withBroker(make, async ({ broker }) => {
      const sent = job();
      await broker.publish(sent);
      expect(await broker.find(P, sent.id)).toBe("unknown");
      const { inbox } = collect(broker, 1);
      await inbox.next();
      expect(await broker.find(P, sent.id)).toBe("unsettled");
      expect((await broker.cancelQueued(P, sent.id)).found).toBe("unsettled");
    }));

  test("what stands on the broker is listed where nobody consumes it, in order, and touched by nobody", () =>
    withBroker(make, async ({ broker }) => {
      const sent = [job(), job(), job()];
      await broker.publishMany(sent);
      const ids = async (limit: number) => (await broker.list(Q, limit)).jobs.map((one) => one.envelope.id);
      expect(await ids(2)).toEqual(sent.slice(0, 2).map((one) => one.id));
      expect(await broker.list(Q, 10)).toMatchObject({ complete: true });
      const { inbox } = collect(broker, 1);
      const first = await inbox.next();
      expect((await broker.list(Q, 10)).complete, "a consumer could be overtaken").toBe(false);
      await broker.discard(first);
      await inbox.count(2);
      expect(inbox.ids()).toEqual(sent.slice(0, 2).map((one) => one.id));
    }));
}
