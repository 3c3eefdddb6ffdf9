/**
 * The suite that compares with other systems: that it runs on what this machine has, says what it has not, and sees a
 * job that another system lost or ran twice.
 *
 * The other systems are packages of `bench/peers`, which may not be installed, on servers that may not be there.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { HOW_TO, installed } from "../../bench/peers/packages.ts";
import { addressOf, urlOf } from "../../bench/peers/postgres.ts";
import { described, noGroups, type PeerSystem, through } from "../../bench/peers/system.ts";
import { Bench } from "../../bench/runner/bench.ts";
import { readSettings } from "../../bench/runner/settings.ts";
import { suggest } from "../../src/jobs/suggest.ts";
import { benchOnce } from "./spawned.ts";

/** Nobody answers there. */
const NOWHERE = { REDIS_URL: "redis://:secret@127.0.0.1:1", PGHOST: "127.0.0.1", PGPORT: "1" };

const POOLS = ["raw Piscina", "tinypool", "workerpool", "poolifier"].map(
  (name) => `${name} (threads, not kept)`,
);

// What can be shown depends on what is installed; either way something is.
if (installed())
  describe("with the packages of bench/peers", () => {
    test("every pair runs each job exactly once, and each row says where bodies run and what is kept", async () => {
      const { code, stderr, rows } = await benchOnce(["peers"]);
      expect(code, stderr).toBe(0);
      for (const row of rows) {
        expect(row.checked, row.case).toBeGreaterThan(0);
        expect(row.baseline?.name).toMatch(
          /\((threads|processes|in-process), (not kept|in Redis.*|in PostgreSQL.*)\)$/,
        );
      }
      expect(rows.slice(0, 4).map((row) => row.baseline?.name)).toEqual(POOLS);
      const goals = rows.filter((row) => row.goal !== null).map((row) => [row.baseline?.name, row.goal]);
      for (const [name, goal] of goals)
        expect(goal).toBe(/BullMQ/.test(`${name}`) ? (/threads/.test(`${name}`) ? 20 : 4) : 10);
    }, 600_000);

    test("without Redis and PostgreSQL the pools are compared, and two lines say how to have the rest", async () => {
      const { stdout, stderr, rows } = await benchOnce(["peers"], NOWHERE);
      expect(rows.map((row) => row.baseline?.name)).toEqual([...POOLS, ...POOLS]);
      expect(stderr).toContain("no Redis answers at 127.0.0.1:1: start one");
      expect(stderr).toContain("at 127.0.0.1:1: start one (Debian: apt install postgresql)");
      expect(stdout + stderr).not.toContain("secret");
    }, 300_000);
  });
else
  test("without the packages of bench/peers the suite says how to have them, and fails when it was asked for", async () => {
    const { code, stderr } = await benchOnce(["peers"]);
    expect(code).toBe(1);
    expect(stderr).toContain(HOW_TO);
  });

test("other systems are pinned to one version each, and none is a dependency of the package", () => {
  const read = (path: string) => {
    const text = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
    return JSON.parse(text) as Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
  const pinned = read("bench/peers/package.json").dependencies ?? {};
  expect(Object.keys(pinned)).toContain("bullmq");
  for (const [name, version] of Object.entries(pinned)) expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
  const own = read("package.json");
  const kinds = ["dependencies", "peerDependencies", "optionalDependencies", "devDependencies"];
  const named = kinds.flatMap((kind) => Object.keys(own[kind] ?? {}));
  expect(Object.keys(pinned).filter((name) => named.includes(name))).toEqual([]);
});

test("PostgreSQL is looked for as psql looks for it", () => {
  expect(urlOf(addressOf({}))).toBe("postgres://postgres@localhost:5432/postgres");
  expect(urlOf(addressOf({ PGHOST: "db", PGPORT: "6543", PGUSER: "a@b", PGDATABASE: "jobs" }))).toBe(
    "postgres://a%40b@db:6543/jobs",
  );
  expect(urlOf(addressOf({ PGHOST: "/run/postgresql" }))).toBe(
    "postgres://postgres@:5432/postgres?host=%2Frun%2Fpostgresql",
  );
});

/** Runs each job so often, at once. */
function system(times: number): PeerSystem {
  let runs = 0;
  return {
    name: "other",
    where: "in-process",
    kept: "not kept",
    enqueue: async () => {
      runs += times;
    },
    enqueueMany: noGroups("other"),
    runs: () => runs,
    left: async () => 0,
    close: async () => {},
  };
}

test("a system that runs a job twice fails the run, one that runs each once does not", async () => {
  const settings = readSettings([], ["peers"], suggest);
  if (settings === "help") throw new Error("help was not asked for");
  const failed = async (times: number) => {
    const bench = new Bench("peers", settings, () => {});
    const { checked } = await through(bench, system(times), { body: "noop", jobs: 10, atOnce: 2 });
    expect(checked).toBe(10);
    return bench.failed;
  };
  expect(await failed(1)).toEqual([]);
  expect(await failed(2)).toEqual(["peers: runs of other: expected 10, got 20"]);
});

test("a row says what the other system is like", async () => {
  expect(described(system(1))).toBe("other (in-process, not kept)");
  await expect(system(1).enqueueMany("noop", 2)).rejects.toThrow("other takes one job a call");
});
