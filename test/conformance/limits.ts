/**
 * Conformance: what a broker that cannot do something must do instead: refuse by a typed error, with nothing changed.
 *
 * For brokers without an index of their jobs.
 */
import { expect, test } from "vitest";
import { collect, job, jobs, type Make, P, Q, until, withBroker } from "./harness.ts";

export function limits(make: Make): void {
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
      const sent = jobs(20);
      await broker.publishMany(sent);
      const ids = async (limit: number) => (await broker.list(Q, limit)).jobs.map((one) => one.envelope.id);
      expect(await ids(2)).toEqual(sent.slice(0, 2).map((one) => one.id));
      expect(await broker.list(Q, 100)).toMatchObject({ complete: true });
      const { inbox } = collect(broker, 20);
      await inbox.count(20);
      expect(inbox.ids()).toEqual(sent.map((one) => one.id));
    }));

  test("where somebody consumes it nobody could look at what stands there without being overtaken: it is left out", () =>
    withBroker(make, async ({ broker }) => {
      await broker.publishMany(jobs(20));
      const { inbox } = collect(broker, 1);
      await inbox.next();
      // a cluster's counts follow its queue's leader a moment later
      await until(
        async () => (await broker.list(Q, 100)).complete,
        (complete) => !complete,
      );
      expect((await broker.list(Q, 100)).jobs.length).toBeLessThan(19);
    }));
}
