/**
 * Jobs that are put aside for a key: in nobody's hands, not handed out, and back in their order, whatever happens.
 */
import { expect, test } from "vitest";
import type { Delivery, KeyRoom, Shelved } from "../../src/broker/contract.ts";
import { barrier, collect, counted, job, jobs, OTHER, Q, until } from "../conformance/harness.ts";
import { folder, opened } from "./files.ts";

async function bench(
  count: number,
  ...more: Parameters<typeof opened> extends [string, ...infer R] ? R : never
) {
  const path = folder();
  const { broker, heard } = await opened(path, ...more);
  await broker.declare([Q, OTHER]);
  const sent = jobs(count);
  await broker.publishMany(sent);
  const { inbox, subscription } = collect(broker, count);
  const deliveries = await inbox.take(count);
  const { keyRoom } = broker;
  if (keyRoom?.kind !== "shelf") throw new Error("it has a shelf");
  return {
    broker,
    heard,
    inbox,
    subscription,
    deliveries,
    shelf: keyRoom,
    ids: sent.map(({ id }) => id),
    path,
  };
}

type Room = KeyRoom & { readonly kind: "shelf" };
const put = (shelf: Room, deliveries: readonly Delivery[]): Shelved[] =>
  deliveries.flatMap((delivery) => shelf.put(delivery) ?? []);
const idsOf = (deliveries: readonly Delivery[]) => deliveries.map(({ envelope }) => envelope.id);

test("what is put aside waits in the queue, is handed out to nobody, and is there when it is asked for", async () => {
  const { broker, inbox, subscription, deliveries, shelf, ids } = await bench(5);
  const aside = put(shelf, deliveries.slice(1));
  expect(broker.counts(Q)).toMatchObject({ available: 4, unsettled: 1 });
  await barrier(broker);
  expect(inbox.all).toHaveLength(5);
  const taken = await shelf.take(subscription, aside.slice(0, 2));
  expect(idsOf(taken)).toEqual(ids.slice(1, 3));
  expect(broker.counts(Q)).toMatchObject({ available: 2, unsettled: 3 });
  expect(await shelf.take(subscription, aside.slice(0, 2))).toEqual([]);
  for (const one of taken) broker.complete(one);
  await counted(broker, { available: 2, unsettled: 1 });
});

test("a delivery that was settled is not put aside, and one that is aside cannot be settled", async () => {
  const { broker, deliveries, shelf } = await bench(2);
  const [one, other] = deliveries;
  if (one === undefined || other === undefined) throw new Error("two were delivered");
  broker.complete(one);
  expect(put(shelf, [one])).toEqual([]);
  put(shelf, [other]);
  broker.complete(other);
  await counted(broker, { available: 1, unsettled: 0 });
});

test("what is given back goes out first, in its order, in parts too", async () => {
  const { broker, inbox, subscription, deliveries, shelf, ids } = await bench(3_000);
  const later = job();
  await broker.publish(later);
  const aside = put(shelf, deliveries.slice(1));
  subscription.setLimit(1);
  shelf.giveBack(Q, aside);
  await barrier(broker);
  subscription.setLimit(4_000);
  const [first] = deliveries;
  if (first !== undefined) broker.complete(first);
  await inbox.count(3_000 + 3_000);
  expect(inbox.ids().slice(3_000)).toEqual([...ids.slice(1), later.id]);
  expect(inbox.all.slice(3_000).every(({ redelivered }, at) => redelivered || at === 2_999)).toBe(true);
});

test("what was cancelled or purged there is left out", async () => {
  const { broker, subscription, deliveries, shelf, ids } = await bench(4);
  const aside = put(shelf, deliveries);
  const [first = "", ...rest] = ids;
  expect(await broker.cancelQueued(Q.partition, first)).toMatchObject({ found: "available" });
  expect(await broker.purge(Q)).toEqual(rest);
  expect(await shelf.take(subscription, aside)).toEqual([]);
  expect(broker.counts(Q)).toMatchObject({ available: 0, unsettled: 0 });
});

test("after a loss of the store nothing is aside: all of it is handed out again, once", async () => {
  const faults = { failCommit: { id: "breaks", kind: "IOERR" as const } };
  const { broker, heard, inbox, subscription, deliveries, shelf, ids } = await bench(4, { faults });
  const aside = put(shelf, deliveries.slice(2));
  await broker.publish(job({ id: "breaks" })).catch(() => undefined);
  await until(
    () => heard.said.filter((said) => said === "connected").length,
    (times) => times === 2,
  );
  await inbox.count(8);
  expect(inbox.ids().slice(4)).toEqual(ids);
  expect(await shelf.take(subscription, aside)).toEqual([]);
  for (const one of inbox.all.slice(4)) broker.complete(one);
  await counted(broker, { available: 0, unsettled: 0 });
});

test("a queue that is left and taken up again has all of it, in its order", async () => {
  const { broker, subscription, deliveries, shelf, ids } = await bench(4);
  const aside = put(shelf, deliveries.slice(1));
  await subscription.cancel();
  for (const delivery of deliveries.slice(0, 1)) broker.release(delivery);
  shelf.giveBack(Q, aside);
  const { inbox } = collect(broker, 10);
  await inbox.count(4);
  expect(inbox.ids()).toEqual(ids);
});
