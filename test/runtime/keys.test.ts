/**
 * Who has a key, and freeing one by hand, with brokers of one process; `test/amqp/keys.test.ts` has it across nodes.
 */
import { describe, expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import { startRuntime } from "../../src/runtime/runtime.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { until } from "../conformance/harness.ts";
import { brokers, collect, Place, quiet } from "./support.ts";

const keyed = defineJob({
  name: "keyed",
  queueKey: ({ x }: { x: number }) => `q${x}`,
  executionKey: () => "e",
  perform: () => undefined,
});

describe.each(brokers)("$kind", ({ of }) => {
  async function started() {
    const pool = new FakePool(4);
    const runtime = await startRuntime(
      { broker: of(new Place()), jobs: [keyed], partitions: { p: { default: 4 } }, logger: quiet },
      { pool: () => pool },
    );
    return { runtime, pool };
  }

  test("a queue key is somebody's from enqueue to end, an execution key while the job runs", async () => {
    const { runtime, pool } = await started();
    const [a, b] = await runtime.enqueueMany(keyed, [{ x: 1 }, { x: 2 }], { partition: "p" });
    await until(
      () => pool.running.length,
      (count) => count === 1,
    );
    expect(await runtime.keys.isQueued("p", "q1")).toBe(true);
    expect(await runtime.keys.isQueued("p", "q3")).toBe(false);
    expect(await runtime.keys.isExecuting("p", "e")).toBe(true);
    await until(
      () => runtime.keys.holders("p"),
      ([holder]) => holder?.waiting === 1,
    );
    expect(await runtime.keys.holders("p")).toEqual([
      { key: "e", id: a?.id, node: runtime.name, waiting: 1 },
    ]);
    pool.finish();
    await until(
      () => pool.running[0]?.id,
      (id) => id === b?.id,
    );
    pool.finish();
    await b?.result();
    await until(
      () => runtime.keys.isQueued("p", "q2"),
      (isQueued) => !isQueued,
    );
    expect(await runtime.keys.isExecuting("p", "e")).toBe(false);
    await runtime.stop();
  });

  test("a key that is freed by hand is the next one's, and that is an event", async () => {
    const { runtime, pool } = await started();
    const released = collect(runtime, "key.released");
    const first = await runtime.enqueue(keyed, { x: 1 }, { partition: "p" });
    await until(
      () => pool.running.length,
      (count) => count === 1,
    );
    expect(await runtime.keys.releaseQueued("p", "q1")).toBe(first.id);
    expect(await runtime.keys.releaseQueued("p", "q1")).toBeUndefined();
    const second = await runtime.enqueue(keyed, { x: 1 }, { partition: "p" });
    await until(
      () => runtime.keys.holders("p"),
      ([holder]) => holder?.waiting === 1,
    );
    expect(await runtime.keys.releaseExecuting("p", "e")).toBe(first.id);
    await until(
      () => pool.running.length,
      (count) => count === 2,
    );
    expect(released.map(({ key, kind: what }) => [what, key])).toEqual([
      ["queue", "q1"],
      ["execution", "e"],
    ]);
    // the first one's end takes nothing from the second
    pool.finish(pool.running.find(({ id }) => id === first.id));
    await first.result();
    expect(await runtime.keys.isQueued("p", "q1")).toBe(true);
    expect(await runtime.keys.holders("p")).toMatchObject([{ id: second.id }]);
    pool.finish();
    await runtime.stop();
  });

  test("what was cancelled before it was seen is known as that", async () => {
    const { runtime } = await started();
    expect(await runtime.cancel("p", "later")).toEqual({ was: "marked" });
    expect(await runtime.isCancelled("p", "later")).toBe(true);
    expect(await runtime.isCancelled("p", "other")).toBe(false);
    await runtime.stop();
  });

  test("a key or a partition that is none is refused in words", async () => {
    const { runtime } = await started();
    await expect(runtime.keys.isQueued("p", "")).rejects.toMatchObject({ code: "InvalidJob" });
    await expect(runtime.keys.holders("a.b")).rejects.toMatchObject({ code: "InvalidJob" });
    await runtime.stop();
  });
});
