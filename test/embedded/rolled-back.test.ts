/**
 * Commits that fail, are lost, or come too late: what they carried is asked for again, nothing is forgotten.
 */
import { expect, test } from "vitest";
import { StorageFull } from "../../src/broker/errors.ts";
import { EmbeddedLane, Row } from "../../src/embedded/embedded-lane.ts";
import { Batch } from "../../src/embedded/gather.ts";
import { Pump } from "../../src/embedded/subscription.ts";
import { collect, job, jobs, P, Q, record } from "../conformance/harness.ts";
import { child, exited, folder, opened, said } from "./files.ts";

const idle = {
  read: () => undefined,
  frontier: () => undefined,
  fetch: () => undefined,
  keep: () => undefined,
  kept: 0,
};

test("after an enqueue that a full disk refused, what the store puts into the queue itself is handed out", async () => {
  const { broker } = await opened(folder(), { faults: { failCommit: { id: "refused", kind: "FULL" } } });
  await broker.declare([Q]);
  await broker.publish(job());
  const { inbox } = collect(broker, 5);
  const first = await inbox.next();
  await broker.bury(first, first.envelope, record());
  const refused = job({ id: "refused" });
  expect((await broker.publish(refused))?.get(refused)).toBeInstanceOf(StorageFull);
  expect(await broker.requeueBuried(Q, "all")).toEqual([{ id: first.envelope.id, error: undefined }]);
  expect((await inbox.next()).envelope.id).toBe(first.envelope.id);
});

test("a read that was rolled back on a full disk is made again", async () => {
  const faults = { failCommit: { id: "refused", kind: "FULL" as const, times: 2 } };
  const { broker } = await opened(folder(), { faults });
  await broker.declare([Q]);
  const sent = jobs(3);
  await broker.publishMany(sent); // nobody consumes: they are left in the store
  const { inbox } = collect(broker, 5);
  const refused = job({ id: "refused" });
  expect((await broker.publish(refused))?.get(refused)).toBeInstanceOf(StorageFull);
  await inbox.count(3);
  expect(inbox.ids()).toEqual(sent.map((one) => one.id));
});

test("a mark that waits while the store is lost is there afterwards, a removed one is not", async () => {
  const { broker } = await opened(folder(), { faults: { failCommit: { id: "x", kind: "IOERR" } } });
  await broker.declare([Q]);
  await broker.mark(P, "old");
  const publishing = broker.publish(job({ id: "x" })).catch(() => undefined);
  // the commit of x is under way: these wait for the next one, which a new thread makes
  await new Promise((resolve) => setImmediate(resolve));
  const waiting = [broker.mark(P, "new"), broker.unmark(P, "old")];
  await Promise.all([publishing, ...waiting]);
  expect(broker.isMarked(P, "new")).toBe(true);
  expect(broker.isMarked(P, "old")).toBe(false);
});

test("what had ended is told to the store through two losses in a row", () => {
  const lane = new EmbeddedLane(1, Q, new Pump(), idle);
  const batch = new Batch();
  batch.end(new Row(lane, 7, 0, job(), 10, false, 0, false, false));
  const lost = new Error("lost");
  const again = batch.again(lost, lost).again(lost, lost);
  expect(again.empty).toBe(false);
  expect(again.toWork(0).chores).toEqual([{ do: "ended", rids: [7] }]);
  expect(again.outcomeOf(7)).toBe("gone");
});

test("cancelQueued leaves a job that a commit before its own has had handed out", async () => {
  const { broker } = await opened(folder());
  await broker.declare([Q]);
  const target = job();
  await broker.publish(target);
  const cancelling = broker.cancelQueued(P, target.id);
  // it looks the job up; meanwhile a whole batch is filled, which goes before the cancel and reads for hand-out
  await new Promise((resolve) => setImmediate(resolve));
  const flooding = broker.publishMany(jobs(10_001, { argsText: "1" }));
  const { inbox } = collect(broker, 1);
  const { found } = await cancelling;
  await flooding;
  const delivery = await inbox.next();
  const handed = delivery.envelope.id === target.id;
  expect(found).toBe(handed ? "unsettled" : "available");
  await broker.discard(delivery);
  expect(await broker.find(P, target.id)).toBe("absent");
});

test("a start whose job was handed back before it was recorded is no crash", async () => {
  const path = folder();
  const process_ = child("hold.mjs", path, "release");
  await said(process_, "ready");
  process_.kill("SIGKILL");
  await exited(process_);
  const { broker } = await opened(path);
  const { inbox } = collect(broker, 1);
  expect((await inbox.next()).suspect).toEqual({ crashes: 0, alone: false });
});

test("a job whose retry is being written is scheduled, not absent, and can be cancelled", async () => {
  const { broker } = await opened(folder());
  await broker.declare([Q]);
  const one = job();
  await broker.publish(one);
  const { inbox } = collect(broker, 1);
  const delivery = await inbox.next();
  const finding = broker.find(P, one.id);
  const cancelling = broker.cancelQueued(P, one.id);
  // the reads are under way: they see the job as it was
  await new Promise((resolve) => setImmediate(resolve));
  const retrying = broker.retry(delivery, job({ ...one, attempt: 1 }), Date.now() + 60_000);
  expect(await finding).toBe("scheduled");
  expect(await cancelling).toMatchObject({ found: "scheduled" });
  await retrying;
  expect(await broker.find(P, one.id)).toBe("absent");
  expect(broker.counts(Q)).toMatchObject({ available: 0, scheduled: 0, unsettled: 0 });
});

test("a due time that no Date can hold fails no commit", async () => {
  const { broker, heard } = await opened(folder());
  await broker.declare([Q]);
  await broker.publish(job(), { dueAt: Number.POSITIVE_INFINITY });
  await broker.publishMany(jobs(2));
  const { inbox } = collect(broker, 2);
  const [a, b] = await inbox.take(2);
  if (a !== undefined) await broker.retry(a, a.envelope, Date.now() + Number.MAX_SAFE_INTEGER);
  if (b !== undefined) await broker.retry(b, b.envelope, Number.POSITIVE_INFINITY);
  const { jobs: listed } = await broker.list(Q, 5);
  expect(listed.map((one) => one.dueAt)).toEqual([8.64e15, 8.64e15, 8.64e15]);
  expect(heard.said).toEqual(["connected"]);
});

test("the frontier is not moved past a backlog that was not read", () => {
  const lane = new EmbeddedLane(1, Q, new Pump(), idle);
  Object.assign(lane, { next: 1_000_000, available: 999_000, cursor: 999 });
  lane.outlet.subscribe(10, () => undefined);
  expect(lane.nextFrontier()).toBeLessThan(2_000);
  lane.atEnd = true;
  expect(lane.nextFrontier()).toBeGreaterThan(1_000_000);
});

test("a queue that was about to be run when the pump was stopped runs once it is started again", async () => {
  const pump = new Pump();
  let runs = 0;
  const run = () => {
    runs += 1;
  };
  const outlet = { marked: false, run };
  pump.mark(outlet);
  pump.stop();
  pump.start();
  expect(outlet.marked).toBe(false);
  pump.mark(outlet);
  await Promise.resolve();
  expect(runs).toBe(1);
});
