/**
 * SQLite for tests that prepare or damage a closed file: the driver of this Node, under one name.
 */
import { createRequire } from "node:module";

interface Connection {
  exec(sql: string): unknown;
  close(): void;
}

const builtin = process.getBuiltinModule?.("node:sqlite" as never) as
  | { DatabaseSync: new (path: string) => Connection }
  | undefined;

export const driverName = builtin === undefined ? "better-sqlite3" : "node:sqlite";

export const DatabaseSync: new (path: string) => Connection =
  builtin?.DatabaseSync ?? createRequire(import.meta.url)("better-sqlite3");
