/**
 * Plain jobs in the store's journal: where they stand, who moves them into the index, and that nobody can tell from outside.
 */
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { StoreDamaged } from "../../src/broker/errors.ts";
import { openDatabase } from "../../src/embedded/store/driver.ts";
import { Journal } from "../../src/embedded/store/journal.ts";
import { LaneTable } from "../../src/embedded/store/lane-table.ts";
import { SCHEMA } from "../../src/embedded/store/schema.ts";
import { encodeEnvelope } from "../../src/jobs/codec.ts";
import { DuplicateJob } from "../../src/jobs/errors.ts";
import { collect, counted, Heard, job, OTHER, P, Q, record, until } from "../conformance/harness.ts";
import { brokerOn, child, exited, FRESH, folder, inspect, opened, plainId, said } from "./files.ts";
import { DatabaseSync } from "./sqlite.ts";

const plain = (name: string, fields = {}) => job({ id: plainId(name), ...fields });
const plains = (count: number) => Array.from({ length: count }, (_, at) => plain(`p${at}`));

/** What of a store that nobody holds stands in a table. */
function rowsOf(path: string, table: string): number {
  const db = openDatabase(join(path, "jobs.db"));
  const count = db.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)()?.n;
  db.close();
  return count ?? -1;
}

/** A process that is killed while it holds the store. */
async function killed(path: string, ...how: string[]): Promise<void> {
  const process_ = child("hold.mjs", path, ...how);
  await said(process_, "ready");
  process_.kill("SIGKILL");
  await exited(process_);
}

/** A store with one queue that is consumed, so that plain jobs are plain. */
async function consumed(limit: number, tuning = {}) {
  const path = folder();
  const { broker, heard } = await opened(path, tuning);
  await broker.declare([Q, OTHER]);
  return { path, broker, heard, ...collect(broker, limit) };
}

test("plain jobs of one commit are one row; after a crash they are indexed, in their order", async () => {
  const path = folder();
  await killed(path, "take", "plain");
  expect(rowsOf(path, "journal")).toBe(1);
  expect(rowsOf(path, "jobs")).toBe(3);
  const { broker } = await opened(path);
  expect(broker.counts(Q)).toMatchObject({ available: 303 });
  const { inbox } = collect(broker, 400);
  await inbox.count(303);
  expect(inbox.ids().slice(3)).toEqual(
    Array.from({ length: 300 }, (_, at) => plainId(`${at}`.padStart(3, "0"))),
  );
  for (const one of inbox.all) broker.complete(one);
  await counted(broker, { available: 0, unsettled: 0 });
  await broker.close();
  expect(inspect(path)).toMatchObject({ integrity: ["ok"], wrong: [], left: 0 });
});

test("of a row that has ended in part, what ended does not come back", async () => {
  const path = folder();
  await killed(path, "half");
  expect(rowsOf(path, "journal")).toBe(1);
  expect(rowsOf(path, "ends")).toBe(1);
  const { broker } = await opened(path);
  const { jobs } = await broker.list(Q, 20);
  const ids = jobs.map((one) => one.envelope.id).slice(3);
  expect(ids).toEqual([1, 3, 5, 7, 9].map((at) => plainId(`plain-${at}`)));
  expect(broker.counts(Q)).toMatchObject({ available: 8 });
});

test("jobs of one commit keep their order, plain or not", async () => {
  const { broker, inbox } = await consumed(20);
  const order = ["a", "b", "c", "d", "e", "f"];
  const sent = order.map((name) => plain(name, name === "b" || name === "e" ? { queueKey: name } : {}));
  const later = plain("later");
  const other = sent.map((one) => plain(`other-${one.id.slice(0, 1)}`, { queue: OTHER.queue }));
  await Promise.all([
    ...sent.flatMap((one, at) => [broker.publish(one, FRESH), broker.publish(other[at] ?? one, FRESH)]),
    broker.publish(later, { dueAt: Date.now() + 60_000, fresh: true }),
  ]);
  await inbox.count(6);
  expect(inbox.ids()).toEqual(sent.map((one) => one.id));
  const second = collect(broker, 10, OTHER).inbox;
  await second.count(6);
  expect(second.ids()).toEqual(other.map((one) => one.id));
});

test("who looks for a plain job finds it: by id, in a list, to cancel it, to purge it", async () => {
  const { broker, inbox } = await consumed(1);
  const sent = plains(6);
  await broker.publishMany(sent, FRESH);
  await inbox.count(1);
  const [first, second, third] = sent.map((one) => one.id);
  expect(await broker.find(P, first ?? "")).toBe("unsettled");
  expect(await broker.find(P, second ?? "")).toBe("available");
  expect((await broker.list(Q, 10)).jobs.map((one) => one.envelope.id)).toEqual(
    sent.slice(1).map((one) => one.id),
  );
  expect(await broker.cancelQueued(P, third ?? "")).toMatchObject({ found: "available" });
  const more = plain("more");
  await broker.publish(more, FRESH);
  expect([...(await broker.purge(Q))].sort()).toEqual(
    [second, ...sent.slice(3).map((one) => one.id), more.id].sort(),
  );
  for (const one of inbox.all) await broker.discard(one);
  await counted(broker, { available: 0, unsettled: 0 });
});

test("an id that a plain job has is refused to others while the job exists", async () => {
  const { broker, inbox } = await consumed(1);
  const first = plain("first");
  await broker.publishMany([first, plain("second")], FRESH);
  const again = plain("first");
  const refusal = (await broker.publish(again))?.get(again);
  expect(refusal).toBeInstanceOf(DuplicateJob);
  expect(refusal).toMatchObject({ holder: first.id, by: "id" });
  await broker.discard(await inbox.next());
  expect(await broker.publish(again)).toBeUndefined();
});

test("a plain job that is retried, buried or handed back is where any other would be", async () => {
  const { path, broker, inbox } = await consumed(4);
  await broker.publishMany(plains(5), FRESH);
  const [a, b, c, d] = await inbox.take(4);
  if (a === undefined || b === undefined || c === undefined || d === undefined)
    throw new Error("four are held");
  const text = JSON.stringify("x".repeat(5_000));
  const ended = [
    broker.retry(a, job({ ...a.envelope, attempt: 1, argsText: text }), Date.now() + 60_000),
    broker.bury(b, b.envelope, record("bad")),
  ];
  broker.release(c);
  broker.complete(d);
  await Promise.all(ended);
  await inbox.count(6);
  expect(inbox.ids().slice(4)).toEqual([plainId("p2"), plainId("p4")]);
  expect(await broker.find(P, a.envelope.id)).toBe("scheduled");
  expect((await broker.listBuried(Q)).map((one) => one.envelope?.argsText)).toEqual([b.envelope.argsText]);
  await counted(broker, { scheduled: 1, buried: 1, unsettled: 2, available: 0 });
  await broker.close();
  expect(inspect(path)).toMatchObject({ integrity: ["ok"], wrong: [], orphans: 0, bodiless: 0, left: 0 });
  const { broker: later } = await opened(path);
  const { jobs } = await later.list(Q, 10);
  expect(jobs.map((one) => [one.envelope.id, one.envelope.attempt])).toEqual([
    [plainId("p2"), 0],
    [plainId("p4"), 0],
    [plainId("p0"), 1],
  ]);
});

test("a start that is recorded of a plain job counts after a crash", async () => {
  const { path, broker, inbox } = await consumed(1);
  await broker.publish(plain("one"), FRESH);
  const delivery = await inbox.next();
  await broker.markStarted(delivery, true);
  expect(await broker.markCrashed(delivery)).toBe(1);
  await broker.close();
  const { broker: second } = await opened(path);
  const again = collect(second, 1).inbox;
  expect((await again.next()).suspect).toEqual({ crashes: 1, alone: true });
});

test("what is not taken from memory is read back in its order", async () => {
  const { broker, inbox } = await consumed(2, { keepJobs: 3, takeJobs: 4 });
  const sent = plains(40);
  for (let at = 0; at < 40; at += 5) await broker.publishMany(sent.slice(at, at + 5), FRESH);
  for (const one of sent) {
    const delivery = await inbox.next();
    expect(delivery.envelope.id).toBe(one.id);
    await broker.discard(delivery);
  }
  await counted(broker, { available: 0, unsettled: 0 });
});

test("a backlog of some thousands is read to its end, so that what comes behind it is in the journal again", async () => {
  const path = folder();
  await killed(path, "deep");
  expect(rowsOf(path, "journal")).toBe(1);
  const { broker } = await opened(path);
  // three of the fixture's own, of which and of the 5,000 ten have ended
  expect(broker.counts(Q)).toMatchObject({ available: 5_003 });
});

test("plain jobs on a full disk are refused as not stored, and the next ones have their places", async () => {
  const faults = { failCommit: { id: plainId("refused"), kind: "FULL" as const } };
  const { broker, inbox } = await consumed(5, { faults });
  const refused = plain("refused");
  expect((await broker.publish(refused, FRESH))?.get(refused)).toMatchObject({ code: "StorageFull" });
  const sent = plains(3);
  await broker.publishMany(sent, FRESH);
  await inbox.count(3);
  expect(inbox.ids()).toEqual(sent.map((one) => one.id));
  expect(await broker.find(P, refused.id)).toBe("absent");
});

test("a file of the format before the journal is brought up, with all that is in it", async () => {
  const path = folder();
  const { broker: first } = await opened(path);
  await first.declare([Q]);
  await first.publishMany(plains(3));
  await first.close();
  const db = new DatabaseSync(join(path, "jobs.db"));
  db.exec("DROP TABLE journal; DROP TABLE ends; UPDATE meta SET value=1 WHERE key='format'");
  db.close();
  const { broker } = await opened(path);
  const { inbox } = collect(broker, 10);
  await inbox.count(3);
  await broker.publish(plain("new"), FRESH);
  await inbox.count(4);
  await broker.close();
  expect(inspect(path)).toMatchObject({ integrity: ["ok"], wrong: [], left: 0 });
});

test("a row of the journal that lacks a line is damage, not fewer jobs", async () => {
  const path = folder();
  await killed(path, "take", "plain");
  const db = new DatabaseSync(join(path, "jobs.db"));
  db.exec("UPDATE journal SET body=substr(body, instr(body, char(10)) + 1)");
  db.close();
  await expect(brokerOn(path).open(new Heard())).rejects.toBeInstanceOf(StoreDamaged);
  expect(rowsOf(path, "journal"), "left as it is").toBe(1);
});

test("a plain job that is no job is buried with its bytes after a crash, and the others are handed out", async () => {
  const path = folder();
  await killed(path, "take", "plain");
  const db = new DatabaseSync(join(path, "jobs.db"));
  db.exec(`UPDATE journal SET body=replace(body, '"id":"${plainId("007")}"', '"id":7')`);
  db.close();
  const { broker, heard } = await opened(path);
  const { inbox } = collect(broker, 400);
  await inbox.count(302);
  await until(
    () => heard.burials.length,
    (count) => count === 1,
  );
  const [grave] = await broker.listBuried(Q);
  expect(Buffer.from(grave?.raw ?? []).toString()).toContain('"id":7');
});

/** The journal by itself, on tables of its own, with two lanes. */
function bench(staysMs = 1_000) {
  const db = openDatabase(":memory:");
  onTestFinished(() => db.close());
  db.exec(SCHEMA);
  const lanes = new LaneTable(db);
  const numbers = [lanes.declare(P, "a").lane, lanes.declare(P, "b").lane];
  const journal = new Journal(db, lanes, staysMs, 0);
  const add = (seq: number, lane: number, count: number, at: number) => {
    const body = Array.from({ length: count }, (_, n) => encodeEnvelope(plain(`${seq + n}`))).join("\n");
    journal.add({ seq, lane: numbers[lane] ?? 0, first: seq, count, body }, at);
  };
  const rids = () =>
    db
      .all<{ rid: number }>("SELECT rid FROM jobs ORDER BY rid")()
      .map(({ rid }) => rid);
  return { db, lanes, numbers, journal, add, rids };
}

test("what stays is moved once its time is over, what has ended is not", () => {
  const { journal, add, rids } = bench(1_000);
  add(0, 0, 3, 100);
  add(3, 0, 2, 500);
  expect(journal.nextMove).toBe(1_100);
  expect(journal.end(1)).toBe(true);
  expect(journal.end(1), "once").toBe(false);
  journal.moveOld(1_099);
  expect(rids()).toEqual([]);
  journal.moveOld(1_100);
  expect(rids()).toEqual([0, 2]);
  expect(journal.live).toBe(2);
  expect(journal.nextMove).toBe(1_500);
  expect(journal.end(0), "it is in the index").toBe(false);
});

test("on a disk without room nothing is moved for its age", () => {
  const { journal, add, rids } = bench(1_000);
  add(0, 0, 1, 0);
  journal.rest(2_000);
  journal.moveOld(2_000);
  expect(rids()).toEqual([]);
  expect(journal.nextMove).toBe(12_000);
  journal.moveOld(12_000);
  expect(rids()).toEqual([0]);
});

test("of a lane, what stands behind a place is moved, and nothing of others", () => {
  const { journal, add, rids, numbers } = bench();
  add(0, 0, 3, 0);
  add(3, 1, 3, 0);
  add(6, 0, 3, 0);
  journal.moveLane(numbers[0] ?? 0, 2);
  expect(rids()).toEqual([6, 7, 8]);
  journal.moveLane(numbers[0] ?? 0, 1);
  expect(rids()).toEqual([0, 1, 2, 6, 7, 8]);
  journal.moveOf(4);
  expect(rids()).toHaveLength(9);
  expect(journal.live).toBe(0);
});

test("a transaction that is rolled back is forgotten, one that is not is not", () => {
  const { db, journal, add } = bench();
  db.exec("BEGIN");
  add(0, 0, 10, 0);
  journal.end(3);
  journal.flush();
  db.exec("COMMIT");
  db.exec("BEGIN");
  add(10, 0, 5, 0);
  for (const rid of [0, 1, 2]) journal.end(rid);
  journal.moveOf(4);
  journal.flush();
  db.exec("ROLLBACK");
  journal.load(0);
  expect(journal.live).toBe(9);
  expect(journal.end(3)).toBe(false);
  for (const rid of [0, 1, 2, 4, 5, 6, 7, 8, 9]) expect(journal.end(rid)).toBe(true);
  journal.flush();
  for (const table of ["journal", "ends"])
    expect(db.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)()?.n, table).toBe(0);
});
