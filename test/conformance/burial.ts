/**
 * Conformance: buried jobs, their pages, re-queue and drop; marks; the cluster of it.
 */
import { expect, test } from "vitest";
import type { Broker } from "../../src/broker/contract.ts";
import { DuplicateJob } from "../../src/jobs/errors.ts";
import {
  type Abilities,
  collect,
  counted,
  job,
  jobs,
  type Make,
  P,
  Q,
  record,
  withBroker,
} from "./harness.ts";

async function burySome(broker: Broker, count: number): Promise<string[]> {
  const sent = jobs(count);
  await broker.publishMany(sent);
  const { inbox, subscription } = collect(broker, count);
  const held = await inbox.take(count);
  for (const one of held) await broker.bury(one, one.envelope, record(`grave ${one.envelope.id}`));
  await subscription.cancel();
  return sent.map((one) => one.id);
}

export function burial(make: Make, can: Abilities): void {
  test("a buried job is listed with its envelope and its record", () =>
    withBroker(make, async ({ broker }) => {
      const sent = job({ queueKey: "k" });
      await broker.publish(sent);
      const { inbox } = collect(broker, 1);
      const first = await inbox.next();
      const final = job({ ...sent, attempt: 3 });
      await broker.bury(first, final, record("broken"));
      const [grave] = await broker.listBuried(Q);
      expect(grave).toMatchObject({ id: sent.id, record: record("broken"), raw: undefined });
      expect({ ...grave?.envelope }).toEqual({ ...final });
      await counted(broker, { buried: 1, available: 0, unsettled: 0 });
      expect(await broker.holderOf(P, "k")).toBeUndefined();
    }));

  test("buried jobs come in pages, in the order of their burial", () =>
    withBroker(make, async ({ broker }) => {
      const ids = await burySome(broker, 7);
      const pages: string[][] = [];
      let after: string | undefined;
      for (;;) {
        const page = await broker.listBuried(Q, after === undefined ? { limit: 3 } : { limit: 3, after });
        if (page.length === 0) break;
        pages.push(page.map((one) => one.id));
        after = page.at(-1)?.id;
      }
      expect(pages.flat()).toEqual(ids);
      expect(pages.map((page) => page.length)).toEqual([3, 3, 1]);
    }));

  test("a re-queued job starts anew: attempt 0, one hop more, other args if given", () =>
    withBroker(make, async ({ broker }) => {
      const sent = job({ hop: 4, attempt: 2 });
      await broker.publish(sent);
      const { inbox } = collect(broker, 1);
      const first = await inbox.next();
      await broker.bury(first, sent, record());
      expect(await broker.requeueBuried(Q, [sent.id, "unknown"], '{"fixed":true}')).toEqual([
        { id: sent.id, error: undefined },
      ]);
      const again = await inbox.next();
      expect(again.envelope).toMatchObject({ id: sent.id, attempt: 0, hop: 5, argsText: '{"fixed":true}' });
      expect(again.redelivered).toBe(false);
      await counted(broker, { buried: 0, unsettled: 1 });
    }));

  test("a re-queue takes the queue key first: where it is held the job stays buried", () =>
    withBroker(make, async ({ broker }) => {
      const sent = job({ queueKey: "k" });
      await broker.publish(sent);
      const { inbox, subscription } = collect(broker, 1);
      const first = await inbox.next();
      await broker.bury(first, sent, record());
      await subscription.cancel();
      const rival = job({ queueKey: "k" });
      await broker.publish(rival);
      const [outcome] = await broker.requeueBuried(Q, "all");
      expect(outcome?.error).toBeInstanceOf(DuplicateJob);
      expect(outcome?.error).toMatchObject({ holder: rival.id, by: "queueKey" });
      expect(await broker.listBuried(Q)).toHaveLength(1);
      if (can.index) await broker.cancelQueued(P, rival.id);
      else await broker.purge(Q);
      expect(await broker.requeueBuried(Q, "all")).toEqual([{ id: sent.id, error: undefined }]);
      expect(await broker.holderOf(P, "k")).toBe(sent.id);
    }));

  test("drop removes the buried jobs that are named, or all", () =>
    withBroker(make, async ({ broker }) => {
      const ids = await burySome(broker, 5);
      expect(await broker.dropBuried(Q, [ids[1] ?? "", "unknown"])).toEqual([ids[1]]);
      expect((await broker.listBuried(Q)).map((one) => one.id)).toEqual(ids.filter((_, at) => at !== 1));
      expect([...(await broker.dropBuried(Q, "all"))].sort()).toEqual(ids.filter((_, at) => at !== 1).sort());
      await counted(broker, { buried: 0 });
      expect(await broker.requeueBuried(Q, "all")).toEqual([]);
    }));

  test("all of many buried jobs are re-queued, in the order of their burial", () =>
    withBroker(make, async ({ broker }) => {
      const ids = await burySome(broker, 230);
      expect((await broker.requeueBuried(Q, "all")).every((one) => one.error === undefined)).toBe(true);
      const { inbox } = collect(broker, 500);
      await inbox.count(230);
      expect(inbox.ids()).toEqual(ids);
    }));

  test("marks are kept until they are taken away", () =>
    withBroker(make, async ({ broker }) => {
      expect(broker.isMarked(P, "x")).toBe(false);
      await broker.mark(P, "x");
      await broker.mark(P, "x");
      expect([broker.isMarked(P, "x"), broker.isMarked("two", "x")]).toEqual([true, false]);
      await broker.unmark(P, "x");
      expect(broker.isMarked(P, "x")).toBe(false);
    }));

  test("a call to the cluster has one entry a node: a value, an error, or late", () =>
    withBroker(make, async ({ broker }) => {
      await broker.cluster.serve("node-1", async (command, args) => {
        if (command === "fail") throw new TypeError("no");
        if (command === "hang") return new Promise(() => undefined);
        return { command, args };
      });
      expect(await broker.cluster.call("ping", [1], 5_000)).toEqual([
        { node: "node-1", ok: true, value: { command: "ping", args: [1] } },
      ]);
      expect(await broker.cluster.call("fail", 0, 5_000)).toMatchObject([{ node: "node-1", ok: false }]);
      expect(await broker.cluster.call("hang", 0, 20)).toMatchObject([
        { ok: false, error: { code: "CallTimeout" } },
      ]);
    }));

  test("a cast reaches this node too", () =>
    withBroker(make, async ({ broker }) => {
      const heard = new Promise((resolve) => {
        void broker.cluster.serve("node-1", async (command, args) => resolve([command, args]));
      });
      broker.cluster.cast("note", { x: 1 });
      expect(await heard).toEqual(["note", { x: 1 }]);
    }));

  test("a candidate is elected, once there is something to keep", () =>
    withBroker(make, async ({ broker }) => {
      const elected = new Promise<number>((resolve) => {
        void broker.cluster.candidate(P, { elected: resolve, deposed: () => undefined });
      });
      await broker.mark(P, "x");
      expect(await elected).toBeGreaterThan(0);
    }));
}
