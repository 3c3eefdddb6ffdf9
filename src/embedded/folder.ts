/**
 * The folder of an embedded store, before SQLite sees it: what it is, where it is, who of this process has
 * it.
 *
 * Owns the registry of open folders of this process, by (device, inode) under `Symbol.for`, so that two
 * copies of this package see each other: POSIX locks do not keep a process from itself. Released at close;
 * gone with the process.
 */
import { accessSync, constants, mkdirSync, readFileSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  BrokerInUse,
  BrokerRefused,
  BrokerUnreachable,
  StoreDamaged,
  StoreDriverMissing,
  StoreUnreadable,
} from "../broker/errors.ts";
import type { RefusedOpen, Trouble } from "./store/protocol.ts";

type Holder = BrokerInUse["holder"];

/** `statfs` types on which locks and flushes are not to be trusted. */
const NETWORK: Readonly<Record<number, string>> = {
  26985: "NFS",
  20859: "SMB",
  4266872130: "SMB",
  4283649346: "CIFS",
  16914839: "9p",
  1702057286: "FUSE",
  1397113167: "AFS",
  12805120: "Ceph",
};

/**
 * Makes the folder if it is not there, and checks that files can be made in it.
 *
 * @throws StoreUnreadable, BrokerRefused (a network file system, unless `force`)
 */
export function prepareFolder(path: string, force: boolean, typeOf = fileSystemType): void {
  try {
    mkdirSync(path, { recursive: true });
    if (!statSync(path).isDirectory()) throw new StoreUnreadable(path, "it is not a folder");
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw asUnreadable(path, error, "its folder");
  }
  checkFile(path);
  const network = force ? undefined : NETWORK[typeOf(path)];
  if (network === undefined) return;
  const why = `it lies on a network file system (${network}), whose locks and flushes are not to be trusted`;
  throw new BrokerRefused(path, `${why}. Use a local disk, or embedded({ path, force: true }).`);
}

/** SQLite's own words for these are of no help. */
function checkFile(path: string): void {
  try {
    accessSync(join(path, "jobs.db"), constants.R_OK | constants.W_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw asUnreadable(path, error, "jobs.db");
  }
}

function asUnreadable(path: string, error: unknown, what: string): Error {
  if (error instanceof StoreUnreadable) return error;
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const problems: Record<string, string> = {
    EACCES: `${what} may not be written by this user`,
    EPERM: `${what} may not be written by this user`,
    EROFS: `${what} is on a read-only file system`,
    EEXIST: "it is a file, not a folder",
    ENOTDIR: "a part of its path is a file, not a folder",
    ENOSPC: "the disk is full",
  };
  return new StoreUnreadable(path, problems[code] ?? String(error), { cause: error });
}

function fileSystemType(path: string): number {
  return process.platform === "linux" ? Number(statfsSync(path).type) : 0;
}

const REGISTRY = Symbol.for("spillway.embedded.open");

function registry(): Map<string, Holder> {
  const shared = globalThis as { [REGISTRY]?: Map<string, Holder> };
  shared[REGISTRY] ??= new Map();
  return shared[REGISTRY];
}

/**
 * Takes the folder for one broker of this process; the answer gives it back.
 *
 * @throws BrokerInUse
 */
export function claimFolder(path: string, holder: Holder): () => void {
  const { dev, ino } = statSync(path);
  const key = `${dev}:${ino}`;
  const claimed = registry().get(key);
  if (claimed !== undefined) throw new BrokerInUse(path, claimed);
  registry().set(key, holder);
  return () => void registry().delete(key);
}

/** Who wrote `holder.json`; nothing when nobody did. */
export function readHolder(path: string): Holder {
  try {
    const { pid, host, node, since } = JSON.parse(readFileSync(join(path, "holder.json"), "utf8")) as Holder;
    return {
      ...(typeof pid === "number" ? { pid } : {}),
      ...(typeof host === "string" ? { host } : {}),
      ...(typeof node === "string" ? { node } : {}),
      ...(typeof since === "number" ? { since } : {}),
    };
  } catch {
    return {};
  }
}

/** The store thread's refusal, as callers see it. */
export function refusedOpen(path: string, { code, problem }: RefusedOpen): Error {
  switch (code) {
    case "BrokerInUse":
      return new BrokerInUse(path, readHolder(path), { cause: problem });
    case "StoreUnreadable":
      return new StoreUnreadable(path, problem);
    case "StoreDamaged":
      return new StoreDamaged(path, problem);
    case "StoreDriverMissing":
      return new StoreDriverMissing({ cause: problem });
  }
}

/** What went wrong in a store that is open, as callers see it. */
export function troubled(path: string, { kind, message }: Trouble): Error {
  return kind === "CORRUPT" || kind === "NOTADB"
    ? new StoreDamaged(path, `SQLite says ${kind}`, { cause: message })
    : new BrokerUnreachable(path, { cause: `${kind}: ${message}` });
}
