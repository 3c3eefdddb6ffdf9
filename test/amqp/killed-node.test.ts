/**
 * A node's process killed by SIGKILL while its threads run bodies: the other node starts those again, and no others,
 * with no attempt spent; what had only been handed to the dead one starts once.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { rabbitmq } from "../../src/amqp/index.ts";
import { defineJob } from "../../src/jobs/definition.ts";
import { Runtime } from "../../src/runtime/runtime.ts";
import { until } from "../conformance/harness.ts";
import { quiet } from "../runtime/support.ts";
import { describeAmqp, freshPrefix } from "./support/broker.ts";
import { cleanUpPrefix } from "./support/made.ts";
import { NodeProcess } from "./support/node-process.ts";

/** Four bodies on each node at once, and as many that have not started. */
const JOBS = 12;
const gated = defineJob({ name: "gated", perform: (_args: { log: string; gate: string }) => {} });

/** Whose bodies have started, by job: process ids, and that no attempt was spent. */
function startsOf(log: string): Map<string, number[]> {
  const starts = new Map<string, number[]>();
  for (const line of readFileSync(log, "utf8").split("\n")) {
    const [what, id = "", attempt, pid] = line.split(" ");
    if (what !== "start") continue;
    expect(attempt).toBe("0");
    starts.set(id, [...(starts.get(id) ?? []), Number(pid)]);
  }
  return starts;
}

describeAmqp("a node that is killed", (url) => {
  test("has its running jobs run again by the other node, and no others", { timeout: 120_000 }, async () => {
    const prefix = freshPrefix();
    const folder = mkdtempSync(join(tmpdir(), "spillway-killed-"));
    const [log, gate] = [join(folder, "log"), join(folder, "gate")];
    writeFileSync(log, "");
    const producer = await Runtime.start({
      broker: rabbitmq({ url, prefix, heartbeat: 1, newQueueGrace: 0 }),
      nodeTimeout: 7_000,
      partitions: { p: { default: 0 } },
      logger: quiet,
    });
    const start = (name: string) => new NodeProcess("node.mjs", { url, prefix, name });
    const [dead, heir] = [start("dead"), start("heir")];
    onTestFinished(async () => {
      await dead.stop();
      await heir.stop();
      await producer.stop();
      await cleanUpPrefix(url, prefix, [{ partition: "p", queue: "default" }]);
      rmSync(folder, { recursive: true });
    });
    await Promise.all([dead, heir].map((node) => node.hears("ready")));
    const many = Array.from({ length: JOBS }, () => ({ log, gate }));
    await producer.enqueueMany(gated, many, { partition: "p" });
    await until(
      () => startsOf(log),
      (starts) => starts.size === 8,
    );
    const ofDead = [...startsOf(log)].filter(([, pids]) => pids[0] === dead.pid).map(([id]) => id);
    expect(ofDead).toHaveLength(4);

    await dead.kill();
    await heir.hears("node.gone", ({ other }) => other === "dead");
    writeFileSync(gate, "");
    await heir.until(() => heir.told.filter(({ type }) => type === "job.completed").length === JOBS);

    const starts = startsOf(log);
    expect(starts.size).toBe(JOBS);
    for (const [id, [first, ...again]] of starts) {
      expect(first === dead.pid).toBe(ofDead.includes(id));
      expect(again).toHaveLength(ofDead.includes(id) ? 1 : 0);
      // what the dead one had in hand may have killed it: it runs in a process of its own
      expect(again).not.toContain(heir.pid);
    }
    expect(await producer.queues.purge("p", "default")).toBe(0);
  });
});
