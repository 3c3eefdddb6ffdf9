/**
 * The suite `nodes`, as `npm run bench` runs it, at a hundredth of the size: what it measures here means nothing.
 *
 * On the shared broker, under names of its own. With SPILLWAY_LONG also on brokers of its own, which takes a minute.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Row } from "../../bench/report/rows.ts";
import { describeAmqp } from "../amqp/support/broker.ts";
import { benchOnce, benchWith } from "./spawned.ts";

const NOOP = "no-op jobs from one filled queue";
const WAITING = "jobs from one filled queue";

const standing = (rows: readonly Row[], metric: string) =>
  rows
    .filter((row) => row.metric === metric)
    .map(({ curve, baseline, checked }) => [curve?.at, baseline?.name, checked]);

describeAmqp("with a RabbitMQ", (url) => {
  test("a queue is run down by up to four busy nodes and by up to ten that wait, each job once", async () => {
    const { code, rows, stderr } = await benchOnce(["nodes"], { AMQP_URL: url });
    expect(code, stderr).toBe(0);
    expect(standing(rows, NOOP)).toEqual([
      [1, undefined, 500],
      [2, "1 node", 500],
      [4, "1 node", 500],
    ]);
    // as many jobs for each node
    expect(standing(rows, WAITING)).toEqual([
      [1, undefined, 10],
      [2, "1 node", 20],
      [4, "1 node", 40],
      [10, "1 node", 100],
    ]);
    expect(rows).toHaveLength(7);
    expect(stderr).toContain("no cluster of brokers is started: --quick leaves that out");
  }, 180_000);

  // some minutes: with SPILLWAY_LONG only
  if (process.env.SPILLWAY_LONG !== undefined)
    test("a cluster of three is compared with a single broker, and nothing is left on either", async () => {
      const folder = mkdtempSync(join(tmpdir(), "bench-test-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const json = join(folder, "rows.json");
      const args = ["nodes", "--rounds", "1", "--json", json];
      const { code, stdout, stderr } = await benchWith({ AMQP_URL: url }, ...args);
      expect(code, stderr).toBe(0);
      const rows = (JSON.parse(readFileSync(json, "utf8")) as Row[]).slice(7);
      if (rows.length === 0) return expect(stdout).toContain("left out: nodes, a cluster of three brokers");
      expect(rows.map((row) => `${row.case}: ${row.metric}`)).toEqual([
        "cluster of 3, one quorum queue: enqueues awaited, 1,024 at once",
        "cluster of 3, one quorum queue: no-op jobs from filled queues",
        "cluster of 3, 4 quorum queues: enqueues awaited, 1,024 at once",
        "cluster of 3, 4 quorum queues: no-op jobs from filled queues",
      ]);
      for (const { checked, baseline } of rows) {
        expect(checked).toBe(100);
        expect(baseline?.name).toMatch(/^single \d/);
      }
    }, 600_000);
});
