/**
 * SQLite, whichever way this Node has it: `node:sqlite` from 22.13 on, else `better-sqlite3` 12.
 *
 * Owns the differences between the two and nothing else; both gave the same results in every trial. Runs in
 * the store thread only: a second SQLite library on the same file would void its lock.
 */
import { createRequire } from "node:module";

/** The few calls the store makes. Statements are prepared once; a call with the wrong types throws. */
export interface Database {
  /** `better-sqlite3` or `node:sqlite`. */
  readonly driver: string;
  exec(sql: string): void;
  close(): void;
  /** How many rows it changed. */
  run(sql: string): (...args: Value[]) => number;
  get<R>(sql: string): (...args: Value[]) => R | undefined;
  all<R>(sql: string): (...args: Value[]) => R[];
  /** Rows as lists in the order of their columns: half the time of `all`. */
  rows<R extends readonly unknown[]>(sql: string): (...args: Value[]) => R[];
}

export type Value = string | number | null | Uint8Array;

/** No driver could be loaded; main makes `StoreDriverMissing` of it. */
export class NoDriver extends Error {}

interface Statement {
  run(...args: Value[]): { changes: number | bigint };
  get(...args: Value[]): unknown;
  all(...args: Value[]): unknown[];
  /** better-sqlite3's word for rows as lists, and Node's, which not all of its versions have. */
  raw?(on: boolean): unknown;
  setReturnArrays?(on: boolean): unknown;
}

interface Connection {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): void;
}

const NAMES: Record<number, string> = {
  5: "BUSY",
  8: "READONLY",
  10: "IOERR",
  11: "CORRUPT",
  13: "FULL",
  14: "CANTOPEN",
  19: "CONSTRAINT",
  26: "NOTADB",
};

/** SQLite's word for an error, the same from both drivers; `undefined` when it is not SQLite's. */
export function kindOf(thrown: unknown): string | undefined {
  const error = thrown as { errcode?: number; code?: string } | undefined;
  if (error?.errcode !== undefined) return NAMES[error.errcode & 0xff] ?? "ERROR";
  return /^SQLITE_([A-Z]+)/.exec(error?.code ?? "")?.[1];
}

export function openDatabase(path: string): Database {
  const { driver, connection } = connect(path);
  return {
    driver,
    exec: (sql) => void connection.exec(sql),
    close: () => connection.close(),
    run(sql) {
      const statement = connection.prepare(sql);
      return (...args) => Number(statement.run(...args).changes);
    },
    get<R>(sql: string) {
      const statement = connection.prepare(sql);
      return (...args: Value[]) => statement.get(...args) as R | undefined;
    },
    all<R>(sql: string) {
      const statement = connection.prepare(sql);
      return (...args: Value[]) => statement.all(...args) as R[];
    },
    rows<R extends readonly unknown[]>(sql: string) {
      const statement = connection.prepare(sql);
      if (statement.raw !== undefined) statement.raw(true);
      else if (statement.setReturnArrays !== undefined) statement.setReturnArrays(true);
      else
        return (...args: Value[]) =>
          statement.all(...args).map((row): unknown => Object.values(row as object)) as R[];
      return (...args: Value[]) => statement.all(...args) as R[];
    },
  };
}

function connect(path: string): { driver: string; connection: Connection } {
  const sqlite = builtin();
  if (sqlite !== undefined) return { driver: "node:sqlite", connection: new sqlite.DatabaseSync(path) };
  const Better = loadBetter();
  return { driver: "better-sqlite3", connection: new Better(path, { timeout: 0 }) };
}

/**
 * Node 22 warns that its own module is experimental; it is the tried one here, so users are spared the line.
 */
function builtin(): { DatabaseSync: new (path: string) => Connection } | undefined {
  const emit = process.emitWarning;
  const quiet = (warning: string | Error, ...rest: never[]) => {
    const text = typeof warning === "string" ? warning : warning.message;
    if (!text.startsWith("SQLite is an experimental")) emit.call(process, warning, ...rest);
  };
  process.emitWarning = quiet as typeof process.emitWarning;
  try {
    const load = process.getBuiltinModule as ((id: string) => unknown) | undefined;
    return load?.("node:sqlite") as { DatabaseSync: new (path: string) => Connection } | undefined;
  } finally {
    process.emitWarning = emit;
  }
}

function loadBetter(): new (path: string, options: { timeout: number }) => Connection {
  try {
    const Better = createRequire(import.meta.url)("better-sqlite3");
    new Better(":memory:").close();
    return Better;
  } catch (cause) {
    throw new NoDriver("no SQLite", { cause });
  }
}
