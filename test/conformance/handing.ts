/**
 * Conformance: subscriptions, limits, pause and resume, release, and what a queue's stored pause does.
 */
import { expect, test } from "vitest";
import { barrier, collect, counted, Inbox, jobs, type Make, OTHER, Q, withBroker } from "./harness.ts";

export function handing(make: Make): void {
  test("at most the limit is unsettled, and each settle lets the next one out", () =>
    withBroker(make, async ({ broker }) => {
      const sent = jobs(6);
      await broker.publishMany(sent);
      const { inbox } = collect(broker, 2);
      const [first, second] = await inbox.take(2);
      await barrier(broker);
      expect(inbox.all).toHaveLength(2);
      if (first !== undefined) broker.complete(first);
      await inbox.count(3);
      if (second !== undefined) await broker.discard(second);
      await inbox.count(4);
      await barrier(broker);
      expect(inbox.ids()).toEqual(sent.slice(0, 4).map((one) => one.id));
    }));

  test("a limit that is raised hands out at once, a lower one hands out nothing until below it", () =>
    withBroker(make, async ({ broker }) => {
      await broker.publishMany(jobs(10));
      const { inbox, subscription } = collect(broker, 0);
      await barrier(broker);
      expect(inbox.all).toHaveLength(0);
      subscription.setLimit(4);
      const held = await inbox.take(4);
      subscription.setLimit(2);
      for (const delivery of held.slice(0, 2)) broker.complete(delivery);
      await barrier(broker);
      expect(inbox.all).toHaveLength(4);
      for (const delivery of held.slice(2, 3)) broker.complete(delivery);
      await inbox.count(5);
      await barrier(broker);
      expect(inbox.all).toHaveLength(5);
    }));

  test("a paused subscription hands out nothing, keeps what is unsettled, and goes on when resumed", () =>
    withBroker(make, async ({ broker }) => {
      await broker.publishMany(jobs(3));
      const { inbox, subscription } = collect(broker, 1);
      const first = await inbox.next();
      subscription.pause();
      await broker.discard(first);
      await barrier(broker);
      expect(inbox.all).toHaveLength(1);
      subscription.resume();
      await inbox.count(2);
    }));

  test("a cancelled subscription takes no more, and its unsettled deliveries stay valid", () =>
    withBroker(make, async ({ broker }) => {
      const sent = jobs(3);
      await broker.publishMany(sent);
      const { inbox, subscription } = collect(broker, 1);
      const first = await inbox.next();
      await subscription.cancel();
      await subscription.cancel();
      await broker.discard(first);
      await barrier(broker);
      expect(inbox.all).toHaveLength(1);
      await counted(broker, { available: 2, unsettled: 0 });
      const second = collect(broker, 5);
      await second.inbox.count(2);
      expect(second.inbox.ids()).toEqual(sent.slice(1).map((one) => one.id));
    }));

  test("what is released comes again at its old place, with nothing counted", () =>
    withBroker(make, async ({ broker }) => {
      const sent = jobs(6);
      await broker.publishMany(sent);
      const { inbox, subscription } = collect(broker, 4);
      const held = await inbox.take(4);
      subscription.pause();
      for (const at of [2, 0, 3, 1]) {
        const delivery = held[at];
        if (delivery !== undefined) broker.release(delivery);
      }
      await counted(broker, { available: 6, unsettled: 0 });
      const again = new Inbox();
      broker.subscribe(Q, 10, again.deliver);
      await again.count(6);
      expect(again.ids()).toEqual(sent.map((one) => one.id));
      expect(again.all.map((one) => one.envelope.attempt)).toEqual([0, 0, 0, 0, 0, 0]);
      expect(again.all.slice(0, 4).every((one) => one.redelivered && one.suspect === undefined)).toBe(true);
    }));

  test("two subscriptions of one queue share its jobs, none is handed out twice", () =>
    withBroker(make, async ({ broker }) => {
      const [left, right] = [collect(broker, 5), collect(broker, 5)];
      const sent = jobs(10);
      await broker.publishMany(sent);
      await left.inbox.count(5);
      await right.inbox.count(5);
      expect([...left.inbox.ids(), ...right.inbox.ids()].sort()).toEqual(sent.map((one) => one.id).sort());
    }));

  test("a delivery that was settled is settled into nothing the second time", () =>
    withBroker(make, async ({ broker }) => {
      await broker.publishMany(jobs(2));
      const { inbox } = collect(broker, 1);
      const first = await inbox.next();
      await broker.discard(first);
      broker.complete(first);
      broker.release(first);
      await broker.retry(first, first.envelope, Date.now());
      await inbox.count(2);
      await counted(broker, { available: 0, unsettled: 1, scheduled: 0 });
    }));

  test("a paused queue hands nothing out until it is resumed; other queues go on", () =>
    withBroker(make, async ({ broker }) => {
      await broker.setPaused(Q, true);
      const { inbox } = collect(broker, 10);
      await broker.publishMany(jobs(3));
      await barrier(broker);
      expect(inbox.all).toHaveLength(0);
      expect(await broker.count(Q)).toMatchObject({ available: 3, paused: true });
      expect(broker.counts(OTHER)).toMatchObject({ paused: false });
      await broker.setPaused(Q, false);
      await inbox.count(3);
      expect(broker.counts(Q)?.paused).toBe(false);
    }));

  test("nothing is delivered from within a broker call", () =>
    withBroker(make, async ({ broker }) => {
      await broker.publishMany(jobs(4));
      let inCall = false;
      let within = 0;
      const inbox = new Inbox();
      const subscription = broker.subscribe(Q, 1, (delivery) => {
        if (inCall) within += 1;
        inbox.deliver(delivery);
      });
      for (let i = 0; i < 4; i++) {
        const delivery = await inbox.next();
        inCall = true;
        subscription.setLimit(2);
        broker.complete(delivery);
        void broker.publishMany(jobs(1));
        inCall = false;
      }
      expect(within).toBe(0);
    }));
}
