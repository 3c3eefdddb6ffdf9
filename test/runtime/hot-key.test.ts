/**
 * A hot key with 10,000 waiting jobs, with brokers of one process; `test/amqp/hot-key.test.ts` has it on RabbitMQ.
 */
import { describe, expect, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import { startRuntime } from "../../src/runtime/runtime.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { until } from "../conformance/harness.ts";
import { brokers, Place, quiet } from "./support.ts";

const HOT = 10_000;
const CONCURRENCY = 4;
const MOST_WAITERS = 1_000;
/** Jobs are registered in the order of the list. */
const HOT_TYPE = 0;
const hot = defineJob({
  name: "hot",
  executionKey: () => "hot",
  perform: (_args: { x: number }) => undefined,
});
const other = defineJob({ name: "other", perform: (_args: { x: number }) => undefined });
const keyed = defineJob({
  name: "keyed",
  executionKey: () => "other",
  perform: (_args: object) => undefined,
});

describe.each(brokers)("$kind", ({ kind, of }) => {
  async function started() {
    const pool = new FakePool(CONCURRENCY);
    const order: string[] = [];
    let hotOnes = 0;
    let overlaps = 0;
    /** Hot ones end at once, but for those that are held. */
    const held = { is: true };
    const end = (task: (typeof pool.running)[number]) => {
      if (task.type === HOT_TYPE) hotOnes -= 1;
      pool.finish(task);
    };
    pool.onStart = (task) => {
      order.push(task.id);
      if (task.type === HOT_TYPE && ++hotOnes > 1) overlaps += 1;
      if (task.type !== HOT_TYPE || !held.is) setImmediate(end, task);
    };
    const runtime = await startRuntime(
      {
        broker: of(new Place()),
        jobs: [hot, other, keyed],
        threads: CONCURRENCY,
        partitions: { p: { default: CONCURRENCY } },
        logger: quiet,
      },
      { pool: () => pool },
    );
    const letGo = () => {
      held.is = false;
      for (const task of [...pool.running]) end(task);
    };
    const enqueued = (job: typeof hot | typeof other, count: number) =>
      runtime.enqueueMany(
        job,
        Array.from({ length: count }, (_, x) => ({ x })),
        { partition: "p" },
      );
    const inHand = async () => (await runtime.queues.list())[0]?.unsettled ?? 0;
    return { runtime, order, letGo, enqueued, inHand, overlaps: () => overlaps };
  }

  test("10,000 jobs that wait for one key run once each, in order, none beside another", {
    timeout: 120_000,
  }, async () => {
    const { runtime, order, letGo, enqueued, inHand, overlaps } = await started();
    const first = await enqueued(hot, HOT);
    const others = await enqueued(other, 20);
    const last = await runtime.enqueue(keyed, {}, { partition: "p" });
    // the queue is read to its end, past all that waits
    await until(
      () => order,
      (ids) => ids.includes(last.id) && others.every(({ id }) => ids.includes(id)),
    );
    expect(order).toHaveLength(1 + others.length + 1);
    if (kind === "embedded") expect(await inHand()).toBeLessThanOrEqual(CONCURRENCY + MOST_WAITERS);
    letGo();
    await until(
      () => order.length,
      (length) => length === HOT + others.length + 1,
    );
    const mine = new Set(first.map(({ id }) => id));
    expect(order.filter((id) => mine.has(id))).toEqual(first.map(({ id }) => id));
    expect(overlaps()).toBe(0);
    await until(inHand, (count) => count === 0);
    await until(
      () => runtime.keys.holders("p"),
      (holders) => holders.length === 0,
    );
    await runtime.stop();
  });

  test("what waits is cancelled, paused and resumed where it stands", { timeout: 120_000 }, async () => {
    const { runtime, order, letGo, enqueued, inHand } = await started();
    const all = await enqueued(hot, 3_000);
    await until(inHand, (count) => count > (kind === "embedded" ? MOST_WAITERS : 2_999));
    const ids = all.map(({ id }) => id);
    const [second, late] = [ids[1] ?? "", ids[2_500] ?? ""];
    expect(await runtime.cancel("p", second)).toEqual({ was: "queued" });
    expect(await runtime.cancel("p", late)).toEqual({ was: "queued" });
    await runtime.queues.pause("p", "default");
    await runtime.node.queues.pause("p", "default");
    await until(inHand, (count) => count <= 1);
    await runtime.node.queues.resume("p", "default");
    await runtime.queues.resume("p", "default");
    await until(inHand, (count) => count > (kind === "embedded" ? MOST_WAITERS : 2_997));
    letGo();
    await until(
      () => order.length,
      (length) => length === 2_998,
    );
    expect(order).toEqual(ids.filter((id) => id !== second && id !== late));
    await runtime.stop();
  });

  test("what waits is purged, wherever it waits", async () => {
    const { runtime, order, letGo, enqueued, inHand } = await started();
    const [first] = await enqueued(hot, 3_000);
    await until(inHand, (count) => count > (kind === "embedded" ? MOST_WAITERS : 2_999));
    expect(await runtime.queues.purge("p", "default")).toBe(2_999);
    const [last] = await enqueued(hot, 1);
    letGo();
    await until(
      () => order,
      (ids) => ids.length === 2,
    );
    expect(order).toEqual([first?.id, last?.id]);
    await runtime.stop();
  });
});
