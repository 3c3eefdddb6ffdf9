/**
 * What stands in the folder is not ours, not whole, not readable: refused with a typed error, and left as it
 * is.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BrokerRefused, StoreDamaged, StoreDriverMissing, StoreUnreadable } from "../../src/broker/errors.ts";
import { prepareFolder } from "../../src/embedded/folder.ts";
import { collect, Heard, job, jobs, Q } from "../conformance/harness.ts";
import { brokerOn, child, exited, folder, opened, said } from "./files.ts";
import { DatabaseSync, driverName } from "./sqlite.ts";

/** A closed store with some jobs in it. */
async function filled(count = 200): Promise<string> {
  const path = folder();
  const { broker } = await opened(path);
  await broker.declare([Q]);
  await broker.publishMany(jobs(count, { argsText: JSON.stringify("x".repeat(500)) }));
  await broker.close();
  return path;
}

const data = (path: string) => join(path, "jobs.db");
const hash = (path: string) =>
  createHash("sha256")
    .update(readFileSync(data(path)))
    .digest("hex");

/** Refused twice, with the file as it was. */
async function refused(path: string, error: new (...args: never[]) => Error, text: RegExp): Promise<void> {
  const before = hash(path);
  for (let i = 0; i < 2; i++) {
    const opening = brokerOn(path).open(new Heard());
    await expect(opening).rejects.toBeInstanceOf(error);
    await expect(opening).rejects.toThrow(text);
  }
  expect(hash(path), "left as it is").toBe(before);
}

/** A store whose process was killed, its log beside it. */
async function crashed(how: "SIGKILL" | "exit" = "SIGKILL"): Promise<string> {
  const path = folder();
  const process_ = child("hold.mjs", path, how);
  await said(process_, "ready");
  process_.kill("SIGKILL");
  await exited(process_);
  return path;
}

test("a data file of zero bytes is refused", async () => {
  const path = await filled();
  truncateSync(data(path), 0);
  await refused(path, StoreUnreadable, /zero bytes/);
});

test("a missing data file is refused where there was one", async () => {
  const path = await filled();
  rmSync(data(path));
  await expect(brokerOn(path).open(new Heard())).rejects.toThrow(/jobs\.db is missing/);
});

test("a truncated data file is refused", async () => {
  const path = await filled();
  truncateSync(data(path), Math.floor(statSync(data(path)).size / 2) - 100);
  const opening = brokerOn(path).open(new Heard());
  await expect(opening).rejects.toMatchObject({ code: expect.stringMatching(/^Store(Damaged|Unreadable)$/) });
});

test("garbage in the header is refused", async () => {
  const path = await filled();
  const bytes = readFileSync(data(path));
  bytes.fill(0xa5, 0, 100);
  writeFileSync(data(path), bytes);
  await refused(path, StoreUnreadable, /not a database/);
});

test("a text file in its place is refused", async () => {
  const path = await filled();
  writeFileSync(data(path), "Dear diary, this is no database at all.\n".repeat(200));
  await refused(path, StoreUnreadable, /not a database/);
});

test("garbage inside fails the runtime that meets it, with StoreDamaged, and nothing is taken for a job", async () => {
  const path = await filled(3_000);
  const bytes = readFileSync(data(path));
  // everything behind the tables' first pages: the indexes and rows
  bytes.fill(0x5a, 4096 * 20, bytes.length - 4096);
  writeFileSync(data(path), bytes);
  const broker = brokerOn(path);
  const heard = new Heard();
  try {
    await broker.open(heard);
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^Store(Damaged|Unreadable)$/) });
    return;
  }
  const { inbox } = collect(broker, 10_000);
  const publishing = broker.publishMany(jobs(50));
  await expect(publishing).rejects.toBeInstanceOf(StoreDamaged);
  expect(heard.errors[0]).toBeInstanceOf(StoreDamaged);
  expect(inbox.all.every((one) => one.envelope.argsText.length === 502)).toBe(true);
  await expect(broker.publish(job())).rejects.toBeInstanceOf(StoreDamaged);
});

test("a foreign SQLite file is refused and not changed", async () => {
  const path = folder();
  const foreign = new DatabaseSync(data(path));
  foreign.exec("CREATE TABLE recipes(name TEXT); INSERT INTO recipes VALUES('soup')");
  foreign.close();
  await refused(path, StoreUnreadable, /not of this store/);
  expect(driverName).toMatch(/sqlite/);
});

test("another store's data file is refused", async () => {
  const [mine, other] = [await filled(), await filled()];
  copyFileSync(data(other), data(mine));
  await refused(mine, StoreUnreadable, /different stores/);
});

test("a store.json that is not JSON is refused", async () => {
  const path = await filled();
  writeFileSync(join(path, "store.json"), "{");
  await refused(path, StoreUnreadable, /store\.json is not JSON/);
});

test("a newer format is refused", async () => {
  const path = await filled();
  const db = new DatabaseSync(data(path));
  db.exec("UPDATE meta SET value=99 WHERE key='format'");
  db.close();
  await refused(path, StoreUnreadable, /format 99/);
});

test("the log removed after a crash is noticed: confirmed jobs would be lost", async () => {
  const path = await crashed();
  rmSync(`${data(path)}-wal`);
  await refused(path, StoreDamaged, /jobs\.db-wal is missing/);
});

test("a crash with its log is opened, and so is an exit without close, where SQLite put the log away", async () => {
  for (const how of ["SIGKILL", "exit"] as const) {
    const path = await crashed(how);
    const { broker } = await opened(path);
    expect(broker.counts(Q), how).toMatchObject({ available: 3 });
  }
});

test("garbage in the log of a clean store does no harm", async () => {
  const path = await filled(10);
  writeFileSync(`${data(path)}-wal`, Buffer.alloc(50_000, 0x77));
  const { broker } = await opened(path);
  expect(broker.counts(Q)).toMatchObject({ available: 10 });
});

test("a row that is no job is buried with its bytes intact, and the others are handed out", async () => {
  const path = await filled(3);
  const db = new DatabaseSync(data(path));
  db.exec("UPDATE jobs SET body='{\"v\":1, no json\nat all' WHERE rid=(SELECT min(rid) FROM jobs)");
  db.close();
  const { broker, heard } = await opened(path);
  const { inbox } = collect(broker, 10);
  await inbox.count(2);
  await broker.holderOf(Q.partition, "a commit later");
  const [grave] = await broker.listBuried(Q);
  expect(grave).toMatchObject({ envelope: undefined, record: { reason: "undecodable" } });
  expect(Buffer.from(grave?.raw ?? []).toString()).toBe('{"v":1, no json\nat all');
  expect(heard.burials).toMatchObject([{ id: grave?.id, queue: Q.queue }]);
  const [outcome] = await broker.requeueBuried(Q, "all");
  expect(outcome?.error).toMatchObject({ code: "InvalidJob" });
  expect(await broker.dropBuried(Q, "all")).toEqual([grave?.id]);
  expect(broker.counts(Q)).toMatchObject({ available: 0, unsettled: 2, buried: 0 });
});

test("a file where the folder should be, or on the way to it, is refused", async () => {
  const path = folder();
  writeFileSync(join(path, "file"), "");
  await expect(brokerOn(join(path, "file")).open(new Heard())).rejects.toThrow(/it is a file, not a folder/);
  await expect(brokerOn(join(path, "file", "deeper")).open(new Heard())).rejects.toThrow(
    /part of its path is a file/,
  );
});

test("a folder where the data file should be is refused", async () => {
  const path = folder();
  mkdirSync(data(path));
  await expect(brokerOn(path).open(new Heard())).rejects.toThrow(/jobs\.db is not a file/);
});

test("a network file system is refused unless forced", () => {
  const path = folder();
  expect(() => prepareFolder(path, false, () => 0x6969)).toThrow(BrokerRefused);
  expect(() => prepareFolder(path, false, () => 0x6969)).toThrow(/NFS.*force: true/);
  expect(() => prepareFolder(path, true, () => 0x6969)).not.toThrow();
  expect(() => prepareFolder(path, false, () => 0xef53)).not.toThrow();
});

test("without a driver the error says what to install, and the folder can be opened when there is one", async () => {
  const path = folder();
  const opening = brokerOn(path, { driver: "none" }).open(new Heard());
  await expect(opening).rejects.toBeInstanceOf(StoreDriverMissing);
  await expect(opening).rejects.toThrow(/npm i better-sqlite3@12/);
  await expect(opened(path)).resolves.toBeDefined();
});
