/**
 * Opening the data file: the lock, what it is, whether it is whole, and who took the last process down.
 *
 * Owns the order of these steps. Until the lock is won nothing is changed; a file that is not ours, not whole
 * or older than it was is refused, never opened as empty. What a crash left in `run` is judged in one
 * transaction.
 */

import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { poisonRecord } from "../../broker/poison.ts";
import { CommitCount, madeCommits, storedCommits } from "./commit-count.ts";
import { type Database, kindOf, NoDriver, openDatabase } from "./driver.ts";
import { Journal } from "./journal.ts";
import { LaneTable } from "./lane-table.ts";
import type { Opened, RefusedOpen, StoreConfig } from "./protocol.ts";
import { FORMAT, FORMAT_WITHOUT_JOURNAL, JOURNAL, LOCK, PRAGMAS, SCHEMA } from "./schema.ts";
import { vacuumIfMostlyEmpty } from "./vacuum.ts";

const MARK_KEPT_MS = 30 * 24 * 3_600_000;

/** Why the folder was not opened. */
export class Refusal extends Error {
  constructor(
    readonly code: RefusedOpen["code"],
    readonly problem: string,
  ) {
    super(problem);
  }
}

export interface OpenStore {
  readonly db: Database;
  readonly lanes: LaneTable;
  readonly journal: Journal;
  readonly commits: CommitCount;
  readonly opened: Omit<Opened, "kind" | "nextDue">;
}

/** @throws Refusal */
export function openStore(config: StoreConfig): OpenStore {
  const file = join(config.folder, "jobs.db");
  const fresh = isFresh(config.folder, file);
  const hadWal = existsSync(`${file}-wal`);
  const db = connect(config, file);
  try {
    const unclean = prepare(db, config.folder, fresh, hadWal);
    const lanes = new LaneTable(db);
    const journal = openJournal(db, lanes, config);
    const poison = unclean && !config.reopened ? judge(db, lanes, config) : [];
    vacuumIfMostlyEmpty(db);
    db.exec("UPDATE meta SET value=0 WHERE key='clean'; DELETE FROM run;");
    db.run("DELETE FROM marks WHERE at<?")(config.now - MARK_KEPT_MS);
    // into the main file, so that a lost -wal is noticed
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    hold(config);
    const commits = new CommitCount(db, config.folder);
    return { db, lanes, journal, commits, opened: { ...describe(db), lanes: lanes.rows(), unclean, poison } };
  } catch (error) {
    db.close();
    throw refusalOf(error);
  }
}

/** True when there is nothing yet. Looks at names and sizes only: another process may hold the file. */
function isFresh(folder: string, file: string): boolean {
  const known = existsSync(join(folder, "store.json"));
  if (!existsSync(file)) {
    if (known) throw new Refusal("StoreUnreadable", "jobs.db is missing, store.json says there was one");
    return true;
  }
  const stat = statSync(file);
  if (!stat.isFile()) throw new Refusal("StoreUnreadable", "jobs.db is not a file");
  if (stat.size > 0) return false;
  if (known || existsSync(`${file}-wal`))
    throw new Refusal("StoreUnreadable", "jobs.db is empty (zero bytes)");
  return true;
}

function connect(config: StoreConfig, file: string): Database {
  if (config.tuning.driver === "none") throw new Refusal("StoreDriverMissing", "");
  let db: Database | undefined;
  try {
    db = openDatabase(file);
    db.exec(LOCK);
    db.get("SELECT count(*) AS tables FROM sqlite_schema")();
    return db;
  } catch (error) {
    db?.close();
    throw refusalOf(error);
  }
}

function refusalOf(thrown: unknown): Error {
  if (thrown instanceof Refusal) return thrown;
  if (thrown instanceof NoDriver) return new Refusal("StoreDriverMissing", String(thrown.cause));
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  switch (kindOf(thrown)) {
    case "BUSY":
      return new Refusal("BrokerInUse", message);
    case "CORRUPT":
      return new Refusal("StoreDamaged", `SQLite says "${message}" at open`);
    case undefined:
      return thrown instanceof Error ? thrown : new Error(message);
    default:
      return new Refusal("StoreUnreadable", `SQLite says "${message}" about jobs.db`);
  }
}

/** Makes the tables or checks that they are ours. True when the last holder did not close it. */
function prepare(db: Database, folder: string, fresh: boolean, hadWal: boolean): boolean {
  const tables = db.all<{ name: string }>("SELECT name FROM sqlite_schema WHERE type='table'")();
  const names = new Set(tables.map((table) => table.name));
  const store = join(folder, "store.json");
  if (tables.length === 0 && (fresh || !existsSync(store))) return create(db, store);
  if (!["meta", "lanes", "jobs", "bodies", "run", "marks"].every((name) => names.has(name))) {
    throw new Refusal("StoreUnreadable", "jobs.db is a SQLite file, but not of this store");
  }
  const meta = db.get<{ value: string | number }>("SELECT value FROM meta WHERE key=?");
  const format = Number(meta("format")?.value);
  if (format !== FORMAT && format !== FORMAT_WITHOUT_JOURNAL) {
    throw new Refusal("StoreUnreadable", `it has format ${format}, this version reads up to ${FORMAT}`);
  }
  const uuid = String(meta("uuid")?.value);
  checkUuid(store, uuid);
  db.exec(PRAGMAS);
  const unclean = Number(meta("clean")?.value) !== 1;
  if (unclean && !hadWal && storedCommits(db) < madeCommits(folder)) {
    throw new Refusal("StoreDamaged", "jobs.db-wal is missing: confirmed jobs would be lost");
  }
  if (format === FORMAT_WITHOUT_JOURNAL) addJournal(db, store, uuid);
  return unclean;
}

/** From here on a version that knows no journal refuses the file. */
function addJournal(db: Database, store: string, uuid: string): void {
  db.exec(`BEGIN IMMEDIATE; ${JOURNAL} UPDATE meta SET value=${FORMAT} WHERE key='format'; COMMIT;`);
  writeStoreFile(store, uuid);
}

/** What a crash has left in it is where everything else is: so it is read, found and judged like that. */
function openJournal(db: Database, lanes: LaneTable, { tuning, now }: StoreConfig): Journal {
  const journal = new Journal(db, lanes, tuning.journalMs, now);
  db.exec("BEGIN IMMEDIATE");
  journal.moveAll();
  db.exec("COMMIT");
  return journal;
}

function create(db: Database, store: string): boolean {
  const uuid = randomUUID();
  db.exec(PRAGMAS);
  db.exec("BEGIN IMMEDIATE");
  db.exec(SCHEMA);
  const put = db.run("INSERT INTO meta VALUES(?,?)");
  put("format", FORMAT);
  put("uuid", uuid);
  put("clean", 0);
  put("epoch", 0);
  put("commits", 0);
  db.exec("COMMIT");
  writeStoreFile(store, uuid);
  return false;
}

function checkUuid(store: string, uuid: string): void {
  if (!existsSync(store)) {
    writeStoreFile(store, uuid); // the process ended between the two files
    return;
  }
  let known: unknown;
  try {
    known = (JSON.parse(readFileSync(store, "utf8")) as { uuid?: unknown }).uuid;
  } catch {
    throw new Refusal("StoreUnreadable", "store.json is not JSON");
  }
  if (known !== uuid) throw new Refusal("StoreUnreadable", "store.json and jobs.db are of different stores");
}

function writeStoreFile(store: string, uuid: string): void {
  replaceFile(store, { what: "a store of Spillway jobs; jobs.db is its data", format: FORMAT, uuid });
}

/** Each row of `run` is one crash: of its job if it ran alone, perhaps of a neighbour if not. */
function judge(db: Database, lanes: LaneTable, { maxCrashes, now }: StoreConfig): Opened["poison"] {
  interface Row {
    readonly rid: number;
    readonly id: string;
    readonly lane: number;
    readonly crashes: number;
    readonly alone: number;
  }
  const rows = db.all<Row>(
    `SELECT j.rid, j.id, j.lane, j.crashes, r.alone FROM run r JOIN jobs j ON j.rid=r.rid AND j.state=0`,
  )();
  const count = db.run("UPDATE jobs SET crashes=? WHERE rid=?");
  const bury = db.run("UPDATE jobs SET state=2, ord=?, crashes=?, qkey=NULL, reason=? WHERE rid=?");
  const poison: Opened["poison"] = [];
  db.exec("BEGIN IMMEDIATE");
  for (const row of rows) {
    const crashes = row.alone === 1 ? row.crashes + 1 : Math.max(row.crashes, 1);
    if (crashes < maxCrashes) {
      count(crashes, row.rid);
      continue;
    }
    const lane = lanes.touch(row.lane);
    const record = poisonRecord(crashes, now);
    bury(lane.burials, crashes, JSON.stringify(record), row.rid);
    lane.burials += 1;
    lane.available -= 1;
    lane.buried += 1;
    poison.push({ partition: lane.partition, queue: lane.queue, id: row.id, record });
  }
  db.exec("DELETE FROM run");
  lanes.flush();
  db.exec("COMMIT");
  lanes.settle();
  return poison;
}

function describe(db: Database): Pick<Opened, "driver" | "marks" | "maxRid"> {
  const version = db.get<{ version: string }>("SELECT sqlite_version() AS version")()?.version;
  const marks = db.all<{ partition: string; id: string; at: number }>(
    `SELECT substr(p.key, 6) AS partition, m.id, m.at FROM marks m
     JOIN meta p ON p.key LIKE 'part:%' AND p.value=m.part ORDER BY m.at`,
  )();
  const last = db.get<{ rid: number }>("SELECT max(rid) AS rid FROM jobs")()?.rid;
  return {
    driver: `${db.driver}, SQLite ${version}`,
    marks: marks.map(({ partition, id, at }) => ({ partition, id, at })),
    maxRid: last ?? 0,
  };
}

/** Says who has the folder; the token is how this process knows later that it still does. */
function hold({ folder, node, token, now }: StoreConfig): void {
  const holder = { pid: process.pid, host: hostname(), node, since: now, token };
  replaceFile(join(folder, "holder.json"), holder);
}

function replaceFile(path: string, value: unknown): void {
  writeFileSync(`${path}.tmp`, `${JSON.stringify(value, undefined, 2)}\n`);
  renameSync(`${path}.tmp`, path);
}
