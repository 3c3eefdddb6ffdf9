/**
 * Reading ahead: early enough that a queue never runs dry during a commit, bounded in jobs and in text.
 */
import { expect, test } from "vitest";
import { EmbeddedLane, Row } from "../../src/embedded/embedded-lane.ts";
import { Pump } from "../../src/embedded/subscription.ts";
import { READ_BELOW, READ_CHARACTERS_BELOW } from "../../src/embedded/tuning.ts";
import { collect, job, jobs, Q } from "../conformance/harness.ts";
import { folder, opened } from "./files.ts";

test("a queue is read on while little of it is in memory, and with much text only when nothing is", () => {
  const needs = {
    read: () => undefined,
    frontier: () => undefined,
    fetch: () => undefined,
    keep: () => undefined,
    kept: 0,
  };
  const lane = new EmbeddedLane(1, Q, new Pump(), needs);
  const add = (ord: number) => lane.add(new Row(lane, ord, ord, job(), 10, false, 0, false, false));
  expect(lane.wantsMore).toBe(true);
  add(0);
  expect(lane.wantsMore).toBe(true);
  needs.kept = READ_CHARACTERS_BELOW;
  expect(lane.wantsMore, "other queues have much text in memory").toBe(false);
  needs.kept = 0;
  for (let ord = 1; ord < READ_BELOW; ord++) add(ord);
  expect(lane.wantsMore).toBe(false);
  lane.ready.clear();
  needs.kept = READ_CHARACTERS_BELOW;
  expect(lane.wantsMore, "nothing of it is left").toBe(true);
  lane.atEnd = true;
  expect(lane.wantsMore).toBe(false);
});

test("a backlog of large and small bodies is read back in order, whole, in many takes", async () => {
  const { broker } = await opened(folder(), { takeJobs: 7, takeCharacters: 20_000 });
  await broker.declare([Q]);
  const sent = jobs(60).map((one, at) =>
    at % 5 === 0 ? job({ ...one, argsText: JSON.stringify("x".repeat(3_000 + at)) }) : one,
  );
  await broker.publishMany(sent);
  const { inbox } = collect(broker, 3);
  for (const one of sent) {
    const delivery = await inbox.next();
    expect(delivery.envelope).toEqual(one);
    await broker.discard(delivery);
  }
  expect(broker.counts(Q)).toMatchObject({ available: 0, unsettled: 0 });
});
