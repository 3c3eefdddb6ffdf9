/**
 * Many partitions on one node, with one queue each: all of them start, and each runs its job. (What a thousand cost is in
 * docs/performance.md.)
 */
import { describe, expect, onTestFinished, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import { startRuntime } from "../../src/runtime/runtime.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { until } from "../conformance/harness.ts";
import { brokers, Place, quiet } from "./support.ts";

const COUNT = 200;
const plain = defineJob({ name: "plain", perform: (_args: { x: number }) => undefined });

describe.each(brokers)("$kind", (kind) => {
  test(`${COUNT} partitions start, and each runs a job`, async () => {
    const ids = Array.from({ length: COUNT }, (_, n) => `p${n}`);
    const pool = new FakePool(2);
    pool.onStart = (task) => setImmediate(() => pool.finish(task));
    const runtime = await startRuntime(
      {
        broker: kind.of(new Place()),
        jobs: [plain],
        threads: 2,
        partitions: Object.fromEntries(ids.map((id) => [id, { default: 1 }])),
        logger: quiet,
      },
      { pool: () => pool },
    );
    onTestFinished(async () => void (await runtime.stop()));
    expect(await runtime.node.runningPartitionIds()).toEqual(ids);
    const ran = new Set<string>();
    runtime.on("job.completed", ({ partition }) => void ran.add(partition));
    await Promise.all(ids.map((partition, x) => runtime.enqueue(plain, { x }, { partition })));
    await until(
      () => ran.size,
      (size) => size === COUNT,
    );
    expect([...ran].sort()).toEqual([...ids].sort());
  });
});
