/**
 * What waits in a queue, as `info.queuedJobs` shows it: what the node has in hand and has not started, then what the broker
 * has, then what is scheduled; the same on memory and on the embedded store.
 */
import { describe, expect, onTestFinished, test } from "vitest";
import { defineJob } from "../../src/jobs/definition.ts";
import { type Runtime, startRuntime } from "../../src/runtime/runtime.ts";
import { FakePool } from "../../src/testing/fake-pool.ts";
import { until } from "../conformance/harness.ts";
import { brokers, Place, quiet } from "./support.ts";

const plain = defineJob({ name: "plain", perform: (_args: { x: number }) => undefined });
const serial = defineJob({
  name: "serial",
  executionKey: () => "one",
  perform: (_args: { x: number }) => undefined,
});

describe.each(brokers)("$kind", (kind) => {
  /** One slot; three of a queue may be in the node's hands. */
  async function node(): Promise<{ runtime: Runtime; pool: FakePool }> {
    const pool = new FakePool(1);
    const runtime = await startRuntime(
      {
        broker: kind.of(new Place()),
        jobs: [plain, serial],
        threads: 1,
        node: "me",
        partitions: { p: { default: 3, other: 0 } },
        shutdownTimeout: 100,
        logger: quiet,
      },
      { pool: () => pool },
    );
    onTestFinished(async () => void (await runtime.stop()));
    return { runtime, pool };
  }

  const enqueue = async (runtime: Runtime, count: number) => {
    const args = Array.from({ length: count }, (_, x) => ({ x }));
    const sent = await runtime.enqueueMany(plain, args, { partition: "p" });
    return sent.map(({ id }) => id);
  };

  const inHand = (runtime: Runtime, waiting: number) =>
    until(
      () => runtime.node.partitions(),
      ({ p }) => p?.default?.running === 1 && p.default.waiting === waiting,
    );

  test("what waits for a slot stands before what the broker has, and what is scheduled behind both", async () => {
    const { runtime, pool } = await node();
    const later = await runtime.enqueue(plain, { x: 9 }, { partition: "p", delay: "1 hour" });
    const [first, ...rest] = await enqueue(runtime, 5);
    await inHand(runtime, 2);
    const { jobs, complete } = await runtime.info.queuedJobs("p", "default");
    expect(pool.running[0]?.id).toBe(first);
    expect(jobs.map(({ envelope }) => envelope.id)).toEqual([...rest, later.id]);
    expect(jobs.map((job) => job.node)).toEqual(["me", "me", undefined, undefined, undefined]);
    expect(jobs.map(({ state }) => state)).toEqual([...Array(4).fill("available"), "scheduled"]);
    expect(jobs.at(-1)?.dueAt).toBeGreaterThan(Date.now());
    expect(complete).toBe(true);
  });

  test("what waits for an execution key is shown, in its order", async () => {
    const { runtime } = await node();
    const sent = [];
    for (let x = 0; x < 4; x++) sent.push((await runtime.enqueue(serial, { x }, { partition: "p" })).id);
    await inHand(runtime, 3);
    const { jobs, complete } = await runtime.info.queuedJobs("p", "default");
    expect(jobs.map(({ envelope }) => envelope.id)).toEqual(sent.slice(1));
    expect(complete).toBe(true);
  });

  test("a limit cuts it, and complete says so", async () => {
    const { runtime } = await node();
    const [, ...rest] = await enqueue(runtime, 5);
    await inHand(runtime, 2);
    for (const limit of [1, 2, 3, 4, 5]) {
      const { jobs, complete } = await runtime.info.queuedJobs("p", "default", { limit });
      expect(jobs.map(({ envelope }) => envelope.id)).toEqual(rest.slice(0, limit));
      expect(complete).toBe(limit >= 4);
    }
  });

  test("a paused queue is shown whole, and looking changes nothing", async () => {
    const { runtime, pool } = await node();
    const ids = await enqueue(runtime, 5);
    await inHand(runtime, 2);
    await runtime.queues.pause("p", "default");
    for (let looks = 0; looks < 20; looks++) {
      const { jobs, complete } = await runtime.info.queuedJobs("p", "default", { deep: true });
      expect(jobs.map(({ envelope }) => envelope.id)).toEqual(ids.slice(1));
      expect(complete).toBe(true);
    }
    await runtime.queues.resume("p", "default");
    for (const id of ids) {
      const [task] = await until(
        () => pool.running,
        (running) => running.length > 0,
      );
      expect(task).toMatchObject({ id, attempt: 0 });
      pool.finish();
    }
  });

  test("a queue that is not there and a limit that is none are refused", async () => {
    const { runtime } = await node();
    await expect(runtime.info.queuedJobs("p", "nope")).rejects.toMatchObject({ code: "UnknownQueue" });
    await expect(runtime.info.queuedJobs("nope", "q")).rejects.toMatchObject({ code: "UnknownPartition" });
    for (const limit of [0, -1, 1.5, Number.NaN])
      await expect(runtime.info.queuedJobs("p", "default", { limit })).rejects.toMatchObject({
        code: "InvalidOptions",
      });
    expect(await runtime.info.queuedJobs("p", "other")).toEqual({ jobs: [], complete: true });
  });
});
